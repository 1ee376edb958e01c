"""Interpretability training as a run: it alternates, resumes bit for bit, and leaves a GAN that knows its groups."""

import dataclasses
import json
import shutil
from pathlib import Path

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ganx
from ganx.data.example import SourceSpec
from ganx.errors import GanxError
from ganx.grouped import read_grouping
from ganx.igan.config import igan_config, stabilise
from ganx.igan.energy import EnergyForm
from ganx.igan.files import open_concepts, save_concepts
from ganx.igan.method import build_trainer, spans
from ganx.igan.update import MONITORS, PREFIX
from ganx.models import build_discriminator, init_discriminator, init_gan, make_gan
from ganx.models.initialise import initialise
from ganx.training import load_config
from ganx.training.loop import train
from ganx.training.mesh import make_mesh

CONFIGS = sorted((Path(__file__).parents[2] / "configs" / "igan").glob("*.py"))
ONE = make_mesh(jax.devices()[:1])


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    rng = np.random.default_rng(0)
    images = np.repeat(np.repeat(rng.integers(0, 256, (64, 2, 2, 3)), 4, 1), 4, 2).astype(np.uint8)
    path = tmp_path_factory.mktemp("data") / "pictures.npz"
    np.savez(path, images=images, labels=np.zeros(64, int))
    return f"npz:{path}"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A GAN to start from, of 8 x 8 pixels."""
    gan = init_gan("dcgan", {"resolution": 8, "width": 8, "latent": 4}, jax.random.key(3))
    critic = build_discriminator("dcgan", {"resolution": 8, "width": 4})
    path = tmp_path_factory.mktemp("gan") / "gan"
    ganx.save(
        gan, path, (critic, initialise(lambda key: init_discriminator(critic, key, (8, 8, 3)), jax.random.key(4)))
    )
    return str(path)


@pytest.fixture(scope="module")
def tiny(pictures, trained):
    config = igan_config()
    config.data.source, config.init = pictures, trained
    config.model.generator, config.model.discriminator = {}, {}
    config.batch, config.steps, config.samples = 8, 7, 4
    config.log_every, config.sample_every, config.checkpoint_every = 1, 0, 4
    config.igan.stage, config.igan.groups = "s0", 3
    config.igan.every, config.igan.recover, config.igan.updates = 2, 2, 2
    config.igan.langevin.steps, config.igan.partition.images = 1, 16
    config.igan.partition.restarts, config.igan.partition.iterations, config.igan.partition.refit = 1, 2, 1
    config.igan.lambda3.horizon = 4.0
    config.igan.hybrids = 0.5
    return config


@pytest.fixture(scope="module")
def run(tiny, tmp_path_factory):
    """A whole run of seven steps, with updates at steps 2 and 4."""
    return train(tiny, tmp_path_factory.mktemp("run") / "whole", ONE).workdir


def igan(config, data):
    """The method that a run begins with."""
    return spans(config, data)[0].method


def lines(workdir):
    return [json.loads(line) for line in (Path(workdir) / "metrics.jsonl").read_text().splitlines()]


def test_updates_run_when_they_are_due_and_no_more_than_asked_for(run):
    seen = [line["igan/updates"] for line in lines(run)]
    assert seen == [0, 0, 1, 1, 2, 2, 2]
    assert set(lines(run)[0]) >= {PREFIX + name for name in MONITORS}


def test_the_first_update_moves_w_by_the_paper_s_push(run):
    # one step of SGD from 0 at learning rate 10 and λ3 = 0.03, realism terms aside
    third = lines(run)[2]
    assert third["igan/lambda3"] == pytest.approx(0.03)
    assert third["igan/w_own"] == pytest.approx(0.3, abs=0.1)
    assert third["igan/w_other"] == pytest.approx(-0.2, abs=0.1)
    assert third["igan/grad"] > 0


def test_a_resumed_run_is_the_same_bit_for_bit(tiny, run, tmp_path):
    """From the middle of the alternation, with the checkpoints after it taken away."""
    shutil.copytree(run, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "7")
    train(tiny, tmp_path / "run", ONE)
    chex.assert_trees_all_equal(ganx.load(tmp_path / "run").variables, ganx.load(run).variables)
    a, b = open_concepts(tmp_path / "run")[1], open_concepts(run)[1]
    np.testing.assert_array_equal(a.weights, b.weights)
    np.testing.assert_array_equal(a.labels, b.labels)


def test_a_run_opens_with_its_groups_and_they_can_be_kept_beside_a_saved_gan(run, tmp_path):
    gan, concepts = open_concepts(run)
    assert (concepts.cut.stage, concepts.groups) == ("s0", 3)
    assert concepts.weights.shape == (16, 8, 3)
    assert np.abs(concepts.weights).max() > 0
    ganx.save(gan, tmp_path / "gan")
    assert open_concepts(tmp_path / "gan")[1] is None
    concepts = dataclasses.replace(concepts, form=EnergyForm("direction", "mean"), smooth=1.5)
    save_concepts(concepts, tmp_path / "gan")
    again = open_concepts(tmp_path / "gan")[1]
    assert (again.cut, again.form, again.smooth) == (concepts.cut, concepts.form, concepts.smooth)
    np.testing.assert_array_equal(again.labels, concepts.labels)
    np.testing.assert_array_equal(again.weights, concepts.weights)


def test_groups_of_another_gan_and_damaged_groups_are_refused(run, tmp_path):
    gan, concepts = open_concepts(run)
    ganx.save(gan, tmp_path / "gan")
    save_concepts(dataclasses.replace(concepts, labels=np.zeros(5, int)), tmp_path / "gan")
    with pytest.raises(GanxError, match="another GAN"):
        open_concepts(tmp_path / "gan")
    (tmp_path / "gan" / "groups.npz").write_bytes(b"PK not a zip")
    with pytest.raises(GanxError, match="damaged"):
        open_concepts(tmp_path / "gan")


def test_it_starts_from_a_trained_gan_and_from_nothing_else(tiny, tmp_path):
    config = tiny.copy_and_resolve_references()
    config.init = ""
    config.model.generator, config.model.discriminator = {"width": 8, "latent": 4}, {"width": 4}
    with pytest.raises(GanxError, match="give one with --init"):
        train(config, tmp_path / "run", ONE)


def test_a_fresh_discriminator_on_demand(tiny, trained):
    config, data = tiny.copy_and_resolve_references(), SourceSpec("npz:x", (8, 8, 3))
    fresh = initialise(igan(config, data).init, jax.random.key(0))
    kept = igan(config, data).start(fresh)
    config.igan.reset_d = True
    reset = igan(config, data).start(fresh)
    chex.assert_trees_all_equal(reset.d.params, fresh.d.params)
    chex.assert_trees_all_equal(reset.g.params, kept.g.params)
    assert any((a != b).any() for a, b in zip(*map(jax.tree.leaves, (kept.d.params, fresh.d.params)), strict=True))


@pytest.fixture(scope="module")
def together(tiny):
    """G descends one gradient of both terms."""
    config = tiny.copy_and_resolve_references()
    config.steps, config.checkpoint_every, config.igan.guidance.joint, config.ema_kimg = 3, 2, True, 0.0
    config.igan.guidance.lambda2, config.igan.hybrids = 5.0, 0.0
    return config


@pytest.fixture(scope="module")
def joint_run(together, tmp_path_factory):
    return train(together, tmp_path_factory.mktemp("joint") / "whole", ONE).workdir


def params(run):
    return ganx.load(run).variables["params"]


def test_g_can_descend_both_terms_together(together, joint_run, tmp_path):
    """As one gradient: the GAN's at λ2 = 0, another with it, and no step of its own at an update."""
    config = together.copy_and_resolve_references()
    config.igan.guidance.lambda2 = 0.0
    without = params(train(config, tmp_path / "without", ONE).workdir)
    config.igan.guidance.joint = False
    config.igan.recover = 99
    alone = params(train(config, tmp_path / "alone", ONE).workdir)
    chex.assert_trees_all_close(without, alone, atol=1e-6)
    change = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), without, params(joint_run))
    assert change["s0"]["kernel"] > 1e-4


def test_a_joint_run_resumes_bit_for_bit_and_eight_devices_agree(together, joint_run, tmp_path):
    shutil.copytree(joint_run, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "3")
    train(together, tmp_path / "run", ONE)
    chex.assert_trees_all_equal(params(tmp_path / "run"), params(joint_run))
    eight = train(together, tmp_path / "eight", make_mesh(jax.devices())).workdir
    chex.assert_trees_all_close(params(eight), params(joint_run), atol=1e-5)


def test_the_last_steps_are_the_gan_s_alone_and_a_run_resumes_among_them(together, joint_run, tmp_path):
    """From the first of them on neither groups nor energy move, and G goes on."""
    config = together.copy_and_resolve_references()
    config.steps, config.checkpoint_every, config.igan.settle = 6, 5, 3
    run = train(config, tmp_path / "whole", ONE).workdir
    assert [line["igan/updates"] for line in lines(run)] == [line["igan/updates"] for line in lines(joint_run)] + [
        1
    ] * 3
    np.testing.assert_array_equal(open_concepts(run)[1].weights, open_concepts(joint_run)[1].weights)
    assert jnp.abs(params(run)["s0"]["kernel"] - params(joint_run)["s0"]["kernel"]).max() > 0
    shutil.copytree(run, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "6")
    train(config, tmp_path / "run", ONE)
    chex.assert_trees_all_equal(params(tmp_path / "run"), params(run))
    guided, alone = spans(config, SourceSpec("npz:x", (8, 8, 3)))
    assert (guided.start, guided.stop, alone.start, alone.stop, alone.batches) == (0, 3, 3, None, 3)
    assert set(guided.method.lazy) - set(alone.method.lazy) == {"interpret"}
    for settle in (6, -1):
        config.igan.settle = settle
        with pytest.raises(GanxError, match="settle"):
            spans(config, SourceSpec("npz:x", (8, 8, 3)))


def test_features_that_can_be_negative_want_a_relu_and_get_one(tiny, tmp_path):
    generator = dataclasses.replace(
        init_gan("dcgan", {"resolution": 8, "width": 8, "latent": 4}, jax.random.key(0)).module
    )
    blocks = tuple(block._replace(activation="lrelu") if i < 1 else block for i, block in enumerate(generator.blocks))
    leaky = dataclasses.replace(generator, blocks=blocks)
    gan = make_gan("dcgan", leaky, initialise(leaky.init, jax.random.key(1), jnp.zeros((1, 4))))
    ganx.save(gan, tmp_path / "leaky")
    config, data = tiny.copy_and_resolve_references(), SourceSpec("npz:x", (8, 8, 3))
    config.init = str(tmp_path / "leaky")
    config.model.discriminator = {"width": 4}
    state = initialise(igan(config, data).init, jax.random.key(0))
    with pytest.raises(GanxError, match="rectify=True"):
        igan(config, data).start(state)
    config.igan.rectify = True
    trainer = build_trainer(config, data)
    started = igan(config, data).start(state)
    players, key = trainer.interpreter.game.players, jax.random.key(5)
    ours, _ = players.fakes(started.g.params, started.g.stats, key, 4)
    plain = dataclasses.replace(players, generator=players.generator.clone(rectified=""))
    theirs, _ = plain.fakes(started.g.params, started.g.stats, jax.random.clone(key), 4)
    assert float(jnp.abs(ours - theirs).max()) > 1e-3  # the ReLU is played with
    made = igan(config, data).gan(started)
    ganx.save(made, tmp_path / "mended")
    kept, stage = ganx.load(tmp_path / "mended"), trainer.interpreter.cut.stage
    z = kept.latents(jax.random.key(6), 3)
    assert gan.until(stage, z).features.min() < 0
    np.testing.assert_array_equal(kept.until(stage, z).features, jax.nn.relu(gan.until(stage, z).features))
    np.testing.assert_array_equal(kept(z), gan(z, edits={stage: jax.nn.relu}))  # and saved with the network


def test_a_run_keeps_its_relu_and_groups_that_lost_theirs_are_refused(tiny, tmp_path):
    config = tiny.copy_and_resolve_references()
    config.igan.rectify, config.steps = True, 4
    run = train(config, tmp_path / "run", ONE).workdir
    gan, concepts = open_concepts(run)
    assert gan.module.rectified == concepts.cut.stage == "s0"
    ganx.save(gan, tmp_path / "gan")
    save_concepts(concepts, tmp_path / "gan")
    arrays = dict(np.load(tmp_path / "gan" / "groups.npz"))
    np.savez(tmp_path / "gan" / "groups.npz", **arrays, rectify=True)
    manifest = Path(run) / "ganx.json"
    manifest.write_text(manifest.read_text().replace('"rectified": "s0"', '"rectified": ""'))
    for name, complaint in (("gan", "save both again"), ("run", 'write "rectified": "s0"')):
        for read in (open_concepts, lambda path: read_grouping(path, gan)):
            with pytest.raises(GanxError, match=complaint):
                read(tmp_path / name)


def test_training_goes_on_from_a_gan_that_got_a_relu(tiny, tmp_path):
    gan = init_gan("dcgan", {"resolution": 8, "width": 8, "latent": 4}, jax.random.key(3))
    ganx.save(dataclasses.replace(gan, module=gan.module.clone(rectified="s0")), tmp_path / "mended")
    config = tiny.copy_and_resolve_references()
    config.init = str(tmp_path / "mended")
    for options in ({}, {"width": 8, "latent": 4}):  # which say nothing of a ReLU
        config.model.generator = options
        config.model.discriminator = {"width": 4}
        trainer = build_trainer(config, SourceSpec("npz:x", (8, 8, 3)))
        assert trainer.interpreter.game.players.generator.rectified == "s0"


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_configuration_builds(path):
    config = load_config(path)
    size = next((n for n in (128, 64) if path.stem.endswith(str(n))), 32)
    trainer = build_trainer(config, SourceSpec("npz:x", (size, size, 3)))
    assert trainer.interpreter.cut.stage in trainer.interpreter.spec.stages


def test_the_presets_are_the_paper_s_and_ours():
    config = igan_config()
    assert (config.igan.weights.lr, config.igan.lambda3.horizon, config.igan.every) == (10, 500, 50)
    stable = stabilise(igan_config())
    assert stable.igan.guidance.clip > config.igan.guidance.clip == 0
    ours, theirs = ((each.guidance.joint, each.energy.normalize, each.smooth) for each in (stable.igan, config.igan))
    assert (ours, theirs) == ((True, "direction", 1.0), (False, "none", 0.0))

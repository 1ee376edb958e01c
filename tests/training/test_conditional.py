"""Class labels, augmentation, accumulation: what D is shown, by which label, and that a run resumes and shards."""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toy

import ganx
from ganx.data import open_feed, open_source
from ganx.models import FAMILIES
from ganx.models.initialise import initialise
from ganx.store import load_discriminator
from ganx.training import default_config
from ganx.training.accumulation import accumulate
from ganx.training.adversarial import adversarial, build_game
from ganx.training.loop import train
from ganx.training.mesh import make_mesh, replicate
from ganx.training.players import Players
from ganx.training.program import Program


@pytest.fixture(autouse=True)
def family(monkeypatch):
    monkeypatch.setitem(FAMILIES, "toy", toy.FAMILY)


@pytest.fixture
def config(pictures):
    """Labels, colour augmentation with a controller that moves, R1, two parts a batch."""
    config = default_config()
    config.data.source = pictures
    config.model.family = "toy"
    config.model.conditional = True
    config.share_fakes = False
    config.batch, config.accumulate = 16, 2
    config.augment.policy, config.augment.p, config.augment.kimg, config.augment.every = "color", 0.5, 0.5, 2
    config.r1.gamma, config.r1.every = 1.0, 1
    config.steps, config.log_every, config.samples = 4, 1, 4
    config.sample_every = config.checkpoint_every = 0
    return config


def run(config, devices, steps=2):
    mesh = make_mesh(devices)
    source = open_source(config.data.source)
    method = adversarial(config, source.spec, mesh)
    state = replicate(initialise(method.init, jax.random.key(0)), mesh)
    metrics, flops = [], []
    with open_feed(source, method.images, config.seed, mesh=mesh, labels=True) as feed:
        program = Program(method, feed, mesh, lambda cost, _: flops.append(cost))
        for step in range(steps):
            state, now = program(state, step, 1)
            metrics.append({k: float(v) for k, v in now.items()})
    return state, metrics, flops[0]


def test_one_and_eight_devices_agree(config):
    one, eight = run(config, jax.devices()[:1]), run(config, jax.devices())
    for a, b in zip(one[1], eight[1], strict=True):
        assert a.keys() == b.keys() >= {"augment_p", "r1"}
        for name in a:
            assert a[name] == pytest.approx(b[name], rel=2e-4, abs=1e-5), name
    chex.assert_trees_all_close(one[0].g.params, eight[0].g.params, atol=1e-5)
    assert [m["augment_p"] for m in one[1]] != [0.5] * 2  # the controller moved


def test_a_conditional_run_resumes_bit_for_bit_with_its_controller(config, tmp_path):
    mesh = make_mesh(jax.devices()[:1])
    config.r1.every, config.accumulate = 2, 1
    train(config, tmp_path / "whole", mesh)
    config.steps = 2
    train(config, tmp_path / "parts", mesh)
    config.steps = 4
    train(config, tmp_path / "parts", mesh)
    lines = [(tmp_path / name / "metrics.jsonl").read_text().splitlines() for name in ("whole", "parts")]
    cut = [[line.partition('"images_per_s"')[0] for line in some] for some in lines]
    assert cut[0] == cut[1]
    assert "augment_p" in cut[0][-1]
    whole, parts = ganx.load(tmp_path / "whole"), ganx.load(tmp_path / "parts")
    chex.assert_trees_all_equal(whole.variables, parts.variables)
    assert whole.spec.classes == 3
    critic, variables = load_discriminator(tmp_path / "whole")
    logits = critic.apply(variables, jnp.zeros((4, 8, 8, 3)), label=jnp.zeros(4, jnp.int32))
    assert logits.shape == (4,)


def test_d_gets_the_labels_of_the_reals_and_those_the_fakes_were_drawn_with(config, pictures):
    """With labels from the data, shifting the reals' classes changes both sides; with uniform ones the reals' only."""
    config.accumulate = 1
    config.augment.policy = ""
    config.r1.gamma = 0.0
    spec = open_source(pictures).spec
    images = jax.random.uniform(jax.random.key(1), (16, 8, 8, 3), minval=-1.0)
    batch = {"image": images, "label": jnp.arange(16) % 3}
    seen = {}
    for kind in ("uniform", "data"):
        config.fake_labels = kind
        game = build_game(config, spec)
        state = initialise(lambda key, game=game: game.init(key, spec.shape), jax.random.key(0))
        step = jax.jit(lambda s, b, game=game: game.step(s, b, {})[1])
        seen[kind] = [step(state, batch), step(state, {**batch, "label": (batch["label"] + 1) % 3})]
    changed = {kind: {k: bool(a[k] != b[k]) for k in ("real", "fake")} for kind, (a, b) in seen.items()}
    assert changed == {"uniform": {"real": True, "fake": False}, "data": {"real": True, "fake": True}}


def test_everything_that_d_sees_is_augmented(config, pictures):
    """A stand-in that blanks all images: reals and fakes look the same, and R1, through it, has no slope."""
    config.accumulate = 1
    config.fake_labels = "data"
    spec = open_source(pictures).spec
    game = build_game(config, spec)
    blank = dataclasses.replace(game.players, augment=lambda x, key, p: x * (1 - p))
    game = dataclasses.replace(game, players=blank)
    batch = {"image": jnp.ones((16, 8, 8, 3)), "label": jnp.arange(16) % 3}
    state = initialise(lambda key: game.init(key, spec.shape), jax.random.key(0))
    state = dataclasses.replace(state, ada=dataclasses.replace(state.ada, p=jnp.ones(())))
    after, metrics = jax.jit(lambda s, b: game.step(s, b, {}))(state, batch)
    assert float(metrics["real"]) == float(metrics["fake"])
    assert float(metrics["r1"]) == 0.0
    assert float(metrics["grad_g"]) == 0.0
    assert float(after.ada.p) != 1.0


def test_parts_of_a_batch_give_the_gradient_of_the_whole():
    x = jax.random.normal(jax.random.key(0), (12, 3))
    params = {"w": jnp.arange(3.0)}

    def gradient(stats, part, key):
        del key
        loss = lambda params: jnp.square(part @ params["w"]).mean()  # noqa: E731
        value, grads = jax.value_and_grad(loss)(params)
        return grads, (stats + part.sum(), value)

    whole, _, value = accumulate(gradient, params, jnp.zeros(()), x, jax.random.key(1), 1)
    grads, stats, values = accumulate(gradient, params, jnp.zeros(()), x, jax.random.key(1), 4)
    chex.assert_trees_all_close(grads, whole, rtol=1e-5)
    np.testing.assert_allclose(values.mean(), value[0], rtol=1e-5)
    np.testing.assert_allclose(stats, x.sum(), rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model.family": "dcgan"}, "dcgan cannot be conditioned on classes"),
        ({"data.source": "world:faces?size=8"}, "choose an attribute with label="),
        ({"accumulate": 3}, "does not divide into 3 parts"),
        ({"share_fakes": True}, "share_fakes=False"),
        ({"fake_labels": "dat"}, "did you mean 'data'"),
        ({"augment.policy": "bgx"}, "augmentation policy"),
        ({"ema_buffers": "mean"}, "average, copy"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(config, change, words):
    config.update_from_flattened_dict(change)
    with pytest.raises(ganx.GanxError, match=words) as info:
        build_game(config, open_source(config.data.source).spec)
    assert "\n" not in str(info.value)


def test_examples_without_a_label_are_refused(config, tmp_path):
    labels = np.arange(64) % 3
    labels[[5, 9]] = -1
    np.savez(tmp_path / "some.npz", images=np.zeros((64, 8, 8, 3), np.uint8), labels=labels)
    config.data.source = f"npz:{tmp_path / 'some.npz'}"
    for residency in ("device", "stream"):
        config.data.residency = residency
        with pytest.raises(ganx.GanxError, match=r"example (5|9) of .* has no label"):
            train(config, tmp_path / "run", make_mesh(jax.devices()[:1]))
    assert not (tmp_path / "run" / "config.json").exists()  # nothing was begun, so another try is free


def test_a_discriminator_that_names_classes_learns_them():
    """AC-GAN (PGGAN's labels): the loss of a hand-made classifier is part of both players' losses."""

    class Critic:
        def apply(self, variables, x, method):
            assert method == "outputs"
            return jnp.stack([x.mean((1, 2, 3)), *(variables["params"]["w"] * c for c in range(3))], 1)

        outputs = True

    players = Players(toy.ToyGenerator(classes=3), Critic(), 0.0, None)
    label = jnp.array([0, 2])
    verdict = players.judge({"w": jnp.array([1.0, 0.5])}, {}, jnp.ones((2, 4, 4, 3)), label)
    rows = np.array([[0, 1, 2], [0, 0.5, 1]])
    expected = -np.log(np.exp(rows[[0, 1], [0, 2]]) / np.exp(rows).sum(1)).mean()
    assert float(verdict.wrong) == pytest.approx(expected, rel=1e-5)
    np.testing.assert_array_equal(verdict.logits, 1.0)

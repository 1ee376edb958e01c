"""Progressive growing: the published schedule, reals at a level of detail, and a run through all of its phases."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ganx import GanxError
from ganx.data.example import SourceSpec
from ganx.models.growing import Lod, mean_down, nearest_up
from ganx.models.initialise import initialise
from ganx.training import default_config
from ganx.training.adversarial import build_game
from ganx.training.growing import add_growing, methods, phase_config, reals, restarted, schedule
from ganx.training.state import new_net

PRESET = {4: 512, 8: 256, 16: 128, 32: 64, 64: 32}


@pytest.fixture(scope="module")
def published():
    return schedule(256, 32, batches=PRESET)


def lod_of_images(kimg, resolution=256, first=4):
    """The authors' rule: `kimg` thousand images seen, 600 thousand to settle and 600 to fade, in turn."""
    turn, rest = divmod(kimg, 1200.0)
    return max(np.log2(resolution / first) - turn - max(rest - 600.0, 0.0) / 600.0, 0.0)


def test_the_published_phases(published):
    phases = published.phases
    assert [(p.resolution, p.fading) for p in phases[:5]] == [
        (4, False), (8, True), (8, False), (16, True), (16, False)
    ]  # fmt: skip
    assert [p.batch for p in phases if not p.fading] == [512, 256, 128, 64, 32, 32, 32]
    assert len(phases) == 13
    assert phases[-1].stop is None
    assert [p.start for p in phases[1:]] == [p.stop for p in phases[:-1]]
    assert all(p.images % p.batch == 0 for p in phases)


def test_lod_follows_the_images_as_published(published):
    """Within the images of the few steps that the phases' ends are rounded to."""
    for step in np.linspace(0, published.phases[-1].start + 100, 60).astype(int):
        phase = published.at(int(step))
        kimg = (phase.images + (step - phase.start) * phase.batch) / 1000
        lod = published.lod(phase, int(step))
        ours = phase.level + (0.0 if lod.fade is None else float(lod.fade))
        assert abs(ours - lod_of_images(kimg)) < 8 * 512 / 600_000


def test_the_fade_moves_every_few_steps_and_may_be_traced(published):
    phase = published.phases[1]
    fades = [float(published.lod(phase, phase.start + i).fade) for i in range(9)]
    assert fades[0] == 1.0
    assert [a == b for a, b in itertools.pairwise(fades)] == [True, True, True, False] * 2
    traced = jax.jit(lambda step: published.lod(phase, step).fade)(phase.start + 5)
    np.testing.assert_allclose(traced, fades[5], rtol=1e-6)
    assert float(published.lod(phase, phase.stop).fade) == 0.0


def test_steps_counts_images(published):
    assert published.steps(600) == 1172  # batches of 512
    last = published.phases[-1]
    assert published.steps(12_000) == last.start + -(-(12_000_000 - last.images) // 32)


def test_impossible_schedules_are_refused():
    with pytest.raises(GanxError, match="48 at 8 pixels does not divide the 64 before"):
        schedule(16, 32, batches={4: 64, 8: 48})
    with pytest.raises(GanxError, match="first is a power of two from 4 to 16"):
        schedule(16, 32, first=32)
    with pytest.raises(GanxError, match="stable_kimg is above 0"):
        schedule(16, 32, stable_kimg=0)
    with pytest.raises(GanxError, match="growing has no 'fade'"):
        add_growing(default_config(), fade=1)


def test_reals_are_what_the_networks_see():
    images = jax.random.normal(jax.random.key(0), (2, 16, 16, 3))
    half = mean_down(images)
    assert reals(images, Lod(0)) is images
    np.testing.assert_allclose(reals(images, Lod(2)), images.reshape(2, 4, 4, 4, 4, 3).mean((2, 4)), atol=1e-6)
    np.testing.assert_allclose(reals(images, Lod(1, 0.0)), half, atol=1e-6)
    np.testing.assert_allclose(reals(images, Lod(1, 1.0)), nearest_up(mean_down(half)), atol=1e-6)
    np.testing.assert_allclose(reals(images, Lod(1, 0.3)), 0.7 * half + 0.3 * nearest_up(mean_down(half)), atol=1e-6)


def test_an_optimiser_restarts_when_told():
    optimiser = optax.adam(0.1)
    net = new_net({"params": jnp.ones(3)}, optimiser).update(jnp.ones(3), optimiser)
    fresh, kept = restarted(net, optimiser, True), restarted(net, optimiser, False)
    moments = lambda net: [np.asarray(x) for x in jax.tree.leaves(net.opt)]  # noqa: E731
    assert all((a == 0).all() for a in moments(fresh))
    assert all((a == b).all() for a, b in zip(moments(kept), moments(net), strict=True))
    assert (fresh.params == net.params).all()


@pytest.fixture(scope="module")
def run():
    """A tiny PGGAN through all of its phases: the state after each phase, and the metrics of each step."""
    config = default_config()
    config.model.family = "pggan"
    config.model.generator = {"channel_base": 32, "channel_max": 4, "latent": 4}
    config.model.discriminator = {"channel_base": 32, "channel_max": 4}
    config.loss, config.drift, config.share_fakes, config.batch = "wasserstein", 0.001, False, 4
    config.g.b1 = config.d.b1 = 0.0
    add_growing(config, fade_kimg=0.008, stable_kimg=0.008, batch=((4, 8),), lr=((8, 1e-3),), hold=1)
    plan = methods(config, SourceSpec("npz:x", (8, 8, 3), (), {}, (), "", False))
    state = initialise(plan[0][1].init, jax.random.key(0))
    states, metrics = [state], []
    for phase, method in plan:
        step = jax.jit(lambda state, images, method=method: method.step(state, {"image": images}, {}))
        for _ in range((phase.stop or phase.start + 2) - phase.start):
            images = jax.random.normal(jax.random.fold_in(jax.random.key(1), int(state.step)), (method.images, 8, 8, 3))
            state, values = step(state, images)
            metrics.append(values)
        states.append(state)
    return config, plan, states, metrics


def test_a_run_passes_through_all_phases(run):
    config, plan, _, metrics = run
    assert [(p.resolution, p.fading, p.batch, p.start) for p, _ in plan] == [
        (4, False, 8, 0), (8, True, 4, 1), (8, False, 4, 3)
    ]  # fmt: skip
    assert [float(m["lod"]) for m in metrics] == [1.0, 1.0, 0.5, 0.0, 0.0]
    assert all(np.isfinite(float(m["loss_d"])) for m in metrics)
    assert [phase_config(config, p).g.lr for p, _ in plan] == [config.g.lr, 1e-3, 1e-3]


def test_layers_train_from_their_phase_on_and_adam_starts_anew(run):
    _, plan, states, _ = run
    kernels = [state.g.params["layer2"]["kernel"] for state in states]
    assert [(a == b).all() for a, b in itertools.pairwise(kernels)] == [True, False, False]
    critics = [state.d.params["b8"]["conv0"]["kernel"] for state in states]
    assert [(a == b).all() for a, b in itertools.pairwise(critics)] == [True, False, False]
    counts = [int(next(x for x in jax.tree.leaves(s.g.opt) if x.dtype == jnp.int32)) for s in states]
    assert counts == [0, 1, 2, 2]  # steps since the phase began
    assert len(plan) == 3


def test_samples_have_full_size_at_every_level(run):
    _, plan, states, _ = run
    images = plan[0][1].sample(states[1], jax.random.key(3), 4)
    assert images.shape == (4, 8, 8, 3)
    np.testing.assert_array_equal(images, nearest_up(mean_down(images)))


def test_styles_mix_among_the_layers_that_run():
    """The authors draw the cutoff among those of the current resolution; later ones would change nothing."""
    config = default_config()
    config.model.family, config.style_mixing, config.share_fakes = "stylegan", 1.0, False
    config.model.generator = {"channel_base": 64, "channel_max": 2, "latent": 2, "style": 2, "mapping_layers": 1}
    config.model.discriminator = {"channel_base": 64, "channel_max": 2}
    game = build_game(config, SourceSpec("npz:x", (32, 32, 3), (), {}, (), "", False))
    state = initialise(lambda key: game.init(key, (32, 32, 3)), jax.random.key(0))
    for lod, used in ((None, 8), (Lod(0, 0.5), 8), (Lod(1), 6), (Lod(2, 0.5), 4), (Lod(3), 2)):
        players = dataclasses.replace(game.players, conditions={} if lod is None else {"lod": lod})
        codes = players.codes(state.g.params, state.g.stats, jax.random.key(1), 200)[0]
        changes = np.asarray((codes[:, 1:] != codes[:, :-1]).any(-1))
        assert (changes.sum(1) == 1).all()
        assert set(changes.argmax(1) + 1) == set(range(1, used))

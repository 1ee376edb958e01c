"""One generation: it is the plain GAN where there is nothing to choose, and keeps its books where there is."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganx.egan.islands import Islands
from ganx.egan.mapping import Mapping
from ganx.egan.mutations import MUTATIONS, number
from ganx.egan.population import take
from ganx.models.initialise import initialise
from ganx.training.averaging import Averaging
from ganx.training.game import Game
from ganx.training.keys import named
from ganx.training.mesh import make_mesh

THREE = ("minimax", "heuristic", "least_squares")


def difference(a, b):
    return max(jax.tree.leaves(jax.tree.map(lambda x, y: float(jnp.abs(x - y).max()), a, b)))


def _plain_step(generation, mutation, step, key, g, d, batch):
    """A GAN of two players by hand: G on its loss against D, then D's updates on what G draws."""
    players, loss = generation.players, generation.loss
    key = jax.random.fold_in(key, step)
    own = jax.random.fold_in(jax.random.fold_in(key, 0), number(mutation))

    def g_loss(params):
        fake, stats = players.fakes(params, g.stats, named(own, "variation"), generation.batch)
        return MUTATIONS[mutation](players.judge(d.params, d.stats, fake).logits), stats

    grads, stats = jax.grad(g_loss, has_aux=True)(g.params)
    g = dataclasses.replace(g, stats=stats).update(grads, generation.g_opt)
    fakes, _ = players.fakes(g.params, g.stats, named(own, "evaluation"), generation.evaluation)
    reals = batch["image"][generation.evaluation :]
    for i in range(generation.d_steps):
        rows = slice(i * generation.batch, (i + 1) * generation.batch)

        def d_loss(params, rows=rows, d=d):
            real, stats, _ = players.judge(params, d.stats, reals[rows])
            fake, stats, _ = players.judge(params, stats, fakes[rows])
            return loss.discriminator(real, fake), stats

        grads, stats = jax.grad(d_loss, has_aux=True)(d.params)
        d = dataclasses.replace(d, stats=stats).update(grads, generation.d_opt)
    return g, d


@pytest.mark.parametrize("mutation", THREE)
def test_one_parent_and_one_mutation_are_the_plain_gan(run, mutation):
    ours = run(mutations=(mutation,))
    plain = jax.jit(lambda step, key, g, d, batch: _plain_step(ours.generation, mutation, step, key, g, d, batch))
    state, g, d = ours.state, take(ours.state.members, 0), ours.state.d
    for i in range(5):
        g, d = plain(i, ours.state.key, g, d, ours.batch(i))
        state, _ = ours.step(state, ours.batch(i))
    assert difference(take(state.members, 0), g) == 0
    assert difference(state.d, d) == 0


def test_children_of_one_mutation_are_one(run):
    twins = run(mutations=("heuristic", "heuristic", "heuristic"))
    state, metrics = twins.after(1)
    children = jax.jit(twins.generation.breed)(state, {"image": twins.batch(0)["image"][:16], "label": None}, state.key)
    assert len(np.unique(np.asarray(children.fitness.total))) == 1
    assert state.trail[0, 0] == 0  # of equals the first survives
    assert metrics["spread_quality"] == metrics["spread_diversity"] == 0


@pytest.fixture(scope="module")
def pair(run):
    return run(parents=2)


@pytest.fixture(scope="module")
def bred(pair):
    """The first litter of two parents."""
    key = jax.random.fold_in(pair.state.key, 0)
    against = {"image": pair.batch(0)["image"][:16], "label": None}
    return jax.jit(pair.generation.breed)(pair.state, against, key)


def test_the_fittest_survive_best_first(pair, bred):
    state, metrics = pair.after(1)
    order = np.argsort(-np.asarray(bred.fitness.total), kind="stable")[:2]
    np.testing.assert_array_equal(state.trail[0], order)
    np.testing.assert_allclose(state.fitness, bred.fitness.total[order], rtol=1e-6)
    assert metrics["fitness"] == state.fitness[0] == bred.fitness.total.max()


def test_survivors_bring_everything_along(pair, bred, monkeypatch):
    index = jnp.array([4, 1], jnp.int32)  # the second parent's second child, the first one's second
    monkeypatch.setattr(type(pair.generation), "select", lambda self, total, key: index)
    seen = {}
    train = type(pair.generation)._train
    monkeypatch.setattr(
        type(pair.generation),
        "_train",
        lambda self, d, real, fake, key: (seen.update(fake), train(self, d, real, fake, key))[1],
    )

    def step(state, batch):
        state, _ = pair.generation.step(state, batch, {})
        return state, seen

    state, seen = jax.jit(step)(pair.state, pair.batch(0))
    assert difference(state.members, take(bred.net, index)) < 1e-6  # parameters, moments, step counters
    np.testing.assert_array_equal(state.members.opt[0].count, [1, 1])
    np.testing.assert_array_equal(state.founders, [1, 0])
    np.testing.assert_array_equal(state.wins, [0, 2, 0])
    pool = np.asarray(bred.fakes["image"][index][:, :4]).reshape(-1, 2)
    drawn = np.asarray(seen["image"]).reshape(-1, 2)
    np.testing.assert_allclose(np.sort(drawn, 0), np.sort(pool, 0), atol=1e-6)


def test_noise_is_the_childs_own(run, pair, bred):
    """Whatever other parents and mutations there are, and in which order."""
    alone = run(mutations=("least_squares", "heuristic"))
    against = {"image": pair.batch(0)["image"][:16], "label": None}
    other = jax.jit(alone.generation.breed)(alone.state, against, jax.random.fold_in(alone.state.key, 0))
    assert difference(take(other, 0), take(bred, 2)) < 1e-6
    assert difference(take(other, 1), take(bred, 1)) < 1e-6


@pytest.mark.parametrize("mapping", ["vmap", "scan", "shard"])
def test_mappings_and_devices_agree(run, mapping):
    mesh = make_mesh(jax.devices()[:8]) if mapping == "shard" else None
    one, other = run(parents=2), run(mesh=mesh, parents=2, mapping=mapping)
    (a, _), (b, _) = one.after(10), other.after(10)
    np.testing.assert_array_equal(a.trail[:10], b.trail[:10])
    assert difference(a.members.params, b.members.params) < 1e-5


def test_random_selection_is_fair(run):
    generation = dataclasses.replace(run().generation, selection="random")
    keys = jax.random.split(jax.random.key(3), 3000)
    picked = jax.jit(jax.vmap(lambda key: generation.select(jnp.array([9.0, 0.0, 0.0]), key)[0]))(keys)
    shares = np.bincount(picked, minlength=3) / 3000
    assert np.abs(shares - 1 / 3).max() < 3 * np.sqrt(2 / 9 / 3000)


def test_a_broken_child_never_wins(run):
    generation = run().generation
    assert generation.select(jnp.array([jnp.nan, -5.0, -jnp.inf]), jax.random.key(0))[0] == 1


def test_d_norms_real_and_generated_samples_apart(run):
    players, d = run().generation.players, run().state.d
    real, fake = run().batch(0)["image"][:8], run().batch(1)["image"][:8] + 2
    together = players.judge(d.params, d.stats, jnp.concatenate([real, fake])).logits
    apart = jnp.concatenate([players.judge(d.params, d.stats, x).logits for x in (real, fake)])
    assert jnp.abs(together - apart).max() > 1e-3


def test_nothing_leaves_the_device(run):
    ours = run()
    state, _ = ours.after(1)
    batch = ours.batch(1)
    with jax.transfer_guard("disallow"):
        state, _ = ours.step(state, batch)
    assert ours.step._cache_size() == 1


def test_a_chain_starts_from_the_best_so_far(run):
    chain, free = run(variation="chain"), run()
    (a, _), (b, _) = chain.after(1), free.after(1)
    against = {"image": chain.batch(0)["image"][:16], "label": None}
    children = jax.jit(chain.generation.breed)(chain.state, against, jax.random.fold_in(chain.state.key, 0))
    np.testing.assert_array_equal(children.net.opt[0].count[:2], [1, 2])  # the second mutates the first
    assert a.members.opt[0].count[0] >= 1
    assert b.members.opt[0].count[0] == 1


def test_shared_noise(run):
    shared = run(eval_noise="shared", variation_noise="shared", mutations=("hinge", "wasserstein"))
    against = {"image": shared.batch(0)["image"][:16], "label": None}
    children = jax.jit(shared.generation.breed)(shared.state, against, jax.random.fold_in(shared.state.key, 0))
    assert difference(take(children, 0), take(children, 1)) < 1e-6  # one loss under two names, one noise


def test_the_real_half_is_shared_by_the_litter(run):
    """Counted, not timed: 5.9 plain steps at the paper's batch sizes, 7.7 if each child did the real half again."""
    ours = run(evaluation=256).generation
    wide = dict.fromkeys(("generator", "discriminator"))
    for part in wide:
        wide[part] = dataclasses.replace(getattr(ours.players, part), widths=(256, 256))
    players = dataclasses.replace(ours.players, **wide)
    bred = dataclasses.replace(ours, players=players, batch=32, d_steps=3)
    unused = {"drift": 0.0, "gp_weight": 0.0, "r1_gamma": 0.0, "r1_every": 1}
    unused |= {"path_weight": 0.0, "path_every": 1, "path_shrink": 1}
    shared = {name: getattr(bred, name) for name in ("players", "loss", "g_opt", "d_opt", "batch", "d_steps")}
    plain = Game(**shared, **unused, averaging=Averaging(32, 0.0), share_fakes=False)

    def flops(method, images):
        state = jax.eval_shape(lambda key: method.init(key, (2,)), jax.random.key(0))
        batch = {"image": jax.ShapeDtypeStruct((images, 2), jnp.float32)}
        return jax.jit(lambda state, batch: method.step(state, batch, {})).lower(state, batch).cost_analysis()["flops"]

    assert 5 < flops(bred, bred.images) / flops(plain, 96) < 6


def test_the_best_member_migrates_to_the_next_island(run):
    generation = run(parents=2).generation
    islands = Islands(generation, 3, 2, Mapping())
    state = initialise(lambda key: islands.init(key, (2,)), jax.random.key(1))
    fitness = jnp.array([[3.0, 1.0], [5.0, 2.0], [4.0, 0.0]])
    state = dataclasses.replace(state, fitness=fitness, step=state.step + 2)
    moved = islands.migrate(state)
    np.testing.assert_array_equal(moved.fitness, [[3, 4], [5, 3], [4, 5]])
    arrived, left = (jax.tree.map(lambda leaf, i=i: leaf[i], s.members) for s, i in ((moved, (1, 1)), (state, (0, 0))))
    assert difference(arrived, left) == 0
    early = dataclasses.replace(state, step=state.step + 1)
    assert difference(islands.migrate(early).members, state.members) == 0
    assert difference(islands.best(state).members, take(state.members, 1)) == 0

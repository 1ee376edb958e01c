"""Energy, slopes and weight updates against loops and autodiff; the schedule's known sums."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganx import GanxError
from ganx.igan import energy as model
from ganx.igan import weights as rules
from ganx.igan.energy import EnergyForm, filter_scale
from ganx.igan.filters import filter_stats, scaled
from ganx.igan.guidance import GuidanceRule, clip_guidance, guidance_loss, usual_norm
from ganx.igan.monitors import weight_monitors
from ganx.igan.weights import WeightRule, initial_weights, interpretability_slope, lambda3
from ganx.training.mesh import batched, make_mesh, replicated

# whole functions at once: far fewer programs to compile
energy = jax.jit(model.energy, static_argnames="form")
energy_slope = jax.jit(model.energy_slope, static_argnums=2, static_argnames="form")
realism_slope = jax.jit(model.realism_slope, static_argnums=(3, 4))
centres = jax.jit(model.centres, static_argnums=2)
interpretability_loss, follow_labels = jax.jit(rules.interpretability_loss), jax.jit(rules.follow_labels)
update_weights = jax.jit(rules.update_weights, static_argnums=4)

N, K, M, C = 3, 4, 7, 4
LABELS = jnp.array([0, 1, 1, 3, 0, 3, 1])  # nobody in group 2
FORMS = [
    EnergyForm(),
    EnergyForm(reduce="mean"),
    EnergyForm(normalize="filter"),
    EnergyForm(normalize="filter", reduce="mean", fixed_centres=True),
    EnergyForm(normalize="direction", reduce="mean"),
]


@pytest.fixture(scope="module")
def case():
    rng = np.random.default_rng(0)
    f, g = np.maximum(rng.normal(0.3, 1, (2, N, 2, 2, M)), 0).astype(np.float32)
    return jnp.asarray(f), jnp.asarray(g), jnp.asarray(rng.normal(size=(K, M, C)), jnp.float32)


def loops(f, weights, labels=LABELS):
    """g by the paper's sums, one entry at a time, in float64."""
    f, weights = np.asarray(f, np.float64).reshape(N, K, M), np.asarray(weights, np.float64)
    total = np.zeros(N)
    for c in range(weights.shape[-1]):
        members = [j for j in range(M) if int(labels[j]) == c]
        if not members:
            continue
        middle = f[:, :, members].mean(2)
        for j in range(M):
            total += (weights[:, j, c] * f[:, :, j] * middle).sum(1)
    return total


def close(got, want, rtol=1e-5):
    np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol * np.abs(np.asarray(want)).max())


def test_energy_is_the_papers_sum(case):
    f, _, weights = case
    close(energy(f, weights, LABELS), loops(f, weights))
    scale = np.sqrt(np.square(f).mean((0, 1, 2)))
    close(energy(f, weights, LABELS, form=FORMS[3]), loops(f / scale, weights) / (K * M), 1e-4)
    assert not np.asarray(centres(f, LABELS, C)[..., 2]).any()


@pytest.mark.parametrize("form", FORMS, ids=lambda form: "-".join(map(str, (form.normalize, form.reduce))))
def test_slopes_are_those_of_autodiff(case, form):
    f, g, weights = case
    by_autodiff = jax.jit(jax.grad(lambda w: model.energy(f, w, LABELS, form=form).mean()))(weights)
    close(energy_slope(f, LABELS, C, form=form), by_autodiff)

    @jax.jit
    @jax.grad
    def realism(w):
        here, there = (model.energy(x, w, LABELS, filter_scale(f, form), form).mean() for x in (f, g))
        return there - here

    close(realism_slope(f, g, LABELS, C, form), realism(weights))


def test_slope_for_features_is_the_derived_one(case):
    """∂g/∂f^j_k = Σ_c W_jck f̄^c_k + 1/n_own Σ_j' W_j' own k f^j'_k; without the second part if centres are fixed."""
    f, _, weights = case
    flat, sizes = np.asarray(f).reshape(N, K, M), np.bincount(LABELS, minlength=C)
    direct = np.einsum("kmc,nkc->nkm", weights, centres(f, LABELS, C))
    through = np.einsum("kjc,nkj->nkc", weights, flat) / np.maximum(sizes, 1)
    slope = jax.grad(lambda f: energy(f, weights, LABELS).sum())(flat)
    close(slope, direct + through[..., LABELS])
    fixed = jax.grad(lambda f: energy(f, weights, LABELS, form=EnergyForm(fixed_centres=True)).sum())(flat)
    close(fixed, direct)


@pytest.mark.parametrize("normalize", ["filter", "direction"])
def test_a_normalised_filter_gains_nothing_by_growing(case, normalize):
    """The slope in a filter's own direction is 0; for a quiet filter it grows with "filter", not with "direction"."""
    f, _, weights = case
    form = EnergyForm(normalize=normalize)
    slope_of = jax.jit(jax.grad(lambda f: model.energy(f, weights, LABELS, form=form).sum()))
    slope, quiet = slope_of(f), slope_of(f.at[..., 2].multiply(0.01))
    along = np.asarray((slope * f).sum((0, 1, 2))) / np.linalg.norm(np.asarray(f).reshape(-1, M), axis=0)
    np.testing.assert_allclose(along / np.abs(slope).max(), 0, atol=1e-5)
    push = [float(jnp.abs(s[..., 2]).max()) for s in (slope, quiet)]
    assert push[1] > 50 * push[0] if normalize == "filter" else push[1] < 2 * push[0]


def test_without_a_direction_of_their_own_loud_filters_count_as_they_are_loud(case):
    f, _, weights = case
    got = energy(f, weights, LABELS, form=EnergyForm(normalize="direction"))
    close(got, loops(f, weights) / np.square(f).mean(), 1e-4)


def test_sign_analysis_at_the_start(case):
    """With W = +a on own and -λ1 a on other entries and groups of one size, filters rise where their own group holds
    more than 0.4 of the centres' sum."""
    f, labels = case[0][..., :6].reshape(N, K, 6), jnp.array([0, 0, 1, 1, 2, 2])
    weights = jnp.broadcast_to(-interpretability_slope(labels, 3, 2 / 3), (K, 6, 3))
    slope = jax.grad(lambda f: energy(f, weights, labels).sum())(f)
    middle = centres(f, labels, 3)
    share = (middle / middle.sum(-1, keepdims=True))[..., labels]
    clear = np.abs(share - 0.4) > 1e-3
    np.testing.assert_array_equal((slope > 0)[clear], (share > 0.4)[clear])


def test_bfloat16_features_accumulate_in_float32(case):
    f, _, weights = case
    rounded = f.astype(jnp.bfloat16)
    got = energy(rounded, weights, LABELS)
    assert got.dtype == jnp.float32
    close(got, energy(rounded.astype(jnp.float32), weights, LABELS), 1e-2)


def test_relabelling_and_reordering_change_nothing(case):
    f, _, weights = case
    names, order = jnp.array([2, 0, 3, 1]), jnp.array([4, 2, 6, 0, 1, 5, 3])
    inverse = jnp.argsort(names)
    want = energy(f, weights, LABELS)
    close(energy(f, weights[..., inverse], names[LABELS]), want)
    close(energy(f[..., order], weights[:, order], LABELS[order]), want)
    loss = interpretability_loss(weights, LABELS)
    close(interpretability_loss(weights[..., inverse], names[LABELS]), loss)
    close(energy_slope(f, names[LABELS], C), energy_slope(f, LABELS, C)[..., inverse])


def test_interpretability_loss_is_the_papers(case):
    weights = np.asarray(case[2], np.float64)
    want = sum((-1 if int(LABELS[j]) == c else 2 / 3) * weights[:, j, c].sum() for j in range(M) for c in range(C))
    close(interpretability_loss(case[2], LABELS), want)
    slope = jax.grad(interpretability_loss)(case[2], LABELS)
    close(slope, np.broadcast_to(interpretability_slope(LABELS, C, 2 / 3), slope.shape))


@pytest.mark.parametrize(
    ("updates", "every", "horizon", "own", "other"),
    [
        (1, 50, 500, 0.3, -0.2),
        (10, 50, 500, 0.498, -0.332),
        (10, 100, 1000, 0.498, -0.332),
        (1000, 1, 1000, 32.7, -21.8),
    ],
)
def test_the_schedule_pushes_weights_as_far_as_derived(updates, every, horizon, own, other):
    rule = WeightRule(mle_scale=0.0)
    start = initial_weights(2, M, C)
    realism = jnp.ones_like(start)  # switched off by mle_scale

    def body(weights, i):
        return update_weights(weights, realism, LABELS, lambda3(i * every, horizon), rule), None

    weights = jax.lax.scan(body, start, jnp.arange(updates))[0]
    seen = weight_monitors(weights, LABELS)
    assert float(seen["w_own"]) == pytest.approx(own, rel=2e-3)
    assert float(seen["w_other"]) == pytest.approx(other, rel=2e-3)
    assert float(jnp.ptp(weights[:, 0, 0])) == 0.0


def test_schedule_ends():
    assert float(lambda3(0, 500)) == pytest.approx(3e-2)
    assert float(lambda3(250, 500)) == pytest.approx(3e-4, rel=1e-4)
    assert float(lambda3(9999, 500)) == pytest.approx(3e-6, rel=1e-4)


def test_realism_term_is_scaled_and_limited():
    realism = jnp.full((2, M, C), 5.0)
    start = initial_weights(2, M, C)
    push = update_weights(start, realism, LABELS, 1e-2, WeightRule(mle_scale=0.0))
    whole = update_weights(start, realism, LABELS, 1e-2, WeightRule())
    tenth = update_weights(start, realism, LABELS, 1e-2, WeightRule(mle_scale=0.1))
    close(whole - push, jnp.full_like(start, -50.0))
    close(tenth - push, jnp.full_like(start, -5.0))
    limited = update_weights(start, realism, LABELS, 1e-2, WeightRule(mle_limit=0.5)) - push
    close(jnp.sqrt(jnp.square(limited).mean()), 0.5 * jnp.sqrt(jnp.square(push).mean()))


def test_weights_follow_filters_that_change_groups(case):
    weights, new = case[2], LABELS.at[0].set(3).at[2].set(2)
    moved = follow_labels(weights, LABELS, new)
    close(moved[:, 0, 3], weights[:, 0, 0])
    close(moved[:, 0, 0], weights[:, 0, 3])
    close(moved[:, 2, 2], weights[:, 2, 1])
    still = jnp.array([1, 3, 4, 5, 6])
    np.testing.assert_array_equal(moved[:, still], weights[:, still])
    np.testing.assert_array_equal(follow_labels(moved, new, LABELS), weights)


def test_guidance_points_up_the_energy_and_can_be_clipped(case):
    f, _, weights = case
    rule = GuidanceRule(lambda2=0.05, clip=5.0)
    grads = jax.grad(guidance_loss)(f, weights, LABELS, rule)
    close(grads, -0.05 / N * jax.grad(lambda f: energy(f, weights, LABELS).sum())(f))
    assert not np.asarray(jax.grad(guidance_loss, 1)(f, weights, LABELS, rule)).any()
    norm = float(jnp.linalg.norm(grads))
    clipped, before = clip_guidance({"f": grads}, jnp.float32(norm / 50), rule)
    assert float(before) == pytest.approx(norm, rel=1e-5)
    assert float(jnp.linalg.norm(clipped["f"])) == pytest.approx(norm / 10, rel=1e-5)
    np.testing.assert_array_equal(clip_guidance(grads, jnp.float32(norm), rule)[0], grads)
    np.testing.assert_array_equal(clip_guidance(grads, jnp.float32(0), GuidanceRule())[0], grads)
    assert float(usual_norm(jnp.float32(0), jnp.float32(3), rule)) == 3.0
    assert float(usual_norm(jnp.float32(1), jnp.float32(3), rule)) == pytest.approx(1.2)


def updates(f, revised, weights, labels):
    """All that an interpretability step does with features and weights."""
    new = rules.update_weights(weights, model.realism_slope(f, revised, labels, 8), labels, 1e-2, WeightRule())
    return new, jax.grad(guidance_loss)(f, new, labels, GuidanceRule())


def test_nothing_large_is_formed_and_devices_share_the_batch():
    n, k, m, c = 32, 64, 32, 8
    labels = jnp.arange(m) % c
    shapes = [jax.ShapeDtypeStruct(s, jnp.float32) for s in ((n, k, m), (n, k, m), (k, m, c))]

    def compiled(devices):
        mesh = make_mesh(devices)
        whole, split = replicated(mesh), batched(mesh)
        how = {"in_shardings": (split, split, whole), "out_shardings": (whole, split)}
        return jax.jit(lambda *args: updates(*args, labels), **how).lower(*shapes).compile()

    one, many = compiled(jax.devices()[:1]), compiled(jax.devices())
    assert one.memory_analysis().temp_size_in_bytes < 0.5 * 4 * n * m * c * k
    assert many.cost_analysis()["flops"] <= 1.15 / 8 * one.cost_analysis()["flops"]
    assert " all-gather(" not in many.as_text()


def test_misspelt_switches_are_refused():
    with pytest.raises(GanxError, match="did you mean 'filter'"):
        EnergyForm(normalize="filters")
    with pytest.raises(GanxError, match="choose from: sum, mean"):
        EnergyForm(reduce="max")
    with pytest.raises(GanxError, match="choose from: rms, none"):
        scaled(filter_stats(jnp.ones((1, 2, 3))), "unit")

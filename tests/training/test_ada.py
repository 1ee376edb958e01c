"""The augmentation pipeline: the authors' numbers, what must be exact, chance, and gradients."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec
from jax.test_util import check_grads

from ganx.errors import GanxError
from ganx.training.ada import POLICIES, Policy, augment, get_policy
from ganx.training.ada.wavelets import EXPECTED_POWER, RESAMPLE, filter_bank
from ganx.training.mesh import make_mesh

PRESETS = {"blit", "geom", "color", "filter", "noise", "cutout", "bg", "bgc", "bgcf", "bgcfn", "bgcfnc"}
run = jax.jit(augment, static_argnames=("policy", "percentile"))

OURS = {
    "xflip": "flip",
    "xint": "shift",
    "aniso": "stretch",
    "xfrac": "drift",
    "lumaflip": "luma_flip",
    "imgfilter": "filter",
}


@pytest.fixture(scope="module")
def golden(shared):
    with np.load(shared / "goldens/sefa/ada_percentiles.npz") as file:
        return dict(file)


def test_every_transform_reproduces_the_authors_images(golden):
    images = golden["img"].transpose(0, 2, 3, 1)
    cases = [name for name in golden if "/" in name]
    assert len(cases) == 34
    worst = {}
    for name in cases:
        op, percentile = name.split("/")
        policy = POLICIES.get(op) or Policy(**{OURS.get(op, op): 1.0})
        ours = augment(images, jax.random.key(0), 1.0, policy, percentile=float(percentile))
        worst[name] = float(jnp.abs(ours - golden[name].transpose(0, 2, 3, 1)).max())
    assert max(worst.values()) < 5e-6, worst


def test_filters_are_the_authors(golden):
    np.testing.assert_allclose(RESAMPLE, golden["Hz_geom"], atol=1e-7)
    np.testing.assert_allclose(filter_bank(), golden["Hz_fbank"], atol=1e-7)


def test_the_bank_adds_up_to_the_identity_and_halving_undoes_doubling():
    impulse = np.zeros(43)
    impulse[21] = 1
    np.testing.assert_allclose(filter_bank().sum(0), impulse, atol=1e-12)
    for shift in range(0, 12, 2):
        overlap = 2 * (RESAMPLE[shift:] * RESAMPLE[: 12 - shift]).sum()
        np.testing.assert_allclose(overlap, float(shift == 0), atol=1e-8)
    assert EXPECTED_POWER.sum() == pytest.approx(1)


@pytest.fixture(scope="module")
def images():
    return jax.random.uniform(jax.random.key(7), (8, 8, 8, 3), minval=-1.0)


@pytest.fixture(scope="module")
def everything():
    """One program for every p: p is traced."""
    traces = []

    def run(images, key, p):
        traces.append(p)
        return augment(images, key, p, get_policy("bgcfnc"))

    return jax.jit(run), traces


def test_p_is_traced_and_zero_leaves_images_alone_to_the_bit(images, everything):
    program, traces = everything
    nothing = program(images, jax.random.key(0), jnp.float32(0))
    np.testing.assert_array_equal(nothing, images)
    half, one = (program(images, jax.random.key(0), jnp.float32(p)) for p in (0.5, 1))
    assert jnp.isfinite(one).all()
    assert (jnp.abs(one - images).max((1, 2, 3)) > 1e-3).all()
    assert jnp.abs(half - one).max() > 1e-3
    assert len(traces) == 1


def test_keys_decide(images, everything):
    program, _ = everything
    one, again, other = (program(images, jax.random.key(k), jnp.float32(0.8)) for k in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert jnp.abs(one - other).max() > 1e-2


def test_an_image_does_not_depend_on_its_neighbours(images):
    policy = get_policy("geom")
    here, there = (
        run(jnp.concatenate([images[:4], others]), jax.random.key(0), 0.5, policy)
        for others in (images[4:], jnp.zeros((4, 8, 8, 3)))
    )
    np.testing.assert_array_equal(here[:4], there[:4])


@pytest.mark.parametrize("p", [0.4, 1.0])
def test_flips_and_turns_happen_as_often_as_they_should(p):
    n = 4096
    draw = jnp.broadcast_to(jnp.arange(16.0).reshape(4, 4, 1) / 16, (n, 4, 4, 1))
    keys = jax.random.split(jax.random.key(3), 2)
    flipped = run(draw, keys[0], p, Policy(flip=1.0))
    share = float((flipped[:, 0, 0, 0] > flipped[:, 0, 3, 0]).mean())
    assert share == pytest.approx(p / 2, abs=0.04)
    turned = run(draw, keys[1], p, Policy(rotate90=1.0))[..., 0]
    corner = jnp.stack([turned[:, 0, 0], turned[:, 0, 3], turned[:, 3, 3], turned[:, 3, 0]], -1).argmin(-1)
    shares = np.bincount(np.asarray(corner), minlength=4) / n
    np.testing.assert_allclose(shares, [1 - 0.75 * p, p / 4, p / 4, p / 4], atol=0.04)


def test_augmented_sets_tell_which_set_they_came_from():
    """Non-leaking (paper, section 2.2): turns at random with p < 1 can be undone in distribution."""
    p, n = 0.6, 4096
    truth = np.array([0.7, 0.2, 0.1, 0.0])  # how often the bright corner is where, before augmentation
    corner = jnp.asarray(np.repeat(np.arange(4), (truth * n).round().astype(int)))
    places = jnp.array([[0, 0], [0, 3], [3, 3], [3, 0]])
    yy, xx = jnp.meshgrid(jnp.arange(4), jnp.arange(4), indexing="ij")
    bright = (yy == places[corner, 0, None, None]) & (xx == places[corner, 1, None, None])
    seen = run(bright[..., None].astype(jnp.float32), jax.random.key(5), p, Policy(rotate90=1.0))[..., 0]
    found = jnp.stack([seen[:, y, x] for y, x in places.tolist()], -1).argmax(-1)
    shares = np.bincount(np.asarray(found), minlength=4) / n
    mixing = (1 - p) * np.eye(4) + p / 4
    assert np.abs(shares - truth).max() > 0.1
    np.testing.assert_allclose(np.linalg.solve(mixing, shares), truth, atol=0.05)


def test_gradients_of_both_orders():
    x = jax.random.uniform(jax.random.key(1), (2, 4, 5, 1), minval=-1.0)
    policy = Policy(rotate=1.0, scale=1.0, contrast=1.0, filter=1.0, cutout=1.0)

    @jax.jit
    def cubed(x):
        return (augment(x, jax.random.key(2), 0.9, policy) ** 3).sum()

    check_grads(cubed, (x,), order=2, modes=("rev",), atol=2e-2, rtol=2e-2, eps=1e-2)


def test_the_gradient_is_the_transpose(images):
    """⟨A x, y⟩ = ⟨x, Aᵀ y⟩ for the linear part of the pipeline, for every image by itself."""

    def move(x):
        return augment(x, jax.random.key(4), 1.0, get_policy("bg"))

    x, y = images, jax.random.normal(jax.random.key(5), images.shape)
    moved, pulled = jax.jit(lambda x, y: (lambda out, pull: (out, pull(y)[0]))(*jax.vjp(move, x)))(x, y)
    np.testing.assert_allclose((moved * y).sum((1, 2, 3)), (x * pulled).sum((1, 2, 3)), atol=1e-4)


def test_grey_images_take_the_colour_transforms():
    grey = jax.random.uniform(jax.random.key(1), (2, 8, 8, 1), minval=-1.0)
    out = run(grey, jax.random.key(0), 1.0, get_policy("color"))
    assert out.shape == grey.shape
    assert jnp.isfinite(out).all()
    half = run(grey, jax.random.key(0), 1.0, Policy(contrast=1.0, contrast_std=0.0, luma_flip=1.0), percentile=0.8)
    np.testing.assert_allclose(half, -grey, atol=1e-6)


def test_bfloat16_in_and_out_with_float32_between(images):
    coarse = images.astype(jnp.bfloat16)
    policy = get_policy("color")
    ours = run(coarse, jax.random.key(0), 1.0, policy, percentile=0.3)
    exact = run(coarse.astype(jnp.float32), jax.random.key(0), 1.0, policy, percentile=0.3)
    assert ours.dtype == jnp.bfloat16
    np.testing.assert_array_equal(ours, exact.astype(jnp.bfloat16))


def test_the_batch_is_shared_by_the_devices_without_talk(images):
    mesh = make_mesh(jax.devices()[:4])
    policy = get_policy("bgc")

    def slope(x, mesh):
        return jax.grad(lambda x: jnp.square(augment(x, jax.random.key(0), 0.7, policy, mesh=mesh)).sum())(x)

    spread = jax.device_put(images, NamedSharding(mesh, PartitionSpec("data")))
    program = jax.jit(lambda x: slope(x, mesh)).lower(spread).compile()
    alone = jax.jit(lambda x: slope(x, None)).lower(images).compile()
    text = program.as_text()
    assert not any(word in text for word in ("all-gather(", "all-to-all(", "all-reduce(", "collective-permute("))
    assert program.cost_analysis()["flops"] <= alone.cost_analysis()["flops"] * 1.1 / 4
    np.testing.assert_allclose(program(spread), alone(images), atol=1e-4)


def test_presets_are_the_authors():
    assert set(POLICIES) == PRESETS
    fires = {name: {f for f in vars(policy) if getattr(policy, f) == 1.0} for name, policy in POLICIES.items()}
    strength = {"rotate_max", "hue_max", "filter_std", "saturation_std"}
    assert fires["bgc"] - strength == (fires["blit"] | fires["geom"] | fires["color"]) - strength
    assert fires["bgcfnc"] - strength == set().union(*fires.values()) - strength


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (lambda: get_policy("bcg"), "did you mean"),
        (lambda: Policy(flip=-1.0), "negative"),
        (lambda: Policy(bands=(1.0, 1.0)), "four"),
        (lambda: augment(jnp.zeros((2, 8, 8, 4)), jax.random.key(0), 0.0, get_policy("bg")), "1 or 3"),
        (lambda: augment(jnp.zeros((2, 8, 8, 3)), jax.random.key(0), 0.0, get_policy("bg"), percentile=1.0), "between"),
    ],
)
def test_bad_input_is_one_line(bad, words):
    with pytest.raises(GanxError, match=words) as error:
        bad()
    assert "\n" not in str(error.value)

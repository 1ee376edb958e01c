"""Every family answers to the same calls, and published variants of the weights can be had."""

import functools

import jax
import numpy as np
import pytest

from ganx import GanxError, codes, sefa
from ganx.models import init_gan
from ganx.sefa.space import decode
from ganx.sefa.weights import choose_layers, layer_stages, layer_weights

STYLE = {"latent": 8, "style": 8, "mapping_layers": 1}
SIZES = {
    "stylegan2": STYLE | {"resolution": 16, "channel_base": 128, "channel_max": 8},
    "stylegan": STYLE | {"resolution": 16, "channel_base": 128, "channel_max": 8},
    "stylegan3": STYLE | {"resolution": 16, "channel_base": 128, "channel_max": 8, "layers": 6},
    "pggan": {"resolution": 8, "latent": 6, "channel_base": 32, "channel_max": 8},
    "dcgan": {"resolution": 8, "width": 4, "latent": 6},
    "mlp": {"resolution": 8, "channels": 1, "width": 12, "latent": 6},
    "biggan": {"resolution": 32, "width": 4, "classes": 3},
    "biggan_deep": {"resolution": 32, "width": 4, "classes": 3},
}


@functools.cache
def fresh(family):
    return init_gan(family, SIZES[family], jax.random.key(0))


@pytest.fixture(scope="module", params=SIZES)
def gan(request):
    return fresh(request.param)


@pytest.fixture(scope="module")
def style():
    return fresh("stylegan2")


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_every_family_is_factorised(gan):
    """Acceptance checks 1, 2, 3 and 7 for every range of layers at once."""
    rows = {stage: np.asarray(x, np.float64) for stage, x in layer_weights(gan).items()}
    found = sefa.factorize_many(gan)
    for directions in found.values():
        a = unit(np.concatenate([rows[stage] for stage in directions.stages]))
        v, values = directions.vectors.astype(np.float64), directions.values
        assert len(directions) == directions.rank == np.linalg.matrix_rank(a)
        assert np.abs(v @ v.T - np.eye(len(v))).max() <= 5e-6
        assert np.linalg.norm(v @ a.T @ a - values[:, None] * v, axis=1).max() <= 1e-5 * values[0]
        assert abs(values.sum() - len(a)) <= 1e-5 * len(a)
        assert directions.space == ("w" if codes.style_based(gan) else "z")
    alone = sefa.factorize(gan)
    np.testing.assert_allclose(found["all"].values, alone.values, rtol=1e-5, atol=1e-5)
    assert found["all"].stages == tuple(stage for stage in rows if stage != "input")


def test_all_ranges_are_one_program_which_is_compiled_once(style, caplog):
    """Acceptance check 11 as far as it does not depend on the machine; `scripts/bench/sefa.py` has the times."""
    ranges = sefa.every_range(style)
    with jax.log_compiles(), caplog.at_level("WARNING"):
        sefa.factorize_many(style, ranges, row_normalize=False)
        sefa.factorize_many(jax.tree.map(lambda x: 2 * x, style), ranges, row_normalize=False)
    assert len(ranges) == 10
    assert sum("Finished XLA compilation of jit(decompose)" in record.getMessage() for record in caplog.records) == 1


def test_the_pose_of_a_stylegan3_is_left_out_unless_asked_for():
    gan = fresh("stylegan3")
    assert sefa.factorize(gan).layers == tuple(range(1, 8))
    assert choose_layers(layer_stages(gan), "0-1") == (0, 1)
    with pytest.raises(GanxError, match="all zero"):  # as the pose starts in training
        sefa.factorize(gan, "0")
    assert sefa.groups(gan) == {"bottom": "1-2", "middle": "3-6", "top": "7-7"}


def test_the_image_layers_of_published_variants(style):
    """rosinality's code has the first image layer and not the last, and does not normalise rows."""
    kernels = {stage: np.asarray(style.variables["params"][stage]["style"]["kernel"]).T for stage in style.stages[1:]}
    convs = [kernels[f"layer{i}"] for i in range(5)]
    stacks = {
        "last": [*convs, kernels["rgb2"]],
        "first": [*convs, kernels["rgb0"]],
        "all": [*convs, kernels["rgb0"], kernels["rgb1"], kernels["rgb2"]],
        "none": convs,
    }
    for choice, stack in stacks.items():
        singular = np.linalg.svd(np.concatenate(stack).astype(np.float64), full_matrices=False)
        found = sefa.factorize(style, row_normalize=False, include_torgb=choice)
        np.testing.assert_allclose(found.values, singular[1] ** 2, rtol=1e-4)
        assert np.abs((found.vectors * singular[2]).sum(1)).min() >= 1 - 1e-4
    with pytest.raises(GanxError, match="all zero"):
        sefa.factorize(style, "5", include_torgb="none")
    with pytest.raises(GanxError, match="include_torgb"):
        sefa.factorize(style, include_torgb="every")


def test_chunks_of_a_biggan_have_directions_of_their_own():
    gan = fresh("biggan")
    size = gan.module.chunk()
    found = sefa.factorize_many(gan, ["0", "2"])
    assert not found["0"].vectors[:, size:].any()
    assert not found["2"].vectors[:, : 2 * size].any()
    assert found["2"].vectors.any()


def test_layers_of_a_biggan_deep_can_have_a_z_of_their_own():
    gan = fresh("biggan_deep")
    z, label = gan.latents(jax.random.key(1), 2), gan.labels(jax.random.key(1), 2)
    found = sefa.factorize(gan, "1", k=1)
    moved = sefa.move(gan, z, found.vectors[0], [0.0, 2.0], found.layers)
    count = len(layer_weights(gan))
    assert moved.shape == (2, 2, count, *gan.spec.latent)
    np.testing.assert_array_equal(moved[:, 1, 0], z)
    paint = jax.jit(decode)
    np.testing.assert_allclose(paint(gan, moved[:, 0], label), paint(gan, z, label), atol=1e-5)
    assert np.abs(paint(gan, moved[:, 1], label) - paint(gan, z, label)).max() > 1e-4
    everywhere = sefa.move(gan, z, found.vectors[0], [2.0], "all")[:, 0]
    repeated = np.repeat(np.asarray(everywhere)[:, None], count, 1)
    np.testing.assert_allclose(paint(gan, repeated, label), paint(gan, everywhere, label), atol=1e-5)

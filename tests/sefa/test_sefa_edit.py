"""Edits move what they should and nothing else, and top directions show."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganx import GanxError, codes, sefa
from ganx.convert import import_checkpoint
from ganx.models import init_gan
from ganx.sefa.lens import groups

TINY = {"resolution": 16, "latent": 8, "style": 8, "mapping_layers": 1, "channel_base": 128, "channel_max": 8}


@pytest.fixture(scope="module")
def style():
    return init_gan("stylegan2", TINY, jax.random.key(0))


@pytest.fixture(scope="module")
def plain():
    return init_gan("dcgan", {"resolution": 8, "width": 4, "latent": 6}, jax.random.key(0))


def test_style_directions_come_from_the_chosen_layers(style):
    found = sefa.factorize(style, "2-5")
    assert found.layers == (2, 3, 4, 5)
    assert found.stages == ("layer2", "layer3", "layer4", "rgb2")
    assert abs(found.values.sum() - 4 * 8) <= 1e-3
    with pytest.raises(GanxError, match="layers 0 to 5"):
        sefa.factorize(style, "6")


def test_only_the_chosen_layers_move(style):
    code = codes.encode(style, style.latents(jax.random.key(1), 2))
    moved = sefa.move(style, code, np.eye(8)[0], [-2.0, 0.0, 3.0], "1-2")
    assert moved.shape == (2, 3, 6, 8)
    np.testing.assert_array_equal(moved[:, :, [0, 3, 4, 5]], np.broadcast_to(code[:, None, [0, 3, 4, 5]], (2, 3, 4, 8)))
    np.testing.assert_allclose(moved[:, 2, 1:3, 0] - code[:, 1:3, 0], 3.0, rtol=1e-6)
    np.testing.assert_array_equal(moved[:, 1], code)


def test_edits_come_after_truncation(style):
    z = style.latents(jax.random.key(1), 2)
    edited = sefa.edit(style, z, np.eye(8)[0], [0.0, 1.0], "all", psi=0.5)
    by_hand = codes.encode(style, z, 0.5).at[..., 0].add(1.0)
    np.testing.assert_allclose(edited[:, 0], style(z, psi=0.5), atol=1e-5)
    np.testing.assert_allclose(edited[:, 1], codes.decode(style, by_hand), atol=1e-5)


def test_other_families_move_in_z(plain):
    z = plain.latents(jax.random.key(1), 2)
    vector = sefa.factorize(plain, k=1).vectors[0]
    edited = sefa.edit(plain, z, vector, [0.5])
    assert edited.shape == (2, 1, 8, 8, 3)
    np.testing.assert_allclose(edited[:, 0], plain(z + 0.5 * vector), atol=1e-6)


def test_biases_and_norms_do_not_matter(plain):
    shifted = jax.tree.map_with_path(
        lambda path, x: x if "kernel" in jax.tree_util.keystr(path) else x + 1.0, plain.variables
    )
    other = sefa.factorize(type(plain)(plain.module, shifted, plain.spec))
    np.testing.assert_array_equal(other.vectors, sefa.factorize(plain).vectors)


def test_groups_cover_every_layer_once(style, plain):
    layers = [i for text in groups(style).values() for i in sefa.parse_layers(text, 6)]
    assert layers == list(range(6))
    assert groups(plain) == {"all": "all"}


def test_top_directions_of_real_faces_show_more_than_random_ones(shared):
    gan = import_checkpoint(shared / "data/face-dcgan32/generator.pt").gan
    found = sefa.factorize(gan, k=8)
    random = np.linalg.qr(np.random.default_rng(0).normal(size=(100, 8)))[0].T
    code = gan.latents(jax.random.key(0), 4)
    change = {}
    for name, vectors in (("top", found.vectors), ("random", random)):
        moved = jax.vmap(lambda v: sefa.move(gan, code, v, [-2.0, 2.0]))(jnp.asarray(vectors, jnp.float32))
        pictures = codes.paint(gan, moved).astype(float)
        change[name] = np.abs(pictures - codes.paint(gan, code)[None, :, None]).mean((1, 2, 3, 4, 5)) / 127.5
    assert change["top"].min() > change["random"].max()
    assert change["top"].mean() > 2 * change["random"].mean()

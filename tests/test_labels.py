"""Class labels wherever a GAN is used: drawn in one place, asked for where they are missing, shown by every lens."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toy

import ganx
from ganx import codes, sefa
from ganx.data import open_source
from ganx.models import FAMILIES, init_gan
from ganx.report import explain

STYLED = {"resolution": 8, "latent": 4, "style": 4, "mapping_layers": 1, "channel_base": 32, "channel_max": 4}


@pytest.fixture(scope="module", params=["toy", "stylegan2"])
def gan(request):
    FAMILIES["toy"] = toy.FAMILY
    options = STYLED if request.param == "stylegan2" else {}
    yield init_gan(request.param, {**options, "classes": 3}, jax.random.key(0))
    del FAMILIES["toy"]


def test_labels_are_uniform_and_none_without_classes(gan):
    label = gan.labels(jax.random.key(0), 3000)
    assert label.dtype == jnp.int32
    np.testing.assert_allclose(np.bincount(label) / 3000, 1 / 3, atol=0.03)
    plain = init_gan("dcgan", {"resolution": 8, "width": 2, "latent": 4}, jax.random.key(0))
    assert plain.labels(jax.random.key(0), 3) is None
    assert plain(plain.latents(jax.random.key(1), 3), label=None).shape == (3, 8, 8, 3)
    with pytest.raises(ganx.GanxError, match="no classes; leave label out"):
        plain(plain.latents(jax.random.key(1), 3), label=jnp.zeros(3, jnp.int32))


def test_the_label_changes_the_picture_and_one_serves_all(gan):
    z = gan.latents(jax.random.key(1), 2)
    one, other = (gan(z, label=jnp.full(2, c)) for c in (1, 2))
    assert (one != other).any()
    assert (gan(z, label=1) == one).all()


def test_a_known_label_inside_a_callers_jit(gan):
    z, label, wrong = gan.latents(jax.random.key(1), 2), jnp.array([1, 2]), jnp.array([1, 3])
    np.testing.assert_allclose(jax.jit(lambda z: gan(z, label=label))(z), gan(z, label=label), atol=1e-5)
    with pytest.raises(ganx.GanxError, match="no class 3"):
        jax.jit(lambda z: gan(z, label=wrong))(z)


@pytest.mark.parametrize(
    ("label", "words"),
    [
        (None, "knows 3 classes; say which"),
        ([0, 3], "no class 3; this GAN knows 0 to 2"),
        ([-1, 0], "no class -1"),
        ([0, 1, 2], "one class number or 2 of them"),
        ([0.0, 1.0], "not float32"),
    ],
)
def test_bad_labels_are_one_line(gan, label, words):
    z = gan.latents(jax.random.key(1), 2)
    with pytest.raises(ganx.GanxError, match=words) as info:
        gan(z, label=None if label is None else jnp.array(label))
    assert "\n" not in str(info.value)


def test_codes_carry_their_class(gan):
    """Painting any shape of codes draws what the generator draws for each code's own class."""
    z, label = gan.latents(jax.random.key(1), 6), gan.labels(jax.random.key(1), 6)
    whole = ganx.pictures.to_uint8(np.asarray(gan(z, label=label)))
    code = codes.encode(gan, z, label=label).reshape(2, 3, *codes.code_shape(gan))
    painted = codes.paint(gan, code, label=label.reshape(2, 3))
    assert np.abs(painted.reshape(whole.shape).astype(int) - whole).max() <= 1
    moved = sefa.edit(gan, z, np.zeros(code.shape[-1]), np.zeros(1), label=label)
    np.testing.assert_allclose(moved[:, 0], gan(z, label=label), atol=1e-5)


def test_a_saved_conditional_gan_opens(gan, tmp_path):
    ganx.save(gan, tmp_path / "gan", live=gan.variables)
    again = ganx.load(tmp_path / "gan")
    assert again.spec == gan.spec
    assert again.spec.classes == 3


def test_every_lens_looks_at_a_conditional_gan(gan, tmp_path):
    lenses = ["samples"] if codes.style_based(gan) else ["samples", "walk", "stages", "sefa"]
    explain(gan, tmp_path, samples=8, only=lenses)
    seen = json.loads((tmp_path / "report.json").read_text())
    assert seen["classes"] == 3
    assert set(lenses) == set(seen["sections"])


def test_a_world_is_labelled_by_the_attribute_one_asks_for():
    source = open_source("world:digits?label=colour&size=16")
    batch = source.gather(np.arange(20))
    np.testing.assert_array_equal(batch.label, batch.attrs["colour"])
    assert (source.spec.classes, source.spec.labels[0]) == (5, "red")
    assert open_source(source.spec.name) == source
    assert open_source("world:faces?label=hair").spec.classes == 4
    assert open_source("world:digits").spec.classes == 10
    with pytest.raises(ganx.GanxError, match="did you mean 'colour'"):
        open_source("world:digits?label=color")

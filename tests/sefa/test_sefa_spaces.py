"""Edits in W and in Z, before and after truncation, several at once; named directions in a file."""

import dataclasses

import jax
import numpy as np
import pytest

from ganx import GanxError, codes, sefa
from ganx.models import init_gan
from ganx.sefa.annotations import annotate, load_annotations, named, save_annotations
from ganx.sefa.batches import draw_samples
from ganx.sefa.rescore import moved_codes

TINY = {"resolution": 8, "latent": 8, "style": 8, "mapping_layers": 1, "channel_base": 64, "channel_max": 8}


@pytest.fixture(scope="module")
def style():
    return init_gan("stylegan2", TINY, jax.random.key(0))


@pytest.fixture(scope="module")
def z(style):
    return style.latents(jax.random.key(1), 2)


def test_steps_before_truncation_shrink_with_it(style, z):
    vector = sefa.factorize(style, k=1).vectors[0]
    cut = {"psi": 0.5, "cutoff": 2}
    before = sefa.edit(style, z, vector, [2.0], before_truncation=True, **cut)
    code = style.until("map", z, **cut).features
    code = code + np.where(np.arange(4) < 2, 1.0, 2.0)[:, None] * vector
    np.testing.assert_allclose(before[:, 0], codes.decode(style, code), atol=1e-5)


def test_edits_in_z_go_through_the_mapping(style, z):
    vector = np.eye(8, dtype=np.float32)[3]
    edited = sefa.edit(style, z, vector, [1.5], psi=0.7, space="z")
    np.testing.assert_allclose(edited[:, 0], style(z + 1.5 * vector, psi=0.7), atol=1e-5)
    with pytest.raises(GanxError, match='"z" or "w"'):
        sefa.edit(style, z, vector, [1.0], space="wp")


def test_directions_in_z_move_latents_that_are_mapped_and_truncated_again(style):
    samples = draw_samples(style, jax.random.key(4), 6, psi=0.6, cutoff=2)
    found = dataclasses.replace(sefa.random_directions(style, jax.random.key(5), k=1), space="z")
    vector = found.vectors[0]
    moved = moved_codes(style, samples, found, vector, 0.5)
    by_hand = style.until("map", samples.z + 0.5 * vector, psi=0.6, cutoff=2).features
    np.testing.assert_allclose(moved, by_hand, atol=1e-6)
    assert np.abs(moved - samples.codes).max() > 0.01


def test_several_edits_add_up(style, z):
    code = np.asarray(style.until("map", z).features)
    low, high = sefa.factorize(style, "0-1", k=2), sefa.factorize(style, "2-3", k=2)
    both = sefa.shifted(style, code, [(low, 1, 2.0), (high, 0, -1.0)])
    np.testing.assert_allclose(both[:, :2], code[:, :2] + 2 * low.vectors[1], atol=1e-6)
    np.testing.assert_allclose(both[:, 2:], code[:, 2:] - high.vectors[0], atol=1e-6)


def test_traverse_goes_in_natural_steps(style, z):
    found = sefa.factorize(style, "0-1", k=2)
    scaled = dataclasses.replace(found, scales=np.array([1.0, 3.0], np.float32))
    strips = sefa.traverse(style, z, scaled, [0.0, 1.0])
    assert strips.shape == (2, 2, 2, 8, 8, 3)
    one = sefa.edit(style, z, found.vectors[1], [3.0], "0-1")
    np.testing.assert_allclose(strips[1][:, 1], one[:, 0], atol=1e-5)


def test_names_survive_a_file(style, tmp_path):
    found = sefa.factorize(style, "0-1", k=3)
    path = tmp_path / "directions.json"
    save_annotations(path, annotate(found, {1: "smile", 2: "age"}, flip=[1], interval=(-2.0, 4.0)))
    save_annotations(path, annotate(found, {0: "age"}))  # the later one of a name stays
    assert [a.label for a in load_annotations(path)] == ["smile", "age"]
    smile = named(path, "smile").as_directions(style)
    np.testing.assert_array_equal(smile.vectors[0], -found.vectors[1])
    assert (smile.layers, smile.label(0), named(path, "smile").interval) == ((0, 1), "smile", (-2.0, 4.0))
    with pytest.raises(GanxError, match="did you mean 'smile'"):
        named(path, "smil")
    other = init_gan("dcgan", {"resolution": 8, "width": 4, "latent": 6}, jax.random.key(0))
    with pytest.raises(GanxError, match="of another GAN"):
        named(path, "smile").as_directions(other)
    path.write_text("[]")
    with pytest.raises(GanxError, match="no annotation file"):
        load_annotations(path)


def test_directions_that_do_not_exist_are_refused(style):
    found = sefa.factorize(style, k=2)
    with pytest.raises(GanxError, match="direction 2 does not exist"):
        found.pick([2])
    with pytest.raises(GanxError, match="ask for one at least"):
        sefa.factorize(style, k=0)
    with pytest.raises(GanxError, match="no 9 orthogonal"):
        sefa.random_directions(style, jax.random.key(0), k=9)

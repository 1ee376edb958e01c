"""GANs on disk: what cannot be opened says why in one line."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import numpy as np
import pytest

import ganx
from ganx.data.worlds import world
from ganx.models import build_discriminator, init_gan
from ganx.models.initialise import initialise
from ganx.store import MANIFEST, load_discriminator, writable_folder


@pytest.fixture(scope="module")
def gan():
    return init_gan("dcgan", {"resolution": 8, "width": 2, "latent": 4}, jax.random.key(0))


@pytest.fixture
def saved(gan, tmp_path):
    return ganx.save(gan, tmp_path / "gan")


def refuses(words, call):
    with pytest.raises(ganx.GanxError) as info:
        call()
    assert words in str(info.value)
    assert "\n" not in str(info.value)


def test_discriminator_travels_with_the_gan(gan, tmp_path):
    module = build_discriminator("dcgan", {"resolution": 8, "width": 2})
    images = gan(gan.latents(jax.random.key(1), 4))
    variables = initialise(module.init, jax.random.key(2), images)
    ganx.save(gan, tmp_path / "pair", (module, variables))
    again, loaded = load_discriminator(tmp_path / "pair")
    assert (again.apply(loaded, images) == module.apply(variables, images)).all()


def test_loading_what_is_not_there(tmp_path):
    refuses("no GAN at", lambda: ganx.load(tmp_path / "nothing"))
    refuses("no GAN named 'fases'", lambda: ganx.load("fases"))


def test_loading_what_is_no_checkpoint(tmp_path):
    refuses("not a ganx checkpoint", lambda: ganx.load(tmp_path))
    (tmp_path / "model.pt").write_bytes(b"x")
    refuses("ganx import", lambda: ganx.load(tmp_path / "model.pt"))


def test_another_family_is_refused(saved):
    assert ganx.load(saved, family="dcgan").spec.family == "dcgan"
    refuses("holds a dcgan, not a stylegan2", lambda: ganx.load(saved, family="stylegan2"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": 99}, "checkpoint format 99"),
        ({"family": "dcgann"}, "did you mean 'dcgan'"),
        ({"generator": {"blobs": 1}}, "newer ganx"),
    ],
)
def test_a_manifest_from_elsewhere_is_refused(saved, change, words):
    path = saved / MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    refuses(words, lambda: ganx.load(saved))


def test_a_damaged_manifest_is_refused(saved):
    (saved / MANIFEST).write_text("{")
    refuses("damaged", lambda: ganx.load(saved))


def test_damaged_weights_are_refused(saved):
    for file in Path(saved / "generator").rglob("*"):
        if file.is_file() and file.stat().st_size > 500:
            file.write_bytes(file.read_bytes()[:100])
    refuses("cannot be read", lambda: ganx.load(saved))


def test_weights_of_another_size_are_refused(saved):
    path = saved / MANIFEST
    manifest = json.loads(path.read_text())
    manifest["generator"]["latent"] = 5
    path.write_text(json.dumps(manifest))
    refuses("cannot be read", lambda: ganx.load(saved))


def test_saving_does_not_overwrite(gan, saved):
    refuses("already holds a GAN", lambda: ganx.save(gan, saved))


def test_saving_where_nothing_can_be_written(gan, tmp_path):
    (tmp_path / "file").write_text("")
    refuses("cannot write", lambda: ganx.save(gan, tmp_path / "file" / "gan"))


def test_the_bundled_faces_open_by_name_and_draw_faces():
    """Class shares by the colour oracle, close to the world's: what the demo promises."""
    gan = ganx.load("faces32")
    faces = world("faces", size=32, split="test")
    images = jax.jit(lambda gan, z: gan(z))(gan, gan.latents(jax.random.key(5), 256))
    truth, drawn = (
        np.asarray(faces.pixel_shares(faces.oracle(x))).mean(0) for x in (faces.gather(np.arange(256)).image, images)
    )
    assert np.abs(truth - drawn).sum() / 2 < 0.08
    skin, hair = (faces.spec.masks.index(name) for name in ("skin", "hair"))
    assert drawn[skin] == pytest.approx(truth[skin], rel=0.2)
    assert drawn[hair] == pytest.approx(truth[hair], rel=0.2)


def test_processes_that_share_a_folder_do_not_disturb_each_other(tmp_path):
    """As threads, which meet more often."""
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: writable_folder(tmp_path / "run"), range(400)))
    assert {str(folder) for folder in found} == {str(tmp_path / "run")}
    assert not list((tmp_path / "run").iterdir())

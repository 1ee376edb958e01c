"""From images to a table: one answer whatever the batch and the devices, kept references, and what is refused."""

import json

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ganx
from ganx import GanxError, cli
from ganx.data import open_source
from ganx.metrics import evaluate, frechet, load_features, path_length, user_features
from ganx.metrics import weights as weight_files
from ganx.metrics.collect import collect, gan_batches, sample
from ganx.metrics.path_length import trimmed_mean
from ganx.metrics.presets import PRESETS, prepare, preset
from ganx.metrics.schedule import Schedule
from ganx.models import make_gan
from ganx.models.staged import StagedGenerator
from ganx.training.mesh import make_mesh


class LinearGenerator(StagedGenerator):
    """Styles are latents as they are, images a linear map of them: path lengths have a closed form."""

    prior = "normal"

    def setup(self):
        self.map = nn.Dense(6, use_bias=False)
        self.rgb = nn.Dense(4 * 4 * 3, use_bias=False)

    def stage_names(self):
        return ("map", "rgb")

    def latent_shape(self):
        return (6,)

    def begin(self, z, psi=1.0):
        return z, {}

    def run_stage(self, name, features, context, train):
        if name == "map":
            return self.map(features)[:, None], context
        return self.rgb(features[:, 0]).reshape(-1, 4, 4, 3), context


@pytest.fixture(scope="module")
def linear():
    random = np.random.default_rng(0)
    params = {
        "map": {"kernel": jnp.eye(6)},
        "rgb": {"kernel": jnp.asarray(random.normal(size=(6, 48)), jnp.float32)},
    }
    return make_gan("linear", LinearGenerator(), {"params": params})


def pixels(images):
    """Features for tests: 16 block means a channel."""
    n, h, w, c = images.shape
    return images.astype(jnp.float32).reshape(n, 4, h // 4, 4, w // 4, c).mean((2, 4)).reshape(n, -1) / 64


@pytest.fixture(scope="module")
def faces():
    return open_source("world:faces?size=32")


@pytest.fixture(scope="module")
def scored(faces, tmp_path_factory):
    """The bundled GAN's scores, and the folder that its reference was kept in."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("references")
        patch.setenv("GANX_CACHE", str(folder))
        options = {"count": 44, "real_count": 48, "batch": 16}
        return evaluate(faces, ganx.load("faces32"), ("fid", "kid", "pr", "dc"), **options), folder


def test_the_table_and_the_facts_say_what_was_done(scored):
    found, _ = scored
    names = [score.name for score in found.scores]
    assert names == ["FD-faces", "KD-faces", "KD-faces (subsets)", "precision", "recall", "density", "coverage"]
    assert "FD-faces" in found.table()
    assert "FID" not in found.table()
    told = json.loads(found.to_json())["facts"]
    assert told["preset"]["name"] == "tf"
    assert (told["real"]["count"], told["fake"]["count"], told["fake"]["seed"]) == (48, 44, 0)
    assert all(len(text) == 64 for text in (told["real"]["content"], told["fake"]["sha256"], told["network"]["sha256"]))
    assert told["versions"]["jax"] == jax.__version__


def test_batches_devices_and_a_kept_reference_change_nothing(scored, faces, monkeypatch):
    found, folder = scored
    monkeypatch.setenv("GANX_CACHE", str(folder))
    kept = list(folder.iterdir())
    assert len(kept) == 1
    gan, options = ganx.load("faces32"), {"count": 44, "real_count": 48}
    again = evaluate(faces, gan, ("fid", "pr", "dc"), batch=24, mesh=make_mesh(), **options)
    assert list(folder.iterdir()) == kept
    assert again["FD-faces"] == pytest.approx(found["FD-faces"], rel=1e-5)
    for name in ("precision", "recall", "density", "coverage"):
        assert again[name] == found[name], name
    assert again.facts["real"] == found.facts["real"]


def test_a_sample_depends_on_the_seed_and_its_index_alone(linear):
    def drawn(batch, mesh=None, seed=3):
        parts = [np.asarray(images)[mask] for images, mask in gan_batches(linear, 21, batch, seed, mesh)]
        return np.concatenate(parts)

    np.testing.assert_array_equal(drawn(5), drawn(21))
    np.testing.assert_array_equal(drawn(5), drawn(8, make_mesh()))
    assert (drawn(5) != drawn(5, seed=4)).any()


def test_images_against_themselves_and_damaged_ones(faces):
    """FD-faces is about 0 for the same faces, small for other faces, and grows with noise."""
    net, how = load_features("faces"), preset("tf")
    images = faces.gather(np.arange(200)).image
    random = np.random.default_rng(0)

    def moments(pictures):
        batches = ((jnp.asarray(pictures[i : i + 100]), np.ones(100, bool)) for i in (0, 100))
        return collect(batches, net, how).moments

    noisy = [np.clip(images + random.normal(0, s, images.shape), 0, 255).astype(np.uint8) for s in (0, 20, 60)]
    values = [frechet(moments(images), moments(x)).value for x in noisy]
    assert abs(values[0]) < 1e-4
    assert values == sorted(values)
    others = frechet(moments(images), moments(faces.gather(np.arange(200, 400)).image)).value
    assert values[0] < others < values[2]


def test_path_length_of_a_linear_generator_is_known(linear):
    def distance(a, b):
        return jnp.square(a - b).sum((1, 2, 3))

    kernel = np.asarray(linear.variables["params"]["rgb"]["kernel"])
    for options in ({"space": "w", "sampling": "end"}, {"space": "w", "sampling": "full", "mesh": make_mesh()}):
        found = path_length(linear, distance, count=48, batch=16, epsilon=1e-2, seed=1, **options)
        z = jnp.concatenate([gan_latents(linear, i, 1) for i in range(96)])
        want = np.square((np.asarray(z[1::2]) - np.asarray(z[::2])) @ kernel).sum(1)
        np.testing.assert_allclose(found.lengths, want, rtol=2e-3)
        assert found.mean == pytest.approx(trimmed_mean(want), rel=2e-3)
        assert found.name == f"ppl2_w{options['sampling']}"
    turned = path_length(linear, distance, count=48, batch=16, epsilon=1e-2, seed=1, space="z")
    a, b = np.asarray(z[::2]), np.asarray(z[1::2])
    la, lb = np.linalg.norm(a, axis=1, keepdims=True), np.linalg.norm(b, axis=1, keepdims=True)
    angle = np.arccos(((a / la) * (b / lb)).sum(1, keepdims=True))
    tangent = (b / lb - a / la * np.cos(angle)) / np.sin(angle)
    speed = (angle * tangent * la + (lb - la) * a / la) @ kernel  # of the great circle at its start
    np.testing.assert_allclose(turned.lengths, np.square(speed).sum(1), rtol=5e-2)


def gan_latents(gan, index, seed):
    return sample(gan, seed, jnp.asarray([index]))[0]


def test_the_mean_path_leaves_out_the_extremes():
    values = np.concatenate([np.ones(198), [1e9, -1e9]])
    assert trimmed_mean(values) == 1


def test_scores_during_training_arrive_later_and_equal_the_direct_ones(linear):
    source = open_source("world:faces?size=32&length=40")
    net = user_features("pixels", pixels)
    told = {}

    def draw(scale, key, n):
        return jnp.clip(scale * jax.random.normal(key, (n, 32, 32, 3)), -1, 1)

    schedule = Schedule(draw, source, net, told.__setitem__, images=40, batch=16, mesh=make_mesh())
    schedule(jnp.float32(0.1), 10)
    schedule(jnp.float32(0.9), 20)
    schedule.close()
    assert list(told) == [10, 20]
    assert told[10].keys() == {"FD-pixels"}
    again = Schedule(draw, source, net, told.__setitem__, images=40, batch=16)
    again(jnp.float32(0.1), 11)
    again.close()
    assert told[11]["FD-pixels"] == pytest.approx(told[10]["FD-pixels"], rel=1e-5)


def test_presets_differ_where_they_should():
    grey = np.full((1, 20, 20, 1), 255, np.uint8)
    for name in ("tf", "ada", "clean", "torchmetrics"):
        np.testing.assert_allclose(prepare(grey, PRESETS[name], 30), 127 / 128, rtol=1e-6)
    np.testing.assert_allclose(prepare(grey, PRESETS["pytorch_fid"], 30), 1.0, rtol=1e-6)
    assert prepare(grey, PRESETS["tf"], 30).shape == (1, 30, 30, 3)
    assert {name for name, how in PRESETS.items() if how.ddof == 0} == {"ada"}
    with pytest.raises(GanxError, match="wants 299"):
        prepare(grey, PRESETS["none"], 299)
    with pytest.raises(GanxError, match="did you mean 'clean'"):
        preset("cleen")


def test_missing_weights_are_one_line_with_file_hash_and_place(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GANX_WEIGHTS", str(tmp_path))
    assert cli.main(["metrics", "world:scenes?size=32", "faces32"]) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    wanted = weight_files.FILES["inception"]
    for text in (wanted.file, wanted.sha256, str(tmp_path), "downloads nothing"):
        assert text in line
    (tmp_path / wanted.file).write_bytes(b"something else")
    with pytest.raises(GanxError, match="is not the published file"):
        load_features("inception")
    (tmp_path / "x.pth").write_bytes(b"something else")
    with pytest.raises(GanxError, match=r"x\.pth"):
        load_features("inception", tmp_path / "x.pth")


def test_the_command_prints_a_table_and_writes_json(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GANX_CACHE", str(tmp_path / "cache"))
    out = tmp_path / "scores.json"
    sides = ["world:faces?size=32", "world:faces?size=32&split=test"]
    asked = ["--which", "fid,pr", "--count", "48", "--real-count", "48", "--batch", "16", "--json", str(out)]
    assert cli.main(["metrics", *sides, *asked]) == 0
    printed = capsys.readouterr().out
    assert "FD-faces" in printed
    assert "48 generated against 48 real images" in printed
    assert json.loads(out.read_text())["facts"]["fake"]["source"] == "world:faces?size=32&split=test"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["world:faces?size=32", "faces32", "--which", "fod"], "did you mean 'fid'"),
        (["world:faces?size=64", "faces32"], "?size=32"),
        (
            ["world:faces?size=32&length=9", "faces32", "--real-count", "10", "--no-cache"],
            "has 9 images, fewer than 10",
        ),
        (["world:faces?size=32", "faces32", "--count", "1"], "too small"),
        (["world:faces?size=32", "faces32", "--net", "face"], "did you mean 'faces'"),
        (["world:faces?size=32", "faces32", "--which", "is", "--count", "20", "--batch", "32"], "no logits"),
        (["world:faces?size=32", "world:faces?size=32", "--which", "ppl"], "needs a GAN"),
    ],
)
def test_bad_input_is_one_line(words, message, capsys):
    assert cli.main(["metrics", *words]) == 2
    line = capsys.readouterr().err
    assert message in line
    assert line.count("\n") == 1

"""Re-scoring: what directions change is measured on generators whose answer is known."""

import argparse
import json
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ganx
from ganx import GanxError, cli, sefa
from ganx.data.worlds import world
from ganx.models import init_gan
from ganx.sefa.commands import truncation
from ganx.sefa.directions import Directions
from ganx.sefa.predictors import Predictor, as_predictor, find_predictor, world_predictor
from ganx.sefa.rescore import Rescore, frechet_along, rescore
from ganx.store import save


@pytest.fixture(scope="module")
def gan():
    return init_gan("dcgan", {"resolution": 8, "width": 4, "latent": 6}, jax.random.key(0))


def brightness(images):
    return {"mean": images.mean((1, 2, 3)), "left": images[:, :, :4].mean((1, 2, 3))}


def red(images):
    return {"red": 100 * images[..., 0].mean((1, 2))}


def flat(images):
    return images.reshape(len(images), -1)[:, :12]


def test_changes_are_means_over_the_same_samples(gan):
    found = sefa.factorize(gan, k=2)
    result = rescore(gan, as_predictor(brightness, gan), found, jax.random.key(1), n=40, alpha=0.5)
    from ganx.sefa.batches import draw_samples

    mean = result.columns.index("mean")
    z = draw_samples(gan, jax.random.key(1), 40).codes
    for i, vector in enumerate(found.vectors):
        change = np.asarray(gan(z + 0.5 * vector) - gan(jnp.asarray(z))).mean((1, 2, 3), dtype=np.float64)
        assert abs(result.change[i, mean] - change.mean()) <= 1e-6
        assert abs(result.error[i, mean] - change.std(ddof=1) / np.sqrt(40)) <= 1e-6
        assert abs(result.consistent[i, mean] - (np.sign(change) == np.sign(change.mean())).mean()) <= 1e-9


def made(change, error=0.001, columns=("a", "b=x", "b=y", "b=z")):
    change = np.asarray(change, float)
    one = np.ones_like(change)
    labels = tuple(f"Direction {i + 1}" for i in range(len(change)))
    return Rescore(labels, columns, change, error * one, one, one[0], 1.0, 100)


def test_directions_are_matched_shared_and_named():
    found = made([[0.1, 0.3, -0.3, 0.0], [-0.6, 0.0, 0.1, -0.1], [0.0, 0.0, 0.001, 0.0]])
    np.testing.assert_allclose(found.effects(), [[0.1, 0.3], [0.6, 0.1], [0.0, 0.0005]])
    assert [(m.attribute, m.direction) for m in found.best()] == [("a", 1), ("b", 0)]
    assert abs(found.diagonal() - (6 / 7 + 3 / 4) / 2) <= 1e-12
    assert found.names() == (("b=x", 1), ("a", -1), ("", 1))
    assert not made(np.zeros((2, 4))).shares().any()


def test_a_world_reads_its_own_pictures():
    faces = world("faces", size=32)
    predictor = world_predictor(faces)
    example = faces.render(np.arange(8))
    scores = predictor.score(jnp.asarray(example.image, jnp.float32) / 127.5 - 1)
    assert predictor.attributes == tuple(faces.ATTRS)
    np.testing.assert_array_equal(scores[:, predictor.column("glasses")], np.asarray(example.attrs["glasses"]))
    hair = [i for i, name in enumerate(predictor.columns) if name.startswith("hair=")]
    np.testing.assert_array_equal(np.argmax(scores[:, hair], 1), np.asarray(example.attrs["hair"]))


def test_predictors_that_cannot_be_used_are_refused(gan):
    with pytest.raises(GanxError, match="by name"):
        as_predictor(lambda images: images, gan)
    with pytest.raises(GanxError, match="the predictor fails on images"):
        find_predictor(gan, "os:getcwd")
    with pytest.raises(GanxError, match="not list"):
        as_predictor(lambda images: [images], gan)
    with pytest.raises(GanxError, match="give --predictor"):
        find_predictor(gan)
    with pytest.raises(GanxError, match="cannot be imported"):
        find_predictor(gan, "no.such.module:function")
    assert find_predictor(gan, "test_sefa_rescore:brightness").columns == ("left", "mean")


@pytest.mark.parametrize(
    ("n", "alpha", "message"), [(1, 1.0, "two at least"), (8, np.nan, "moves nothing"), (8, 0.0, "moves nothing")]
)
def test_what_has_no_mean_change_is_refused(gan, n, alpha, message):
    with pytest.raises(GanxError, match=message):
        rescore(gan, as_predictor(brightness, gan), sefa.factorize(gan, k=1), jax.random.key(1), n, alpha)


def test_scores_that_are_no_numbers_name_their_column(gan):
    predictor = Predictor(
        ("bright", "odd"), lambda x: jnp.stack([x.mean((1, 2, 3)), jnp.log(-(x[:, 0, 0, 0] ** 2))], 1)
    )
    with pytest.raises(GanxError, match="scores of odd contain NaN"):
        rescore(gan, predictor, sefa.factorize(gan, k=1), jax.random.key(1), 8)


def test_the_distance_of_edited_samples_grows(gan):
    found = sefa.factorize(gan, k=1)
    distance = frechet_along(gan, flat, found, jax.random.key(2), n=256, alphas=(0.0, 1.0, 3.0))
    assert distance.shape == (1, 3)
    assert abs(distance[0, 0]) < 1e-6 < distance[0, 1] < distance[0, 2]


def test_known_factors_give_a_monotone_response_and_no_crosstalk(gan):
    """Acceptance check 9: a linear picture of A z, scored along its own factors."""

    class Linear:
        def apply(self, variables, *args, method, **kwargs):
            if method == "begin":
                return args[0], {}
            if method == "style_matrices":
                return {"s0": variables["params"]["s0"]["rows"]}
            return (args[1] @ variables["params"]["s0"]["rows"].T).reshape(-1, 4, 4, 1), {}

    rng = np.random.default_rng(0)
    factors = np.linalg.qr(rng.normal(size=(6, 6)))[0][:2].astype(np.float32)
    rows = np.repeat(factors, [10, 6], axis=0)
    spec = ganx.gan.Spec("toy", 4, 1, (6,), "normal", 0, ("s0",), ((4, 4, 1),))
    toy = ganx.gan.Gan(Linear(), {"params": {"s0": {"rows": jnp.asarray(rows)}}}, spec)
    found = sefa.factorize(toy)
    assert len(found) == 2
    cosines = np.abs(found.vectors @ factors.T)
    assert np.abs(cosines - np.eye(2)).max() <= 1e-5
    halves = Predictor(("top", "bottom"), lambda x: jnp.stack([x.reshape(-1, 16)[:, 0], x.reshape(-1, 16)[:, 15]], 1))
    results = [rescore(toy, halves, found, jax.random.key(3), n=16, alpha=a) for a in (1.0, 2.0, 3.0)]
    assert all(r.diagonal() > 1 - 1e-5 and r.consistent.max() == 1 for r in results)
    steps = np.abs([r.change[0, 0] for r in results])
    np.testing.assert_allclose(steps, [1, 2, 3], rtol=1e-4)


def test_the_commands_find_name_and_edit(gan, tmp_path, capsys):
    path = str(save(gan, tmp_path / "gan"))
    reader = ["--predictor", "test_sefa_rescore:brightness"]
    names, out = tmp_path / "names.json", tmp_path / "out"
    common = [path, "--top", "2", "--seeds", "0-1", "--range", "-2..2", "--steps", "3"]
    command = [
        "sefa",
        *common,
        "--compare",
        "random",
        *reader,
        "--samples",
        "32",
        "--animate",
        "gif",
        "--out",
        str(out),
    ]
    assert cli.main([*command, "--name", "1=tone", "--flip", "1", "--annotations", str(names)]) == 0
    written = {path.name for path in out.iterdir()}
    assert {"sefa.png", "sefa.npz", "sefa-00.gif", "sefa-01.gif", "random.png", "compare.json"} <= written
    with np.load(out / "sefa.npz") as file:
        assert file["boundaries"].shape == (2, 6)
        assert file["layers"].tolist() == [0]
        np.testing.assert_allclose(file["distances"], [-2, 0, 2])
    facts = json.loads((out / "compare.json").read_text())
    assert [f["method"] for f in facts] == ["sefa", "random"]
    named = ["sefa", *common, "--predictor", "test_sefa_rescore:red", "--samples", "32", "--animate", "none"]
    assert cli.main([*named, "--out", str(out)]) == 0
    facts = json.loads((out / "compare.json").read_text())
    assert re.fullmatch(r"-?red", facts[0]["names"][0])
    with np.load(out / "sefa.npz") as file:
        assert file["names"][0] == f"1: {facts[0]['names'][0]}"
    edit = ["edit", path, "--annotations", str(names), "--out", str(out / "edit.png")]
    assert cli.main([*edit, "--direction", "tone", "--seeds", "0", "--steps", "3", "--range", "-2..2"]) == 0
    assert cli.main([*edit, "--direction", "tome"]) == 2
    assert "did you mean 'tone'" in capsys.readouterr().err
    assert cli.main([*edit, "--direction", "tone", "--out", str(out)]) == 2
    assert "name the PNG to write" in capsys.readouterr().err
    score = ["rescore", path, "--top", "2", "--alpha", "3", *reader, "--samples", "64", "--save", str(names)]
    score += ["--features", "test_sefa_rescore:flat"]
    assert cli.main([*score, "--out", str(out)]) == 0
    assert "diagonal share" in capsys.readouterr().out
    assert len(json.loads((out / "rescore.json").read_text())["change"]) == 2
    facts = json.loads((out / "rescore.json").read_text())["frechet_distance"]
    assert (facts["name"], facts["alphas"]) == ("FD-flat", [1, 2, 3])
    assert facts["directions"][0][0] < facts["directions"][0][2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--range", "3..-3"), "write it as -3..3"),
        (("--seeds", "all"), "seeds 'all' cannot be read"),
        (("--seeds", ","), "names no sample"),
        (("--cutoff", "2"), "no styles to truncate; leave --cutoff out"),
        (("--name", "smile"), "such as --name 3=smile"),
        (("--flip", "0"), "flipped but not named"),
        (("--top", "2", "--name", "5=smile"), "direction 5 does not exist"),
    ],
)
def test_bad_arguments_cost_no_drawing(gan, tmp_path, capsys, arguments, message):
    path = str(save(gan, tmp_path / "gan"))
    assert cli.main(["sefa", path, *arguments, "--out", str(tmp_path / "late")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "late").exists()


@pytest.mark.parametrize("verb", ["sefa", "rescore", "edit"])
def test_gans_of_points_are_refused(tmp_path, capsys, verb):
    points = init_gan("mlp", {"width": 4, "depth": 1}, jax.random.key(0))
    path = str(save(points, tmp_path / "points"))
    more = ["--direction", "left"] if verb == "edit" else []
    assert cli.main([verb, path, *more, "--out", str(tmp_path / "out")]) == 2
    assert "draws no pictures from a vector" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("psi", "cutoff", "message"), [(None, 9, "has 4 layers to truncate"), (float("nan"), None, "cannot be truncated")]
)
def test_truncation_is_checked(psi, cutoff, message):
    tiny = {"resolution": 8, "latent": 4, "style": 4, "mapping_layers": 1, "channel_base": 32, "channel_max": 4}
    style = init_gan("stylegan2", tiny, jax.random.key(0))
    with pytest.raises(GanxError, match=message):
        truncation(style, argparse.Namespace(psi=psi, cutoff=cutoff))


def test_directions_have_labels():
    found = Directions((0,), ("s0",), np.eye(2, dtype=np.float32), np.ones(2, np.float32), names=("smile", ""))
    assert (found.label(0), found.label(1)) == ("smile", "Direction 2")

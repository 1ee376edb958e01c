"""`ganx compose` and `ganx modules`, and the section of the report."""

import dataclasses

import jax
import numpy as np
import pytest
from PIL import Image

from ganx.cli import main
from ganx.lens import Inquiry, Strips
from ganx.models import init_gan
from ganx.modulargan.evaluate import evaluate, held_out
from ganx.modulargan.lens import modules
from ganx.pictures import to_uint8
from ganx.store import load, save

ATTRIBUTES = (("colour", ("red", "blue", "green", "purple", "brown")), ("style", ("flat", "stroke")))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An untrained translator of digits, saved."""
    options = {"resolution": 16, "width": 2, "blocks": 1, "attributes": ATTRIBUTES}
    gan = init_gan("modular", options, jax.random.key(0))
    source = "world:digits?size=16&exclude=colour:red.style:stroke"
    gan = dataclasses.replace(gan, spec=dataclasses.replace(gan.spec, data=source))
    return save(gan, tmp_path_factory.mktemp("gan") / "digits")


@pytest.fixture(scope="module")
def generator(tmp_path_factory):
    """An untrained modular GAN that draws digits, saved."""
    options = {"resolution": 16, "width": 2, "blocks": 1, "latent": 4, "attributes": ATTRIBUTES, "classes": 10}
    gan = init_gan("modular", options, jax.random.key(0))
    gan = dataclasses.replace(gan, spec=dataclasses.replace(gan.spec, data="world:digits?size=16"))
    return save(gan, tmp_path_factory.mktemp("gan") / "generator")


def test_what_generates_draws_before_it_composes(generator, tmp_path, capsys):
    out = tmp_path / "strip.png"
    words = ["compose", str(generator), "--program", "style=1", "--content", "3", "--count", "2", "--out", str(out)]
    assert main(words) == 0
    assert "columns: drawn, style=stroke, mask of style" in capsys.readouterr().out
    assert Image.open(out).size == (3 * 18 - 2, 2 * 18 - 2)
    gan = load(generator)
    z = jax.random.normal(jax.random.key(0), (2, 4))
    drawn = np.asarray(to_uint8(gan(z, label=jax.numpy.array([3, 3]))))
    np.testing.assert_array_equal(np.asarray(Image.open(out))[:16, :16], drawn[0])


def test_compose_writes_a_strip_with_masks(folder, tmp_path, capsys):
    out = tmp_path / "strip.png"
    words = ["compose", str(folder), "--program", "style=stroke,colour=blue", "--count", "3", "--out", str(out)]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "style=stroke, mask of style, colour=blue, mask of colour, all masks" in said
    assert Image.open(out).size == (7 * 18 - 2, 3 * 18 - 2)


def test_a_grid_takes_one_picture_under_all_pairs(folder, tmp_path, capsys):
    picture, out = tmp_path / "me.png", tmp_path / "grid.png"
    Image.fromarray(np.zeros((40, 30, 3), np.uint8)).save(picture)
    words = ["compose", str(folder), "--images", str(picture), "--grid", "style,colour", "--out", str(out)]
    assert main(words) == 0
    assert "rows: style=flat, style=stroke" in capsys.readouterr().out
    assert Image.open(out).size == (5 * 18 - 2, 2 * 18 - 2)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--program", "color=blue"], "did you mean 'colour'"),
        (["--program", "colour=bleu"], "did you mean 'blue'"),
        ([], "--program attribute=value"),
        (["--grid", "style"], "write two"),
        (["--program", "style=1", "--images", "missing.png"], "cannot read missing.png"),
        (["--program", "style=1", "--count", "0"], "--count=0 leaves no image"),
        (["--program", "style=1", "--content", "3"], "has no contents"),
    ],
)
def test_bad_requests_are_one_line(folder, words, says, capsys):
    assert main(["compose", str(folder), *words]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [(["--content", "10"], "numbers from 0 to 9"), (["--images", "me.png"], "draws its images from codes")],
)
def test_what_generates_takes_contents_and_no_images(generator, words, says, capsys):
    assert main(["compose", str(generator), "--program", "style=1", *words]) == 2
    assert says in capsys.readouterr().err


def test_another_family_is_refused(capsys):
    assert main(["compose", "faces32", "--program", "smile=1"]) == 2
    assert "holds a dcgan, not a modular" in capsys.readouterr().err


def test_modules_are_listed_and_merged(folder, tmp_path, capsys):
    assert main(["modules", "list", str(folder)]) == 0
    listed = capsys.readouterr().out
    assert "to_colour" in listed
    assert "red, blue, green" in listed
    gan = load(folder)
    style = dataclasses.replace(gan.module, attributes=gan.module.attributes[1:])
    params = {k: v for k, v in gan.variables["params"].items() if k != "to_colour"}
    save(dataclasses.replace(gan, module=style, variables={"params": params}), tmp_path / "style")
    assert main(["modules", "merge", str(tmp_path / "style"), str(folder), "--out", str(tmp_path / "both")]) == 0
    assert "encoder, to_style, to_colour, reconstructor" in capsys.readouterr().out
    assert [name for name, _ in load(tmp_path / "both").module.attributes] == ["style", "colour"]
    assert main(["modules", "merge", str(folder), str(tmp_path / "style"), "--out", str(tmp_path / "no")]) == 2


def test_the_section_shows_strips_and_errors(folder):
    gan = load(folder)
    section = modules(gan, Inquiry(jax.random.key(0), samples=8))
    assert section.numbers["program"] == "colour=brown,style=stroke"
    assert set(section.numbers["errors"]) == {"colour", "style", "colour+style"}
    assert section.numbers["classifier"]["colour"] == 1.0
    assert set(section.numbers["held_out"]) == {"colour=red,style=stroke"}
    assert held_out(gan) == {"colour=red,style=stroke": {"colour": 0, "style": 1}}
    assert len(section.figures) == 4
    assert [row[0] for row in section.figures[2].rows][-1] == "colour=red,style=stroke, which training never showed"
    assert not any(isinstance(figure, Strips) for figure in section.figures)
    assert modules(load("faces32"), Inquiry(jax.random.key(0))) is None


def test_the_section_of_what_generates_measures_its_own_images(generator):
    gan = load(generator)
    section = modules(gan, Inquiry(jax.random.key(0), samples=8))
    assert section.figures[0].columns[0] == "drawn"
    assert set(section.numbers["errors"]) == {"colour", "style", "colour+style"}
    assert section.numbers["classifier"]["colour"] == 1.0  # of the judge, on real pictures
    assert (section.numbers["localisation"], section.numbers["reconstruction"]) == ({}, None)


def test_a_baseline_is_measured_like_a_modular_gan():
    """An untrained StarGAN paints grey: nothing that was asked for is there, and nobody is who they were."""
    options = {"resolution": 16, "width": 2, "blocks": 1, "attributes": ATTRIBUTES}
    gan = init_gan("stargan", options, jax.random.key(0))
    gan = dataclasses.replace(gan, spec=dataclasses.replace(gan.spec, data="world:digits?size=16"))
    found = evaluate(gan, 8, identity=lambda images: images.mean((1, 2)))
    assert set(found.errors) == {("colour",), ("style",), ("colour", "style")}
    assert (found.orders.spread, found.orders.apart) == (0.0, 0.0)  # all values at once: there is no order
    assert found.localisation["colour"].chance > 0
    assert found.identity.edited > 0.1
    assert found.held_out == {}
    section = modules(gan, Inquiry(jax.random.key(0), samples=8))
    assert "without modules" in section.lead
    assert [len(figure.rows) for figure in section.figures] == [3, 2]

"""`ganx compose` and `ganx modules`, and the section of the report."""

import dataclasses

import jax
import numpy as np
import pytest
from PIL import Image

from ganx.cli import main
from ganx.lens import Inquiry, Strips
from ganx.models import init_gan
from ganx.modulargan.lens import modules
from ganx.store import load, save

ATTRIBUTES = (("colour", ("red", "blue", "green", "purple", "brown")), ("style", ("flat", "stroke")))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An untrained translator of digits, saved."""
    options = {"resolution": 16, "width": 2, "blocks": 1, "attributes": ATTRIBUTES}
    gan = init_gan("modular", options, jax.random.key(0))
    gan = dataclasses.replace(gan, spec=dataclasses.replace(gan.spec, data="world:digits?size=16"))
    return save(gan, tmp_path_factory.mktemp("gan") / "digits")


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
    ],
)
def test_bad_requests_are_one_line(folder, words, says, capsys):
    assert main(["compose", str(folder), *words]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


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
    assert len(section.figures) == 4
    assert not any(isinstance(figure, Strips) for figure in section.figures)
    assert modules(load("faces32"), Inquiry(jax.random.key(0))) is None

"""A report is written whatever its lenses find."""

import json

import jax
import pytest

from ganx import lens
from ganx.lens import Section, Table
from ganx.models import init_gan
from ganx.report.explain import explain


@pytest.fixture
def vain():
    """A lens that finds nothing; those that register meanwhile stay."""
    rows = (("mouth", float("nan"), 0.25),)

    @lens.register("vain", 1, "In vain")
    def look(gan, inquiry):
        table = Table(("part", "Out/In", "choice"), rows, "No image has one.")
        return Section("In vain.", (table,), {"mouth": rows[0][1]})

    yield
    del lens._lenses["vain"]


@pytest.mark.usefixtures("vain")
def test_a_lens_without_anything_to_show_is_said_to_have_none(tmp_path):
    lens.register("blind", 2, "Unseen")(lambda gan, inquiry: None)
    told = []
    try:
        gan = init_gan("dcgan", {"resolution": 8, "width": 4, "latent": 4}, jax.random.key(0))
        explain(gan, tmp_path, only=["vain", "blind"], progress=told.append)
    finally:
        del lens._lenses["blind"]
    assert told == ["In vain", "Unseen", "Unseen: nothing to show of this GAN"]


@pytest.mark.usefixtures("vain")
def test_a_measure_that_means_nothing_is_shown_as_such(tmp_path):
    gan = init_gan("dcgan", {"resolution": 8, "width": 4, "latent": 4}, jax.random.key(0))
    explain(gan, tmp_path, only=["vain"])
    assert json.loads((tmp_path / "report.json").read_text())["sections"]["vain"] == {"mouth": None}
    page = (tmp_path / "index.html").read_text()
    assert "<td>–</td><td>0.25</td>" in page
    assert "nan<" not in page

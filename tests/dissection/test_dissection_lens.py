"""The report's section on units: by a world's classes, or by colours where no world is known."""

import dataclasses

import jax
from planted_units import DRIVE, planted

from ganx.dissection.lens import dissection
from ganx.lens import Inquiry
from ganx.segmenters import BasicColours


def test_pictures_of_no_world_are_read_by_their_colours():
    gan = planted(side=32)
    section = dissection(gan, Inquiry(jax.random.key(0), 16, ""))
    assert "basic colours" in section.lead
    labels = section.numbers["labels"]
    assert set(labels) <= set(BasicColours.names)
    assert {labels[u] for u in DRIVE["tree"]} == {"green"}
    assert {labels[u] for u in DRIVE["door"]} == {"yellow"}
    assert any(max(shares) > 0.9 for shares in section.numbers["removed"].values())
    grey = dataclasses.replace(gan, spec=dataclasses.replace(gan.spec, channels=1))
    assert dissection(grey, Inquiry(jax.random.key(1), 16, "")) is None

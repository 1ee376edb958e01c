"""Figures refuse what they could not show; lenses register once and keep their order."""

import numpy as np
import pytest

from ganx import lens


def pixels(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.uint8)


def test_figures_accept_what_fits():
    lens.ImageGrid(pixels(2, 3, 4, 4, 3), "c", rows=("a", "b"), columns=("x", "y", "z"))
    lens.Strips(pixels(2, 1, 3, 4, 4, 1), ("a", "b"), ("-", "0", "+"), "c")
    lens.Movie(pixels(2, 3, 4, 4, 3), "c")
    lens.Chart("bars", ("a", "b"), {"s": np.ones(2)}, "c", {"s": np.ones(2)})
    lens.Chart("area", ("a", "b"), {"s": np.ones(2)}, "c")
    lens.Table(("a", "b"), (("x", 1),), "c")


@pytest.mark.parametrize(
    "make",
    [
        lambda: lens.ImageGrid(pixels(2, 3, 4, 4, 3).astype(np.float32), "c"),
        lambda: lens.ImageGrid(pixels(3, 4, 4, 3), "c"),
        lambda: lens.ImageGrid(pixels(2, 3, 4, 4, 2), "c"),
        lambda: lens.ImageGrid(pixels(2, 3, 4, 4, 3), "c", rows=("only one",)),
        lambda: lens.Strips(pixels(2, 1, 3, 4, 4, 1), (), ("-", "0", "+"), "c"),
        lambda: lens.Chart("pie", ("a",), {"s": np.ones(1)}, "c"),
        lambda: lens.Chart("bars", ("a",), {"s": np.ones(2)}, "c"),
        lambda: lens.Table(("a", "b"), (("x",),), "c"),
    ],
)
def test_figures_refuse_what_does_not(make):
    with pytest.raises(ValueError):  # noqa: PT011  (each message is its own)
        make()


def test_lenses_register_once_and_in_order(monkeypatch):
    monkeypatch.setattr(lens, "_lenses", {})
    lens.register("b", 20, "B")(lambda gan, inquiry: None)
    lens.register("c", 10, "C")(lambda gan, inquiry: None)
    lens.register("a", 20, "A")(lambda gan, inquiry: None)
    assert [found.name for found in lens.registered()] == ["c", "a", "b"]
    with pytest.raises(ValueError, match="two lenses are named 'a'"):
        lens.register("a", 1, "A")(lambda gan, inquiry: None)

"""Charts as geometry: lines over zero, areas on top of each other."""

import numpy as np

from ganx.lens import Chart
from ganx.report import charts


def points(path):
    return np.array([point.split(",") for point in path["points"].split()], float)


def test_areas_lie_on_top_of_each_other():
    series = {"a": np.array([10.0, 40.0, 0.0]), "b": np.array([90.0, 60.0, 100.0])}
    found = charts.areas(Chart("area", ("1", "2", "3"), series, "c"))
    lower, upper = (points(path) for path in found["paths"])
    ground, top = found["ticks"][0]["y"], found["ticks"][-1]["y"]
    np.testing.assert_allclose(lower[3:, 1], ground)  # back along the axis
    np.testing.assert_allclose(upper[3:], lower[2::-1])  # back along what lies below
    np.testing.assert_allclose(upper[:3, 1], top)  # the sum is 100 everywhere, the last mark
    np.testing.assert_allclose((ground - lower[:3, 1]) / (ground - top), [0.1, 0.4, 0], atol=1e-3)


def test_lines_start_from_the_same_ground():
    found = charts.lines(Chart("line", ("1", "2"), {"a": np.array([0.0, 1.0]), "b": np.array([1.0, 0.0])}, "c"))
    a, b = (points(path) for path in found["paths"])
    assert a[0, 1] == b[1, 1] == found["ticks"][0]["y"]
    assert a[1, 1] == b[0, 1] == found["ticks"][-1]["y"]
    assert (a[:, 0] == b[:, 0]).all()

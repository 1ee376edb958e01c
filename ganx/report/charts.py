"""Charts as geometry: what `figures.html` draws as SVG."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ganx.lens import Chart

_WIDTH = 400  # in units that come out as pixels of a phone
_LABEL, _RIGHT, _BAR, _GAP = 118, 12, 9, 9  # of bar charts: room for labels and at the end, heights
_LEFT, _HEIGHT, _TOP = 36, 180, 10  # of line charts
_LETTER = 6.5  # width of one in a label


def bars(chart: Chart) -> dict[str, Any]:
    """Horizontal bars: one group a label, one bar a series, with error bars and axis marks."""
    names = list(chart.series)
    marks, place = _axis(chart)
    group = _BAR * len(names) + _GAP
    rows = [
        {
            "label": label,
            "y": i * group + group / 2,
            "bars": [_bar(chart, name, i, i * group + _GAP / 2 + j * _BAR, place) for j, name in enumerate(names)],
        }
        for i, label in enumerate(chart.labels)
    ]
    ticks = [{"x": place(mark), "text": f"{mark:g}"} for mark in marks]
    height = group * len(chart.labels)
    return {"width": _WIDTH, "height": height, "left": _LABEL, "bar": _BAR - 2, "rows": rows, "ticks": ticks}


def lines(chart: Chart) -> dict[str, Any]:
    """One line a series over evenly spaced labels."""
    values = np.stack(list(chart.series.values()))
    return _over_labels(chart, float(values.max()), values[:, None])


def areas(chart: Chart) -> dict[str, Any]:
    """One area a series over evenly spaced labels, each on top of those before it."""
    tops = np.cumsum(list(chart.series.values()), axis=0)
    floors = np.concatenate([np.zeros_like(tops[:1]), tops[:-1]])
    return _over_labels(chart, float(tops.max()), np.stack([tops, floors], 1))


def _over_labels(chart: Chart, largest: float, edges: np.ndarray) -> dict[str, Any]:
    """A path along the edges of each series, `[series, edges, labels]`: the first to the right, a second one back."""
    marks, count = _round_marks(largest), len(chart.labels)
    xs = _LEFT + np.arange(count) * (_WIDTH - _LEFT - _RIGHT) / max(count - 1, 1)
    ys = _HEIGHT - edges * (_HEIGHT - _TOP) / marks[-1]
    paths = []
    for name, ways in zip(chart.series, ys, strict=True):
        points = [point for i, way in enumerate(ways) for point in list(zip(xs, way, strict=True))[:: 1 - 2 * i]]
        paths.append({"name": name, "points": " ".join(f"{x:.1f},{y:.1f}" for x, y in points)})
    ticks = [{"y": _HEIGHT - mark * (_HEIGHT - _TOP) / marks[-1], "text": f"{mark:g}"} for mark in marks]
    room = max(1, min(10, int((_WIDTH - _LEFT) / (_LETTER * (max(map(len, chart.labels)) + 2)))))
    labels = [{"x": xs[i], "text": chart.labels[i]} for i in range(0, count, max(1, math.ceil(count / room)))]
    return {"width": _WIDTH, "height": _HEIGHT, "left": _LEFT, "paths": paths, "ticks": ticks, "labels": labels}


def _bar(chart: Chart, name: str, i: int, y: float, place: Callable[[float], float]) -> dict[str, Any]:
    value = float(chart.series[name][i])
    error = float(chart.errors[name][i]) if name in chart.errors else 0.0
    text = f"{name}: {value:.3g}" + (f" ± {error:.2g}" if error else "") + (f" {chart.unit}" if chart.unit else "")
    return {
        "y": y,
        "width": place(value) - _LABEL,
        "low": place(max(value - error, 0.0)),
        "high": place(value + error),
        "title": text,
    }


def _axis(chart: Chart) -> tuple[list[float], Callable[[float], float]]:
    """Axis marks, and where a value lies along the axis."""
    marks = _round_marks(max(_top(chart, name) for name in chart.series))
    length = _WIDTH - _LABEL - _RIGHT
    if chart.scale == "linear":
        return marks, lambda value: _LABEL + length * value / marks[-1]
    top = marks[-1]
    return [0.0, top / 100, top / 20, top / 4, top / 2, top], lambda value: _LABEL + length * math.sqrt(value / top)


def _top(chart: Chart, name: str) -> float:
    return float(np.max(chart.series[name]))


def _round_marks(largest: float) -> list[float]:
    """About five round marks from 0 to at least `largest`."""
    largest = largest if largest > 0 else 1.0
    raw = largest / 5
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * 0.999)
    return [k * step for k in range(math.ceil(largest / step - 1e-4) + 1)]

"""Charts as geometry: what `figures.html` draws as SVG."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ganx.lens import Chart

_WIDTH, _LABEL, _BAR, _GAP = 640, 150, 11, 12


def bars(chart: Chart) -> dict[str, Any]:
    """Horizontal bars: one group a label, one bar a series, with error bars and axis marks."""
    names = list(chart.series)
    step, top = _scale(max(_top(chart, name) for name in names))
    group = _BAR * len(names) + _GAP
    scale = (_WIDTH - _LABEL - 50) / top
    rows = []
    for i, label in enumerate(chart.labels):
        marks = [_bar(chart, name, i, i * group + _GAP / 2 + j * _BAR, scale) for j, name in enumerate(names)]
        rows.append({"label": label, "y": i * group + group / 2, "bars": marks})
    height = group * len(chart.labels)
    ticks = [{"x": _LABEL + k * step * scale, "text": f"{k * step:g}"} for k in range(round(top / step) + 1)]
    return {"width": _WIDTH, "height": height, "left": _LABEL, "bar": _BAR - 2, "rows": rows, "ticks": ticks}


def lines(chart: Chart) -> dict[str, Any]:
    """One line a series over evenly spaced labels."""
    step, top = _scale(max(_top(chart, name) for name in chart.series))
    left, height, right = 44, 220, 14
    count = len(chart.labels)
    xs = left + np.arange(count) * (_WIDTH - left - right) / max(count - 1, 1)
    paths = [
        {"name": name, "points": " ".join(f"{x:.1f},{height - v / top * (height - 12):.1f}" for x, v in zip(xs, values))}
        for name, values in chart.series.items()
    ]
    ticks = [
        {"y": height - k * step / top * (height - 12), "text": f"{k * step:g}"} for k in range(round(top / step) + 1)
    ]
    every = max(1, math.ceil(count / 10))
    labels = [{"x": xs[i], "text": chart.labels[i]} for i in range(0, count, every)]
    return {"width": _WIDTH, "height": height, "left": left, "paths": paths, "ticks": ticks, "labels": labels}


def _top(chart: Chart, name: str) -> float:
    return float(np.max(np.asarray(chart.series[name]) + np.asarray(chart.errors.get(name, 0.0))))


def _bar(chart: Chart, name: str, i: int, y: float, scale: float) -> dict[str, Any]:
    value = float(chart.series[name][i])
    error = float(chart.errors[name][i]) if name in chart.errors else 0.0
    low, high = max(value - error, 0.0), value + error
    return {
        "y": y,
        "width": value * scale,
        "low": _LABEL + low * scale,
        "high": _LABEL + high * scale,
        "title": f"{name}: {value:.3g}" + (f" ± {error:.2g}" if error else "") + (f" {chart.unit}" if chart.unit else ""),
    }


def _scale(largest: float) -> tuple[float, float]:
    """A round step and a top that is a whole number of them, about five steps in all."""
    largest = largest if largest > 0 else 1.0
    raw = largest / 5
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * 0.999)
    return step, step * math.ceil(largest / step - 1e-9)

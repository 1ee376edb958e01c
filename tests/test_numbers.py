"""Numbers in files of text."""

import json

import numpy as np

from ganx.numbers import to_json


def test_what_means_nothing_is_null():
    numbers = {"a": {"ratio": float("nan"), "pairs": 0}, "b": (1.0, -np.inf, True), "c": "nan", "d": np.float64(0.1)}
    want = {"a": {"ratio": None, "pairs": 0}, "b": [1.0, None, True], "c": "nan", "d": 0.1}
    assert json.loads(to_json(numbers)) == want
    assert to_json(numbers).endswith("}\n")

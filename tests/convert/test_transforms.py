"""Every transform of a key map comes back to the last bit, and does what its name says."""

import numpy as np
import pytest

from ganx import GanxError
from ganx.convert.transforms import TRANSFORMS, backward, forward, is_exact

CASES = {
    # name: (shape of the tensor, shape of the variable)
    "same": ((3, 2), (3, 2)),
    "dense": ((5, 3), (3, 5)),
    "conv": ((5, 3, 2, 4), (2, 4, 3, 5)),
    "conv_turned": ((5, 3, 3, 3), (3, 3, 3, 5)),
    "deconv": ((3, 5, 4, 4), (4, 4, 3, 5)),
    "deconv_unturned": ((3, 5, 4, 4), (4, 4, 3, 5)),
    "turned": ((3, 3, 2, 5), (3, 3, 2, 5)),
    "hwoi_turned": ((3, 3, 5, 2), (3, 3, 2, 5)),
    "reshape": ((1, 1, 4, 4), (4, 4)),
    "reshape:4x4x2": ((32,), (4, 4, 2)),
    "first": ((1, 5, 3), (5, 3)),
    "plus:1": ((4,), (4,)),
    "channels_last": ((1, 5, 4, 3), (1, 4, 3, 5)),
    "chw_rows:4x3": ((2, 60), (60, 2)),
    "chw_columns:4x3": ((60, 2), (2, 60)),
    "chw_first:4x3": ((60, 2), (60, 2)),
    "chw_last:4x3": ((2, 60), (2, 60)),
    "first|conv_turned": ((1, 5, 2, 3, 3), (3, 3, 2, 5)),
    "chw_last:4x4|reshape": ((3, 32), (3, 4, 4, 2)),
    "reshape:1x2x3x3|conv": ((1, 18), (3, 3, 2, 1)),
}


def tensor(shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def test_every_transform_is_tried():
    assert {part.partition(":")[0] for name in CASES for part in name.split("|")} == set(TRANSFORMS)


@pytest.mark.parametrize("name", CASES)
def test_there_and_back(name):
    source, target = CASES[name]
    there = forward(name, tensor(source), target)
    assert there.shape == target
    back = backward(name, there, source)
    assert back.shape == source
    if is_exact(name):
        assert back.tobytes() == tensor(source).tobytes()
    else:
        np.testing.assert_allclose(back, tensor(source), atol=1e-7)


def test_flattened_maps_change_order():
    """A dense layer on a map flattened as C,H,W is the same layer on the map flattened as H,W,C."""
    weight, image = tensor((2, 5 * 4 * 3)), tensor((5, 4, 3))
    wanted = weight @ image.ravel()
    kernel = forward("chw_rows:4x3", weight, (60, 2))
    np.testing.assert_allclose(image.transpose(1, 2, 0).ravel() @ kernel, wanted, rtol=1e-5)
    made = forward("chw_columns:4x3", weight.T, (2, 60))
    chw = (weight.T @ np.ones(2, np.float32)).reshape(5, 4, 3)
    np.testing.assert_allclose((np.ones(2, np.float32) @ made).reshape(4, 3, 5), chw.transpose(1, 2, 0), rtol=1e-5)


def test_only_what_rounds_is_inexact():
    assert [name for name in CASES if not is_exact(name)] == ["plus:1"]


@pytest.mark.parametrize(("name", "said"), [("densee", "did you mean 'dense'"), ("chw_rows:four", "not 'four'")])
def test_an_unknown_transform_is_refused(name, said):
    with pytest.raises(GanxError, match=said):
        forward(name, tensor((2, 2)), (2, 2))

"""Files of arrays that are not what they should be."""

import numpy as np
import pytest

from ganx.arrays import read_npz
from ganx.errors import GanxError


def test_arrays_come_back(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", x=np.arange(3), y=np.eye(2))
    found = read_npz(tmp_path / "a.npz", "statistics", "write some")
    assert sorted(found) == ["x", "y"]
    np.testing.assert_array_equal(found["x"], np.arange(3))


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "flipped", "no zip", "objects"])
def test_what_is_no_file_of_arrays_is_one_line(tmp_path, damage):
    path = tmp_path / "a.npz"
    objects = np.array([{}], object)
    np.savez_compressed(path, x=objects if damage == "objects" else np.random.default_rng(0).normal(size=500))
    whole = path.read_bytes()
    middle = len(whole) // 2
    content = {
        "empty": b"",
        "cut": whole[:middle],
        "flipped": whole[:middle] + bytes(64) + whole[middle + 64 :],
        "no zip": b"hello",
        "objects": whole,
    }
    path.unlink()
    if damage in content:
        path.write_bytes(content[damage])
    with pytest.raises(GanxError, match=r"a\.npz holds no statistics \(\w+\); write some"):
        read_npz(path, "statistics", "write some")

"""TFDS sets in array_record form, made and read without TensorFlow."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from ganx.data import open_feed, open_source
from ganx.errors import GanxError

MAKE = """
import io, sys
import numpy as np
import tensorflow_datasets as tfds
from etils import epath
from PIL import Image


class Tiny(tfds.core.GeneratorBasedBuilder):
    pkg_dir_path = epath.Path(sys.argv[1])
    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = {
            "image": tfds.features.Image(shape=(4, 5, 3)),
            "label": tfds.features.ClassLabel(names=["even", "odd"]),
            "attributes": {"Smiling": tfds.features.Scalar(np.bool_)},
        }
        return self.dataset_info_from_configs(features=tfds.features.FeaturesDict(features))

    def _split_generators(self, manager):
        return {"train": self._generate_examples(0, 300), "test": self._generate_examples(300, 320)}

    def _generate_examples(self, start, stop):
        for i in range(start, stop):
            out = io.BytesIO()
            Image.fromarray(np.full((4, 5, 3), i % 256, np.uint8)).save(out, "PNG")
            out.seek(0)
            yield i, {"image": out, "label": i % 2, "attributes": {"Smiling": i % 3 == 0}}


Tiny(data_dir=sys.argv[1], file_format="array_record").download_and_prepare()
assert "tensorflow" not in sys.modules
"""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    root = tmp_path_factory.mktemp("tfds")
    (root / "tiny.py").write_text(MAKE)
    subprocess.run([sys.executable, "tiny.py", str(root)], check=True, cwd=root, stderr=subprocess.DEVNULL)
    return root / "tiny" / "1.0.0"


def test_all_examples_are_there(prepared):
    source = open_source(f"tfds:{prepared}")
    assert len(source) == 300
    assert source.spec.shape == (4, 5, 3)
    assert source.spec.labels == ("even", "odd")
    assert source.spec.attrs == {"Smiling": ("no", "yes")}
    batch = source.gather(np.arange(300))
    levels = batch.image[:, 0, 0, 0].astype(int)  # the builder shuffles: 300 pictures of 256 grey levels
    assert sorted(levels) == sorted(i % 256 for i in range(300))
    np.testing.assert_array_equal(batch.label, levels % 2)
    assert batch.attrs["Smiling"].sum() == 100
    assert len(open_source(f"tfds:{prepared}?split=test")) == 20
    assert len(open_source(f"tfds:{prepared}?split=all")) == 320


def test_a_feed_reads_it(prepared):
    with open_feed(open_source(f"tfds:{prepared}?size=4"), 30, residency="stream", threads=4) as feed:
        assert feed.batch(0)["example"].image.shape == (30, 4, 4, 3)
    assert "tensorflow" not in sys.modules


@pytest.mark.parametrize("kind", ["parquet", "tfrecord"])
def test_other_file_formats_are_refused(prepared, tmp_path, kind):
    copy = tmp_path / "tiny" / "1.0.0"
    shutil.copytree(prepared, copy)
    info = json.loads((copy / "dataset_info.json").read_text())
    info["fileFormat"] = kind
    (copy / "dataset_info.json").write_text(json.dumps(info))
    with pytest.raises(GanxError, match=f"{kind}.*file_format='array_record'"):
        open_source(f"tfds:{copy}")


def test_a_split_that_is_not_there(prepared):
    with pytest.raises(GanxError, match="did you mean 'train'"):
        open_source(f"tfds:{prepared}?split=trian")

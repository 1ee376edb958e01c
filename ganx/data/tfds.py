"""`tfds:`: sets prepared by TensorFlow Datasets in array_record form, read without TensorFlow."""

from __future__ import annotations

import difflib
import importlib
from typing import Any

import numpy as np
from etils import epath

from ganx.data import attributes
from ganx.data.images import decode, decode_mask, measure, reason
from ganx.data.licences import LICENCES, NOT_STATED
from ganx.data.options import Options
from ganx.data.places import open_path
from ganx.data.reader import Raw, Stored, pick_split
from ganx.errors import GanxError

_MASKS = ("segmentation_mask", "mask", "annotation")
_TWINS = {"validation": "val"}


class TfdsReader:
    """A `Reader` of one split of a prepared TFDS set: its first image, `label`, `attributes`, and mask."""

    def __init__(self, place: str, builder: Any, split: str, source: Any) -> None:
        self._place = f"tfds:{place}/{split}"
        self._source = source
        features = dict(builder.info.features.items())
        self._image, self._mask = _image_keys(place, features)
        self._classes = features.get("label")
        self._attrs = dict(features["attributes"].items()) if "attributes" in features else {}
        self.stored = Stored(
            shape=measure(source[0][self._image], self.name(0)),
            labels=tuple(getattr(self._classes, "names", None) or ()),
            attrs={name: tuple(getattr(kind, "names", None) or attributes.FLAG) for name, kind in self._attrs.items()},
            masks=tuple(getattr(features.get(self._mask), "names", None) or ()) if self._mask else (),
            licence=LICENCES.get(builder.name, NOT_STATED),
        )

    def __len__(self) -> int:
        return len(self._source)

    def name(self, index: int) -> str:
        """The set, its split and the example's number."""
        return f"{self._place}[{index}]"

    def read(self, index: int) -> Raw:
        """One example. Raises `DecodeError` if its picture is broken."""
        row = self._source[index]
        return Raw(
            image=decode(row[self._image], self.name(index)),
            label=np.int32(row["label"]) if hasattr(self._classes, "names") else -1,
            attrs={name: np.int32(row["attributes"][name]) for name in self._attrs},
            mask=decode_mask(row[self._mask], self.name(index)) if self._mask else None,
        )


def tfds_reader(place: str, options: Options) -> TfdsReader:
    """Opens `NAME`, `NAME/CONFIG`, or the path of a prepared version (`…/mnist/3.0.1`).

    TensorFlow is neither needed nor imported. The set must have been prepared with `file_format="array_record"`.

    Raises:
      GanxError: if tensorflow-datasets is missing, the set is unknown, not prepared, or in another file format.
    """
    tfds = _package()
    builder = _builder(tfds, place, options.directory or None)
    _check_format(place, builder)
    names = tuple(builder.info.splits)
    asked = options.split if options.split in names else _TWINS.get(options.split or "", options.split)
    split = pick_split(asked, names)
    image, mask = _image_keys(place, builder.info.features)
    skip = {key: tfds.decode.SkipDecoding() for key in (image, mask) if key}
    try:
        source = builder.as_data_source("+".join(names) if split == "all" else split, decoders=skip)
        if not len(source):
            raise GanxError(f"split {split} of {place} is empty; choose from: {', '.join(names)}")
    except (RuntimeError, OSError, ValueError, NotImplementedError) as error:
        raise GanxError(f"cannot read {place}: {reason(error)}; prepare the set again") from None
    return TfdsReader(place, builder, split, source)


def _package() -> Any:
    try:
        return importlib.import_module("tensorflow_datasets")
    except ImportError:
        raise GanxError(
            "tfds: needs the package tensorflow-datasets; install it with: pip install tensorflow-datasets"
        ) from None


def _builder(tfds: Any, place: str, directory: str | None) -> Any:
    path = open_path(place)
    if (path / "dataset_info.json").is_file():
        return tfds.builder_from_directory(path)
    try:
        return tfds.builder(place, data_dir=directory, file_format="array_record")
    except tfds.core.DatasetNotFoundError:
        near = difflib.get_close_matches(place, tfds.list_builders(with_community_datasets=False), n=1)
        hint = f"did you mean tfds:{near[0]}?" if near else "tensorflow.org/datasets lists them"
        raise GanxError(f"TFDS has no set named {place!r}; {hint}") from None
    except (ValueError, RuntimeError, ImportError) as error:
        raise GanxError(f"cannot open tfds:{place}: {reason(error)}") from None


def _check_format(place: str, builder: Any) -> None:
    path = epath.Path(builder.data_path)
    if not (path / "dataset_info.json").is_file():
        raise GanxError(
            f"tfds:{place} is not prepared in {path.parent}; prepare it once where TensorFlow is installed, with "
            f"tfds.builder({place!r}, file_format='array_record').download_and_prepare(), or use ganx data prepare"
        )
    found = builder.info.file_format
    kind = found.value if found is not None else "unknown"
    if kind != "array_record":
        why = " (which loses examples)" if kind == "parquet" else " (which needs TensorFlow)"
        raise GanxError(f"{path} is {kind}{why}; prepare the set again with file_format='array_record'")


def _image_keys(place: str, features: Any) -> tuple[str, str | None]:
    images = [name for name, kind in features.items() if type(kind).__name__ in ("Image", "LabeledImage")]
    pictures = [name for name in images if name not in _MASKS]
    if not pictures:
        raise GanxError(f"tfds:{place} has no images, only {', '.join(features)}; choose an image set")
    mask = next((name for name in _MASKS if name in images), None)
    return ("image" if "image" in pictures else pictures[0]), mask

"""Preparing data once: any source to records, or to a StyleGAN zip."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
from tqdm import tqdm

from ganx.data.example import Example, Source
from ganx.data.npz import load_npz
from ganx.data.options import parse
from ganx.data.reader import PreparedSource
from ganx.data.record import META, STORAGES, Meta, default_storage, encoding, write_pictures
from ganx.data.sheet import describe, preview
from ganx.data.source import open_source
from ganx.data.zips import write_stylegan_zip
from ganx.errors import GanxError, unknown

__all__ = ["describe", "prepare", "preview"]

SHARD_BYTES = 256 * 2**20
_UNFINISHED = "unfinished.json"
_CHUNK = 256


def prepare(
    source: str,
    out: str | os.PathLike[str],
    *,
    storage: str | None = None,
    shard_bytes: int = SHARD_BYTES,
    progress: bool = False,
    **options: str | int | None,
) -> Path:
    """Writes a source as records (`ganx.data.record`), or as a StyleGAN zip if `out` ends in `.zip`.

    Examples keep the order of the source. A run that was broken off goes on at the first shard that is not whole,
    and a finished one has nothing to do. With `on_error=skip` broken pictures are left out.

    Args:
      source: any source string, or the path of MNIST's idx files, CIFAR-10's python archive, a CelebA folder, an
        LSUN database, a folder or a zip.
      out: folder to write to, or a `.zip`.
      storage: "array_record" or "npy" (memory-mapped); by default the first where it exists.
      shard_bytes: size of a shard.
      progress: show a bar on a terminal.
      **options: of the source (`size=64`, `crop=178`, …), added to those in its string.

    Returns:
      The path written.

    Raises:
      GanxError: for bad input, or if `out` holds something else.
    """
    opened = open_source(with_options(source, options))
    if len(opened.spec.shape) != 3:
        raise GanxError(f"{source} holds points, not pictures, so there is nothing to prepare; use it as it is")
    root = Path(out)
    if root.suffix == ".zip":
        _writable(root.parent)
        write_stylegan_zip(opened, root, progress)
        return root
    if storage is not None and storage not in STORAGES:
        raise unknown("storage", storage, STORAGES)
    meta = _plan(opened, storage or default_storage())
    try:
        if _begin(root, meta):
            _write_shards(opened, root, meta, shard_bytes, progress)
    except OSError as error:
        raise GanxError(f"cannot write {root}: {error.strerror or error}; mend that and run it again") from None
    return root


def with_options(source: str, options: dict[str, str | int | None]) -> str:
    """A source string with options added; those that are None are left out."""
    address = parse(source)
    added = {name: str(value) for name, value in options.items() if value is not None}
    given = "&".join(f"{name}={value}" for name, value in {**address.options, **added}.items())
    return source.partition("?")[0] + (f"?{given}" if given else "")


def _plan(source: Source, storage: str) -> Meta:
    spec = source.spec
    return Meta(
        shape=(spec.shape[0], spec.shape[1], spec.shape[2]),
        storage=storage,
        encoding=encoding(spec.shape, storage),
        labels=spec.labels,
        attrs=spec.attrs,
        masks=spec.masks,
        licence=spec.licence,
        source=spec.name,
        sha256=hashlib.sha256("\n".join(map(_namer(source), range(len(source)))).encode()).hexdigest(),
    )


def _namer(source: Source) -> Callable[[int], str]:
    if isinstance(source, PreparedSource):
        return source.reader.name
    return lambda index: f"{source.spec.name}[{index}]"


def _begin(root: Path, meta: Meta) -> bool:
    """Makes the folder ready. False if it is finished already.

    Raises:
      GanxError: if it holds something else, or cannot be written to.
    """
    _writable(root)
    mark = {"source": meta.source, "sha256": meta.sha256, "storage": meta.storage}
    if (root / META).exists():
        found = Meta.load(root / META)
        same = (found.source, found.sha256, found.storage) == tuple(mark.values())
    elif (root / _UNFINISHED).exists():
        begun = any(path.name != _UNFINISHED for path in root.iterdir())
        same = not begun or (root / _UNFINISHED).read_text() == json.dumps(mark)
    else:
        same = not any(root.iterdir())
    if not same:
        raise GanxError(f"{root} holds other data; give an empty folder, or remove it to prepare it anew")
    if (root / META).exists():
        return False
    (root / _UNFINISHED).write_text(json.dumps(mark))
    return True


def _writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise GanxError(f"cannot make {folder}: {error.strerror}; choose another place") from None
    if not os.access(folder, os.W_OK):
        raise GanxError(f"cannot write to {folder}; choose another place")


def _write_shards(source: Source, root: Path, meta: Meta, shard_bytes: int, progress: bool) -> None:
    per_shard = max(1, shard_bytes // int(np.prod(meta.shape)))
    blocks = [range(start, min(start + per_shard, len(source))) for start in range(0, len(source), per_shard)]
    shards, skipped = [], []
    with tqdm(total=len(source), desc=f"writing {root.name}", disable=None if progress else True) as bar:
        for number, block in enumerate(blocks):
            path = root / f"data-{number:05d}-of-{len(blocks):05d}.{meta.storage}"
            if not path.exists():
                _write_shard(source, block, path, meta)
            bar.update(len(block))
            kept = load_npz(str(path.with_suffix(".npz")))["index"]
            if len(kept):
                shards.append({"file": path.name, "count": len(kept), "sha256": _digest(path)})
            skipped += [_namer(source)(index) for index in sorted(set(block) - set(kept.tolist()))]
    dataclasses.replace(meta, shards=tuple(shards), skipped=tuple(skipped)).save(root / META)
    (root / _UNFINISHED).unlink()


def _write_shard(source: Source, block: range, path: Path, meta: Meta) -> None:
    """Writes the side arrays, then the pictures, which get their name only when they are whole."""
    parts = [_kept(source, block[start : start + _CHUNK]) for start in range(0, len(block), _CHUNK)]
    whole: Example = jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)
    side = {"label": whole.label, "index": whole.index} | {f"attr_{name}": v for name, v in whole.attrs.items()}
    if meta.masks:
        side["mask"] = whole.mask
    np.savez_compressed(path.with_suffix(".npz"), **side)
    if len(whole.index):
        part = path.with_name(path.name + ".part")
        write_pictures(part, whole.image, meta.storage, meta.encoding)
        part.replace(path)


def _kept(source: Source, block: range) -> Example:
    """The examples of a block, without those that stand in for broken ones."""
    batch = source.gather(np.array(block))
    good = np.flatnonzero(np.asarray(batch.index) == np.array(block))
    return jax.tree.map(lambda leaf: leaf[good], batch)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

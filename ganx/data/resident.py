"""Small sets in device memory: whether they fit, and loading them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from tqdm import tqdm

from ganx.data.example import Example, Source

SHARE = 0.25
"""Of the free memory that a resident set may take."""

_CHUNK = 256


def fits(source: Source, mesh: Mesh | None, masks: bool, share: float = SHARE) -> bool:
    """Whether all of a source takes at most `share` of every device's free memory."""
    item = int(np.prod(source.spec.shape)) + 8 + 4 * len(source.spec.attrs)
    if masks:
        item += int(np.prod(source.spec.shape[:2]))
    free = min(free_bytes(device, mesh) for device in _local_devices(mesh))
    return item * len(source) <= share * free


def free_bytes(device: jax.Device, mesh: Mesh | None = None) -> int:
    """Free memory of one device in bytes; devices that share the host's memory get an even part of it."""
    stats = device.memory_stats() if device.platform != "cpu" else None
    if stats and "bytes_limit" in stats:
        return int(stats["bytes_limit"]) - int(stats.get("bytes_in_use", 0))
    return _free_host_bytes() // len(_local_devices(mesh))


def load(source: Source, mesh: Mesh | None, threads: int, masks: bool) -> Example:
    """Every example of a source as one `Example` of device arrays, a copy on every device of the mesh."""
    whole = _read_all(source, threads)
    if not masks:
        whole = Example(whole.image, whole.label, whole.attrs, None, whole.index)
    if mesh is None:
        return jax.tree.map(jax.numpy.asarray, whole)
    sharding = NamedSharding(mesh, PartitionSpec())
    return jax.tree.map(lambda leaf: jax.make_array_from_process_local_data(sharding, leaf, leaf.shape), whole)


def _read_all(source: Source, threads: int) -> Example:
    chunks = [np.arange(start, min(start + _CHUNK, len(source))) for start in range(0, len(source), _CHUNK)]
    with ThreadPoolExecutor(threads, "ganx-read") as pool:
        parts = list(_shown(pool.map(source.gather, chunks), len(chunks), f"reading {source.spec.name}"))
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)


def _shown(parts: Iterator[Any], total: int, what: str) -> Iterator[Any]:
    return iter(tqdm(parts, what, total, leave=False, delay=2, disable=not sys.stderr.isatty()))


def _local_devices(mesh: Mesh | None) -> list[jax.Device]:
    return list(mesh.local_devices) if mesh is not None else jax.local_devices()[:1]


def _free_host_bytes() -> int:
    if sys.platform == "linux":
        with open("/proc/meminfo") as lines:
            for line in lines:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2

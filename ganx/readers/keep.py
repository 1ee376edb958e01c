"""Readers that were trained once: those that come with ganx, and those in the user's cache."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ganx import cache
from ganx.arrays import read_npz
from ganx.convert.keymap import flat, nested
from ganx.errors import GanxError, unknown

SHIPPED = Path(__file__).parent / "weights"

Facts = dict[str, Any]


def folder() -> Path:
    """Where trained readers are kept: `readers` in ganx's cache."""
    return cache.folder("readers")


def named(text: str, size: int = 64) -> tuple[str, int, int]:
    """World, size and seed of a reader that is named "KIND:WORLD?size=64&seed=0".

    Args:
      size: that of a text which gives none.

    Raises:
      GanxError: the text says something else.
    """
    world, _, query = text.partition(":")[2].partition("?")
    options = {"size": str(size), "seed": "0"}
    for pair in filter(None, query.split("&")):
        name, _, value = pair.partition("=")
        if name not in options:
            raise unknown(f"option of {text}", name, options)
        options[name] = value
    if not all(value.isdecimal() for value in options.values()):
        raise GanxError(f"size and seed of {text!r} are whole numbers")
    return world, int(options["size"]), int(options["seed"])


def name_of(config: Facts) -> str:
    """A reader's file name: what it reads, and a hash of all that its training depends on."""
    told = json.dumps(config, sort_keys=True)
    return f"{config['kind']}-{config['world']}{config['size']}-{hashlib.sha256(told.encode()).hexdigest()[:10]}"


def find_or_train(config: Facts, train: Callable[[], tuple[Any, Facts]]) -> tuple[Any, Facts]:
    """Variables of the reader that `config` describes, and its accuracies.

    Looked for among those that come with ganx, then in `folder()`; else trained, which is said, and kept there.

    Raises:
      GanxError: a kept file is damaged, or the cache cannot be written.
    """
    name = name_of(config)
    for place in (SHIPPED, folder()):
        if (place / f"{name}.json").exists():
            return load(place / name)
    print(
        f"no {config['kind']} of {config['world']} at {config['size']} pixels (seed {config['seed']}) is at "
        "hand; training it now, once, some minutes on a CPU",
        file=sys.stderr,
        flush=True,
    )
    variables, accuracy = train()
    save(folder() / name, config, variables, accuracy)
    return load(folder() / name)


def load(stem: Path) -> tuple[Any, Facts]:
    """Variables (float32) and accuracies of the files `stem.npz` and `stem.json`."""
    try:
        accuracy = json.loads(Path(f"{stem}.json").read_text())["accuracy"]
    except (OSError, ValueError, KeyError):
        raise GanxError(f"{stem}.json is damaged; delete it, and run again") from None
    leaves = read_npz(f"{stem}.npz", "reader", "delete it and its .json, and run again")
    return nested({name: jnp.asarray(leaf, jnp.float32) for name, leaf in leaves.items()}), accuracy


def save(stem: Path, config: Facts, variables: Any, accuracy: Facts) -> None:
    """Keeps a reader in half precision, the description last, so that what is half written is not found."""
    halves = {path: np.asarray(leaf, np.float16) for path, leaf in flat(variables).items()}
    part = stem.with_name(f"{stem.name}.{os.getpid()}.part")
    try:
        stem.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **halves)
        part.replace(f"{stem}.npz")
        part.write_text(json.dumps({"config": config, "accuracy": accuracy}, indent=1) + "\n")
        part.replace(f"{stem}.json")
    except OSError as error:
        raise GanxError(f"cannot keep a reader in {stem.parent}: {error.strerror}; set {cache.VARIABLE}") from None


def rounded(variables: Any) -> Any:
    """The variables as they will be read back: accuracies are those of what is kept."""
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float16).astype(jnp.float32), variables)

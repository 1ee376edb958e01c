"""Makes a trained generator one that ships with ganx: python scripts/bundle.py runs/demo faces32

Weights are rounded to half precision, which halves the compressed size; they stay float32 arrays.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp

import ganx


def main() -> None:
    """Writes ganx/bundled/NAME."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("gan")
    options.add_argument("name")
    args = options.parse_args()
    gan = ganx.load(args.gan)
    rounded = jax.tree.map(lambda leaf: leaf.astype(jnp.float16).astype(leaf.dtype), gan.variables)
    gan = dataclasses.replace(gan, variables=rounded)
    folder = Path(ganx.save(gan, Path(ganx.__file__).parent / "bundled" / args.name))
    for note in folder.rglob("commit_success.txt"):  # Orbax writes down where it saved; that it did is enough
        note.write_text("Checkpoint commit was successful\n")
    print(folder)


if __name__ == "__main__":
    main()

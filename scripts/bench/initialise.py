"""What drawing fresh variables costs: as one compiled program, and an operation at a time as `ganx.models.initialise`.

JAX_PLATFORMS=cpu taskset -c 1 python scripts/bench/initialise.py
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import jax

from ganx.models import build_generator, init_generator
from ganx.models.initialise import initialise

NETS = {
    "DCGAN, 32": ("dcgan", {"resolution": 32, "channels": 3}),
    "StyleGAN2, 256, at most 64 channels": ("stylegan2", {"resolution": 256, "channels": 3, "channel_max": 64}),
    "BigGAN-deep, 32, width 8": (
        "biggan_deep",
        {"resolution": 32, "channels": 3, "classes": 10, "width": 8, "attention": 16, "latent": 64, "embed": 32},
    ),
}


def seconds(run: Callable[[], Any]) -> float:
    """Processor time of a first call: tracing, compiling and running."""
    jax.clear_caches()
    began = time.process_time()
    jax.block_until_ready(run())
    return time.process_time() - began


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    jax.config.update("jax_enable_compilation_cache", False)
    key = jax.random.key(0)
    seconds(lambda: jax.random.normal(key, (2,)))  # the backend starts
    print(f"{jax.default_backend()}, jax {jax.__version__}; processor time of the first call\n")
    print("| generator | one program, s | an operation at a time, s |\n| --- | --- | --- |")
    for name, (family, options) in NETS.items():
        module = build_generator(family, options)
        whole = seconds(lambda m=module: jax.jit(lambda key: init_generator(m, key, n=2))(key))
        steps = seconds(lambda m=module: initialise(lambda key: init_generator(m, key, n=2), key))
        print(f"| {name} | {whole:.1f} | {steps:.1f} |", flush=True)


if __name__ == "__main__":
    main()

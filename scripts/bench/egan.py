"""One generation of E-GAN against a plain GAN's step, and against PyTorch's loop over mutations on the same nets.

python scripts/bench/egan.py --device cpu --pin 1
"""

from __future__ import annotations

import argparse
from typing import Any

import harness


def config_of(setting: str, mutations: tuple[str, ...]) -> Any:
    """The toy or the 32 pixel setting, at the paper's batch sizes."""
    from ganx.egan import add_egan
    from ganx.training import default_config

    config = default_config()
    config.data.source = "world:gaussians?modes=8" if setting == "toy" else "npz:x"
    config.model.family = "mlp" if setting == "toy" else "egan"
    width = {"toy": 128, "32 pixels": 32}[setting]
    config.model.generator = config.model.discriminator = {"width": width}
    config.batch, config.d_steps = (64, 1) if setting == "toy" else (32, 3)
    # a plain GAN judges nobody: its evaluation batch is just what D learns from
    evaluation = 256 if len(mutations) > 1 else config.batch * config.d_steps
    return add_egan(config, mutations=mutations, evaluation=evaluation)


def ours(setting: str, mutations: tuple[str, ...]) -> tuple[Any, Any, int]:
    """The generation as a side, its first population and the shape of an example."""
    import jax

    from ganx.data.example import SourceSpec
    from ganx.egan.method import build_generation

    shape = (2,) if setting == "toy" else (32, 32, 3)
    generation = build_generation(config_of(setting, mutations), SourceSpec("x", shape))
    state = jax.jit(lambda key: generation.init(key, shape))(jax.random.key(0))
    batch = {"image": jax.random.normal(jax.random.key(1), (generation.images, *shape))}
    step = jax.jit(lambda state, batch: generation.step(state, batch, {})[0], donate_argnums=0)
    program, seconds, gflop = harness.compile_jax(step, state, batch)
    box = [state]
    del state

    def run() -> None:
        box[0] = jax.block_until_ready(program(box[0], batch))

    return harness.Side(run, seconds, gflop), generation, generation.images


def main() -> None:
    options: argparse.ArgumentParser = harness.parser(__doc__.split("\n")[0])
    args = options.parse_args()
    harness.prepare(args)
    from torch_egan import TorchEgan

    print(harness.environment(args) + "\n", flush=True)
    peak, _ = harness.peak_gflops(args.device)
    rows = []
    for setting in ("toy", "32 pixels"):
        if args.only not in setting:
            continue
        plain, _, n = ours(setting, ("heuristic",))
        rows.append(harness.measure(f"{setting}: plain step", n, plain, None, args.repeats))
        bred, generation, n = ours(setting, ("minimax", "heuristic", "least_squares"))
        device = "cuda" if args.device == "gpu" else "cpu"
        twin = TorchEgan(setting, generation.batch, generation.d_steps, generation.evaluation, device)
        theirs = harness.torch_side(twin.step, args.device, twin.compile)
        rows.append(harness.measure(f"{setting}: generation", n, bred, theirs, args.repeats))
    print(harness.table(harness.HEADER, [harness.cells(row, peak, args.device) for row in rows], args.markdown))


if __name__ == "__main__":
    main()

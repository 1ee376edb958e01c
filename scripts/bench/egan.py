"""One generation of E-GAN against a plain GAN's step, and against PyTorch's loop over mutations on the same nets.

    python scripts/bench/egan.py --device cpu --pin 1
    python scripts/bench/egan.py --device gpu --only "32 pixels" --full
    python scripts/bench/egan.py --only "32 pixels" --full --count

The plain step is the ordinary game of the same networks, batch and number of D's updates, with fresh samples for each
of them; it judges nobody. Below the table stands what a generation costs in such steps: by the compiler's FLOPs, by the
clock and by processor time (the paper measured 6.9 at 32 pixels). With `--count` nothing runs, and FLOPs are counted
before the compiler rewrites the program.
"""

from __future__ import annotations

import argparse
from typing import Any

import harness

SETTINGS = ("toy", "32 pixels")


def build(setting: str, width: int) -> Any:
    """The generation of the toy or the 32 pixel setting, at the paper's batch sizes."""
    from ganx.data.example import SourceSpec
    from ganx.egan import add_egan
    from ganx.egan.method import build_generation
    from ganx.training import default_config

    config = default_config()
    toy = setting == "toy"
    config.model.family = "mlp" if toy else "egan"
    config.model.generator, config.model.discriminator = {"width": width}, {"width": width}
    config.batch, config.d_steps = (64, 1) if toy else (32, 3)
    return build_generation(add_egan(config, evaluation=256), SourceSpec("noise", (2,) if toy else (32, 32, 3)))


def plain_of(generation: Any) -> Any:
    """A game of two players with the networks, optimisers and batches of a generation."""
    from ganx.training.averaging import Averaging
    from ganx.training.game import Game

    shared = {name: getattr(generation, name) for name in ("players", "loss", "g_opt", "d_opt", "batch", "d_steps")}
    without = {"drift": 0.0, "gp_weight": 0.0, "r1_gamma": 0.0, "r1_every": 1}
    without |= {"path_weight": 0.0, "path_every": 1, "path_shrink": 1}
    return Game(**shared, **without, averaging=Averaging(generation.batch, 0.0), share_fakes=False)


def step_of(method: Any) -> Any:
    """`(state, batch) -> state` of a generation or a game, jitted, which gives the old state's buffers away."""
    import jax

    return jax.jit(lambda state, batch: method.step(state, batch, {})[0], donate_argnums=0)


def side(method: Any, images: int, shape: tuple[int, ...]) -> harness.Side:
    """A generation or a game as a side, its state threaded through."""
    import jax

    state = jax.jit(lambda key: method.init(key, shape))(jax.random.key(0))
    batch = {"image": jax.random.normal(jax.random.key(1), (images, *shape))}
    program, seconds, gflop = harness.compile_jax(step_of(method), state, batch)
    box = [state]
    del state

    def run() -> None:
        box[0] = jax.block_until_ready(program(box[0], batch))

    return harness.Side(run, seconds, gflop)


def count(method: Any, images: int, shape: tuple[int, ...]) -> float:
    """GFLOP of a step, without running or compiling it."""
    import jax

    state = jax.eval_shape(lambda key: method.init(key, shape), jax.random.key(0))
    batch = {"image": jax.ShapeDtypeStruct((images, *shape), "float32")}
    return step_of(method).lower(state, batch).cost_analysis()["flops"] / 1e9


def cost(setting: str, plain: harness.Row, bred: harness.Row) -> str:
    """A sentence: how many plain steps a generation costs."""
    ratios = [bred.ours.gflop / plain.ours.gflop]
    ratios += [
        harness.median(getattr(bred.ours_ms, clock)) / harness.median(getattr(plain.ours_ms, clock))
        for clock in ("wall", "cpu")
    ]
    counted, wall, busy = (f"{ratio:.2f}" for ratio in ratios)
    return f"{setting}: a generation costs {counted} plain steps by FLOPs, {wall} by the clock, {busy} by CPU time"


def main() -> None:
    options: argparse.ArgumentParser = harness.parser(__doc__.split("\n")[0])
    options.add_argument("--full", action="store_true", help="the paper's widths: 512 for points, 128 at 32 pixels")
    options.add_argument("--count", action="store_true", help="only count FLOPs of a generation and of a plain step")
    args = options.parse_args()
    harness.prepare(args)
    from torch_egan import TorchEgan

    print(harness.environment(args) + "\n", flush=True)
    peak = 0.0 if args.count else harness.peak_gflops(args.device)[0]
    rows, costs = [], []
    for setting in SETTINGS:
        if args.only not in setting:
            continue
        toy = setting == "toy"
        width, shape = (512 if toy else 128) if args.full else (128 if toy else 32), (2,) if toy else (32, 32, 3)
        generation = build(setting, width)
        game, seen = plain_of(generation), generation.batch * generation.d_steps
        if args.count:
            once, bred = count(game, seen, shape), count(generation, generation.images, shape)
            print(
                f"{setting}, width {width}: {bred:.2f} GFLOP, {bred / once:.2f} plain steps of {once:.2f}", flush=True
            )
            continue
        plain = harness.measure(f"{setting}: plain step", seen, side(game, seen, shape), None, args.repeats)
        ours = side(generation, generation.images, shape)
        device = "cuda" if args.device == "gpu" else "cpu"
        twin = TorchEgan(setting, width, generation.batch, generation.d_steps, generation.evaluation, device)
        theirs = harness.torch_side(twin.step, args.device, twin.compile)
        bred = harness.measure(f"{setting}: generation", generation.images, ours, theirs, args.repeats)
        rows += [plain, bred]
        costs.append(cost(setting, plain, bred))
    if args.count:
        return
    print(harness.table(harness.HEADER, [harness.cells(row, peak, args.device) for row in rows], args.markdown))
    print("\n" + "\n".join(costs))


if __name__ == "__main__":
    main()

"""What an interpretability update of IGAN costs, in steps of the GAN itself, for a whole configuration.

    python scripts/bench/igan_step.py configs/igan/paper_biggan64.py --device gpu
    python scripts/bench/igan_step.py configs/igan/paper_biggan64.py --pin 1 --batch 8

Fresh networks of the configuration, and no PyTorch. An update takes features of `config.igan.partition.images` images
for the groups, then EM, Langevin sampling, W's step and G's, these on as many latents as a step of the GAN has images.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import harness


def main() -> None:
    options = harness.parser(__doc__.split("\n")[0])
    options.add_argument("config", help="a configuration of configs/igan")
    options.add_argument("--batch", type=int, help="images of a step, by default the configuration's")
    args = options.parse_args()
    harness.prepare(args)
    print(f"{harness.environment(args)}\n", flush=True)
    from ganx.training import load_config

    config = load_config(args.config)
    config.batch = args.batch or config.batch
    step, update, state = programs(config)
    row = harness.measure("", config.batch, compiled(step, state), compiled(update, state), args.repeats)
    assert row.theirs is not None
    assert row.theirs_ms is not None
    cost = harness.median(row.theirs_ms.wall) / harness.median(row.ours_ms.wall)
    busy = harness.median(row.theirs_ms.cpu) / harness.median(row.ours_ms.cpu)
    share = cost / config.igan.every
    header = (
        "images",
        "GAN step ms",
        "update ms",
        "update / step",
        "by CPU time",
        "compile s",
        "of a run, T steps each",
    )
    cells = (
        *(str(config.batch), harness.spread(row.ours_ms.wall), harness.spread(row.theirs_ms.wall), f"{cost:.2f}"),
        *(f"{busy:.2f}" if args.device == "cpu" else "", f"{row.ours.compile_s:.0f}, {row.theirs.compile_s:.0f}"),
        f"{share / (1 + share):.0%} at T = {config.igan.every}",
    )
    print(harness.table(header, [cells], args.markdown))


def programs(config: Any) -> tuple[Callable[[Any], Any], Callable[[Any], Any], Any]:
    """A step of the GAN, an update, and the state that both take and give."""
    import jax
    import jax.numpy as jnp

    from ganx.data import open_source
    from ganx.igan.method import build_trainer

    source = open_source(config.data.source).spec
    trainer = build_trainer(config, source)
    game = trainer.interpreter.game
    state = jax.jit(lambda key: trainer.init(key, source.shape))(jax.random.key(0))
    batch = {"image": jax.random.normal(jax.random.key(1), (config.batch, *source.shape))}
    if game.players.classes:
        batch["label"] = jnp.arange(config.batch) % game.players.classes
    due = {name: False for name in ("interpret", *game.lazy())}
    return (lambda state: trainer.step(state, batch, due)[0]), trainer.interpreter, state


def compiled(function: Callable[[Any], Any], state: Any) -> harness.Side:
    """A function of the state as a side, always of the same state."""
    import jax

    program, seconds, gflop = harness.compile_jax(jax.jit(lambda state: function(state)), state)
    return harness.Side(lambda: jax.block_until_ready(program(state)), seconds, gflop)


if __name__ == "__main__":
    main()

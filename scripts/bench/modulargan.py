"""ModularGAN's superstep and composition: ganx against a PyTorch twin with one optimiser for each module.

    python scripts/bench/modulargan.py --device cpu --pin 1
    python scripts/bench/modulargan.py --device gpu --width 64 --size 128 --d-steps 5

The superstep's row checks first that both sides make the same image and the same logits from the same parameters.
"""

from __future__ import annotations

from typing import Any

import harness

ATTRIBUTES = (("hair", ("black", "blond", "brown")), ("gender", ("female", "male")), ("smile", ("no", "yes")))


def options() -> Any:
    """The command line."""
    parser = harness.parser(__doc__.split("\n")[0])
    parser.add_argument("--batch", type=int, default=8, help="images of one update")
    parser.add_argument("--size", type=int, default=32, help="pixels a side")
    parser.add_argument("--width", type=int, default=16, help="of the first layers (the paper: 64)")
    parser.add_argument("--blocks", type=int, default=2, help="residual blocks of a transformer (the paper: 6)")
    parser.add_argument("--d-steps", type=int, default=2, help="critic updates in a superstep (the paper: 5)")
    parser.add_argument("--format", choices=("nchw", "channels_last"), default="channels_last", help="of PyTorch")
    return parser.parse_args()


def build(args: Any) -> tuple[Any, Any, Any]:
    """ganx's method, its first state, and a batch of noise with values."""
    import jax

    from ganx.data.example import SourceSpec
    from ganx.modulargan.config import modular_config
    from ganx.modulargan.method import method

    config = modular_config()
    config.modulargan.attributes = ",".join(name for name, _ in ATTRIBUTES)
    config.modulargan.schedule = "constant"
    config.batch, config.d_steps, config.samples = args.batch, args.d_steps, 1
    with config.unlocked():
        config.model.generator = {"width": args.width, "blocks": args.blocks}
        config.model.discriminator = {"width": args.width}
    spec = SourceSpec(f"world:faces?size={args.size}", (args.size, args.size, 3), attrs=dict(ATTRIBUTES))
    trainer = method(config, spec)
    key, n = jax.random.key(1), args.batch * args.d_steps
    attrs = {name: jax.random.randint(key, (n,), 0, len(values)) for name, values in ATTRIBUTES}
    image = jax.random.uniform(key, (n, args.size, args.size, 3), minval=-1.0)
    return trainer, jax.jit(trainer.init)(jax.random.key(0)), {"image": image, "attrs": attrs}


def our_step(trainer: Any, state: Any, batch: Any) -> harness.Side:
    """The superstep, its state threaded through and its buffers given away."""
    import jax

    step = jax.jit(lambda state, batch: trainer.step(state, batch, {}), donate_argnums=0)
    program, seconds, gflop = harness.compile_jax(step, state, batch)
    box = [jax.tree.map(jax.numpy.copy, state)]

    def run() -> None:
        box[0], metrics = program(box[0], batch)
        jax.block_until_ready((box[0], metrics))

    return harness.Side(run, seconds, gflop)


def check_same(trainer: Any, state: Any, theirs: Any, batch: Any, images: Any) -> float:
    """Largest difference of R(T(E(x))) and of logits, relative to the largest of each."""
    import jax.numpy as jnp
    import numpy as np
    import torch
    import torch_modulargan as twin

    module, critic = trainer.gan(state).module, trainer.critic(state)[0]
    value = batch["attrs"]["hair"]
    f, _ = module.apply(state.g.variables, "hair", module.apply(state.g.variables, batch["image"], method="encode"),
                        value, method="transform")  # fmt: skip
    ours = module.apply(state.g.variables, f, method="reconstruct")
    logits = critic.apply(state.d.variables, "hair", batch["image"], method="judge")[1]
    with torch.no_grad():
        code = theirs.code(torch.tensor(np.asarray(value), dtype=torch.int64, device=images.device), 3)
        made = twin.reconstruct(theirs.g, twin.transform(theirs.g, "hair", twin.encode(theirs.g, images), code))
        named = twin.judge(theirs.d, "hair", images)[1]
    pairs = ((ours, made.permute(0, 2, 3, 1)), (logits, named))
    return max(float(jnp.abs(a - b.cpu().numpy()).max() / jnp.abs(a).max()) for a, b in pairs)


def train_row(args: Any) -> harness.Row:
    """Times the superstep."""
    import numpy as np
    import torch
    import torch_modulargan as twins

    trainer, state, batch = build(args)
    device, last = "cuda" if args.device == "gpu" else "cpu", args.format == "channels_last"
    theirs = twins.twin(state, ATTRIBUTES, args.d_steps, 1e-4, device, last)
    images = torch.tensor(np.asarray(batch["image"]).transpose(0, 3, 1, 2).copy(), device=device)
    images = images.contiguous(memory_format=torch.channels_last) if last else images
    values = np.stack([np.asarray(v) for v in batch["attrs"].values()], -1)
    known = torch.tensor(values, dtype=torch.int64, device=device)
    difference = check_same(trainer, state, theirs, batch, images)
    if not difference < (1e-4 if args.device == "cpu" or args.no_tf32 else 1e-2):
        raise SystemExit(f"the twin differs by {difference:.1e}; the nets are not the same")
    sides = our_step(trainer, state, batch), harness.torch_side(lambda: theirs.step(images, known), args.device)
    return harness.measure("superstep", args.batch * args.d_steps, *sides, args.repeats)


def compose_row(args: Any) -> harness.Row:
    """Times a program of all modules on a batch; of ours alone, since PyTorch just calls modules in turn."""
    import jax

    from ganx.modulargan import bank

    trainer, state, batch = build(args)
    module, n = trainer.gan(state).module, args.batch
    order = jax.numpy.array([2, 0, 1], jax.numpy.int32)
    values = jax.numpy.zeros((3, n), jax.numpy.int32)

    def chain(variables: Any, x: Any, order: Any, values: Any) -> Any:
        f = module.apply(variables, x, method="encode")
        stages, _ = bank.run(module, variables, f, order, values)
        return module.apply(variables, stages[-1], method="reconstruct")

    given = (state.g.variables, batch["image"][:n], order, values)
    program, seconds, gflop = harness.compile_jax(jax.jit(chain), *given)

    def run() -> None:
        jax.block_until_ready(program(*given))

    return harness.measure("program of three", n, harness.Side(run, seconds, gflop), None, args.repeats)


def main() -> None:
    args = options()
    harness.prepare(args)
    peak, source = harness.peak_gflops(args.device)
    print(harness.environment(args))
    print(f"batch {args.batch}, {args.size} pixels, width {args.width}, float32; peak {peak:.0f} GFLOP/s ({source})\n")
    jobs = {"superstep": train_row, "program of three": compose_row}
    rows = [harness.cells(job(args), peak, args.device) for name, job in jobs.items() if args.only in name]
    print(harness.table(harness.HEADER, rows, args.markdown))


if __name__ == "__main__":
    main()

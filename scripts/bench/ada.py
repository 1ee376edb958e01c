"""Adaptive discriminator augmentation: ganx's pipeline against the same one in PyTorch.

    python scripts/bench/ada.py --device cpu --pin 1
    python scripts/bench/ada.py --device gpu --batch 64 --resolution 256

Rows are the pipeline alone, and with the gradient in the images as the generator's step needs it. Before timing, both
sides warp a batch by the same matrices and must agree. PyTorch pads each batch by its widest margin, as the authors do.
"""

from __future__ import annotations

from typing import Any

import harness


def options() -> Any:
    """The command line."""
    parser = harness.parser(__doc__.split("\n")[0])
    parser.add_argument("--batch", type=int, default=16, help="images in a batch")
    parser.add_argument("--resolution", type=int, default=64, help="of the images")
    parser.add_argument("--p", type=float, default=0.5, help="probability of each transform")
    return parser.parse_args()


def our_side(images: Any, args: Any, policy: str, gradient: bool) -> harness.Side:
    """ganx's pipeline, with a new key for every run."""
    import jax
    import jax.numpy as jnp

    from ganx.training.ada import augment, get_policy

    def forward(x: Any, key: Any, p: Any) -> Any:
        return augment(x, key, p, get_policy(policy))

    def slope(x: Any, key: Any, p: Any) -> Any:
        return jax.grad(lambda x: jnp.square(forward(x, key, p)).sum())(x)

    keys = iter(range(10**9))
    p = jnp.float32(args.p)
    program, seconds, gflop = harness.compile_jax(jax.jit(slope if gradient else forward), images, jax.random.key(0), p)
    return harness.Side(lambda: jax.block_until_ready(program(images, jax.random.key(next(keys)), p)), seconds, gflop)


def their_side(images: Any, args: Any, policy: str, gradient: bool) -> harness.Side:
    """PyTorch's."""
    import torch
    from torch_ada import TorchPipe

    device = "cuda" if args.device == "gpu" else "cpu"
    pipe = TorchPipe(policy, device)
    x = torch.tensor(images, device=device).permute(0, 3, 1, 2).contiguous()

    def step() -> Any:
        if not gradient:
            with torch.no_grad():
                return pipe(x, args.p)
        leaf = x.detach().requires_grad_(True)
        return torch.autograd.grad(pipe(leaf, args.p).square().sum(), leaf)

    return harness.torch_side(step, args.device)


def check_same(images: Any, args: Any) -> None:
    """Stops unless both sides warp images alike."""
    import jax
    import numpy as np
    import torch
    from torch_ada import TorchPipe

    from ganx.training.ada.warp import warp

    angle = np.linspace(0.1, 3, len(images)).astype(np.float32)
    zoom, zero = np.linspace(0.8, 1, len(images)).astype(np.float32), np.zeros_like(angle)
    rows = [[np.cos(angle), -np.sin(angle), 5 * angle], [np.sin(angle), np.cos(angle), -angle], [zero, zero, zero + 1]]
    inverse = np.stack([np.stack(row, -1) for row in rows], 1) * np.stack([zoom, zoom, zero + 1], -1)[:, None]
    device = "cuda" if args.device == "gpu" else "cpu"
    x = torch.tensor(images, device=device).permute(0, 3, 1, 2)
    theirs = TorchPipe("bg", device).warp(x, torch.tensor(inverse, device=device)).permute(0, 2, 3, 1).cpu().numpy()
    worst = float(np.abs(np.asarray(jax.jit(warp)(images, inverse)) - theirs).max())
    if not worst < (1e-3 if args.device == "cpu" or args.no_tf32 else 1e-2):
        raise SystemExit(f"the twins' warped images differ by {worst:.1e}; they are not the same pipeline")


def main() -> None:
    args = options()
    harness.prepare(args)
    import numpy as np

    peak, source = harness.peak_gflops(args.device)
    print(harness.environment(args))
    print(f"{args.batch} x {args.resolution}², p {args.p}, float32; peak {peak:.0f} GFLOP/s ({source})\n", flush=True)
    shape = (args.batch, args.resolution, args.resolution, 3)
    images = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
    check_same(images, args)
    rows = []
    for policy in ("bg", "bgc", "bgcfnc"):
        for gradient in (False, True):
            name = f"{policy}{', gradient' if gradient else ''}"
            if args.only not in name:
                continue
            given = (images, args, policy, gradient)
            row = harness.measure(name, args.batch, our_side(*given), their_side(*given), args.repeats)
            rows.append(harness.cells(row, peak, args.device))
            print(f"{name}: {rows[-1][3]} ({rows[-1][1]} against {rows[-1][2]} ms)", flush=True)
    print("\n" + harness.table(harness.HEADER, rows, args.markdown))


if __name__ == "__main__":
    main()

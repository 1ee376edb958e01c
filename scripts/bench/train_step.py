"""Training steps and sampling of DCGAN and StyleGAN2: ganx against a PyTorch twin of the same net.

    python scripts/bench/train_step.py --device cpu --pin 1
    python scripts/bench/train_step.py --device gpu --batch 64 --full
    python scripts/bench/train_step.py --device cpu --pin 1 --full --batch 1 --resolution 256 --only StyleGAN2
    python scripts/bench/train_step.py --pin 1 --full --batch 1 --resolution 1024 --only 'StyleGAN2 sampling'

Every row checks first that both sides compute the same logits from the same parameters.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import harness


@dataclasses.dataclass(frozen=True)
class Case:
    """One row: a family, the changes to the default config, and which lazy penalties are due."""

    name: str
    family: str
    changes: dict[str, Any]
    due: tuple[str, ...] = ()


CASES = (
    Case("DCGAN step", "dcgan", {}),
    Case("DCGAN step, WGAN-GP penalty", "dcgan", {"gradient_penalty.weight": 10.0, "norm": False}),
    Case("DCGAN step, R1", "dcgan", {"r1.gamma": 10.0, "norm": False}, ("r1",)),
    Case("StyleGAN2 step", "stylegan2", {}),
    Case("StyleGAN2 step, R1", "stylegan2", {"r1.gamma": 10.0}, ("r1",)),
    Case("StyleGAN2 step, path length", "stylegan2", {"path_length.weight": 2.0}, ("path_length",)),
)


def options() -> Any:
    """The command line."""
    parser = harness.parser(__doc__.split("\n")[0])
    parser.add_argument("--batch", type=int, default=16, help="images in a batch")
    parser.add_argument("--resolution", type=int, default=64, help="of the images, a power of two")
    parser.add_argument("--full", action="store_true", help="StyleGAN2 at full width (512 channels, not 64)")
    parser.add_argument("--format", choices=("nchw", "channels_last"), default="channels_last", help="of PyTorch")
    return parser.parse_args()


def config_of(case: Case, args: Any) -> Any:
    """ganx's own config for a case."""
    from ganx.training import default_config

    config = default_config()
    config.batch = args.batch
    config.model.family = case.family
    if case.family == "stylegan2":
        config.share_fakes = False
        config.style_mixing = 0.0
        widths = {} if args.full else {"channel_base": 4096, "channel_max": 64}
        depth = {} if args.full else {"latent": 64, "style": 64, "mapping_layers": 4}
        with config.unlocked():
            config.model.generator = {**widths, **depth}
            config.model.discriminator = widths
    for name, value in case.changes.items():
        if name == "norm":
            with config.unlocked():
                config.model.discriminator = {"norm": value}
        else:
            group, key = name.split(".")
            config[group][key] = value
    return config


def build(case: Case, args: Any) -> tuple[Any, Any, Any]:
    """ganx's game, its first state and a batch of noise for images."""
    import jax

    from ganx.data.example import SourceSpec
    from ganx.training.adversarial import build_game

    shape = (args.resolution, args.resolution, 3)
    game = build_game(config_of(case, args), SourceSpec("noise", shape))
    state = jax.jit(lambda key: game.init(key, shape))(jax.random.key(0))
    return game, state, jax.random.normal(jax.random.key(1), (args.batch, *shape))


def our_step(game: Any, state: Any, real: Any, due: tuple[str, ...]) -> harness.Side:
    """ganx's training step, its state threaded through and its buffers given away."""
    import jax

    turn = {name: name in due for name in game.lazy()}
    step = jax.jit(lambda state, real: game.step(state, {"image": real}, turn), donate_argnums=0)
    program, seconds, gflop = harness.compile_jax(step, state, real)
    box = [jax.tree.map(jax.numpy.copy, state)]

    def run() -> None:
        box[0], metrics = program(box[0], real)
        jax.block_until_ready((box[0], metrics))

    return harness.Side(run, seconds, gflop)


def twin(case: Case, game: Any, state: Any, args: Any) -> Any:
    """The PyTorch game on the same parameters."""
    import torch_twins as twins
    from torch_step import TorchGame

    device = "cuda" if args.device == "gpu" else "cpu"
    last = args.format == "channels_last"
    transposed = getattr(twins, f"{case.family}_transposed")(state.g.params)
    read = functools.partial(twins.tensors, device=device, channels_last=last)
    g, g_stats = read(state.g.params, transposed=transposed), read(state.g.stats)
    d, d_stats = read(state.d.params), read(state.d.stats)
    codes, images = _sampler(case, game, g, g_stats, device)
    opt = config_of(case, args)
    return TorchGame(
        *(g, d, g_stats, d_stats, codes, images, getattr(twins, f"{case.family}_discriminator")),
        share=game.share_fakes, batch=args.batch, lr=opt.g.lr, betas=(opt.g.b1, opt.g.b2),
        r1=game.r1_gamma, gp=game.gp_weight, path=game.path_weight,
    )  # fmt: skip


def _sampler(case: Case, game: Any, g: Any, stats: Any, device: str) -> tuple[Any, Any]:
    import torch
    import torch_twins as twins

    generator = game.players.generator
    latent = generator.latent_shape()[0]

    def draw(n: int) -> Any:
        return torch.randn(n, latent, device=device)

    if case.family == "dcgan":
        return lambda train, n: draw(n), lambda z, train=True: twins.dcgan_generator(g, stats, z, train)

    def codes(train: bool, n: int) -> Any:
        return twins.stylegan2_mapping(g, stats, draw(n), train)[:, None].repeat(1, generator.num_layers(), 1)

    return codes, lambda ws, train=True: twins.stylegan2_synthesis(g, stats, ws, train)


def check_same(game: Any, state: Any, theirs: Any, real: Any) -> float:
    """Largest difference of the two discriminators' logits, relative to the largest logit."""
    import jax
    import numpy as np
    import torch

    ours = np.asarray(jax.jit(game.players.judge)(state.d.params, state.d.stats, real)[0])
    with torch.no_grad():
        stats = {name: tensor.clone() for name, tensor in theirs.d_stats.items()}
        device = next(iter(theirs.d.values())).device
        x = torch.tensor(np.asarray(real).transpose(0, 3, 1, 2).copy(), device=device)
        logits = theirs.critic(theirs.d, stats, x).cpu().numpy()
    return float(np.abs(ours - logits).max() / np.abs(ours).max())


def train_row(case: Case, args: Any) -> harness.Row:
    """Times one case."""
    import numpy as np
    import torch

    game, state, real = build(case, args)
    theirs = twin(case, game, state, args)
    difference = check_same(game, state, theirs, real)
    if not difference < (1e-4 if args.device == "cpu" or args.no_tf32 else 1e-2):
        raise SystemExit(f"{case.name}: the twin's logits differ by {difference:.1e}; the nets are not the same")
    images = torch.tensor(
        np.asarray(real).transpose(0, 3, 1, 2).copy(), device="cuda" if args.device == "gpu" else "cpu"
    )
    if args.format == "channels_last":
        images = images.contiguous(memory_format=torch.channels_last)
    step = functools.partial(theirs.step, images, "r1" in case.due, "path_length" in case.due)
    ours = our_step(game, state, real, case.due)
    them = harness.torch_side(step, args.device, theirs.compile)
    return harness.measure(case.name, args.batch, ours, them, args.repeats)


def sample_row(family: str, args: Any) -> harness.Row:
    """Times sampling: a batch of images from fresh latents, with stored statistics and noise."""
    import jax
    import torch

    from ganx.models import make_gan

    case = next(case for case in CASES if case.family == family)
    game, state, _ = build(case, args)
    theirs = twin(case, game, state, args)
    gan = make_gan(family, game.players.generator, state.g.variables)
    sample = jax.jit(lambda gan, key: gan(gan.latents(key, args.batch)))
    program, seconds, gflop = harness.compile_jax(sample, gan, jax.random.key(2))

    def run() -> None:
        jax.block_until_ready(program(gan, jax.random.key(2)))

    def draw() -> None:
        with torch.no_grad():
            theirs.images(theirs.codes(False, args.batch), False)

    name = case.name.replace("step", "sampling")
    sides = harness.Side(run, seconds, gflop), harness.torch_side(draw, args.device)
    return harness.measure(name, args.batch, *sides, args.repeats)


def main() -> None:
    args = options()
    harness.prepare(args)
    peak, source = harness.peak_gflops(args.device)
    print(harness.environment(args))
    print(f"batch {args.batch}, float32, PyTorch {args.format}; peak {peak:.0f} GFLOP/s ({source})\n", flush=True)
    jobs: list[tuple[str, Callable[[], harness.Row]]] = []
    print(f"images of {args.resolution} x {args.resolution}\n")
    for family in ("dcgan", "stylegan2"):
        cases = [case for case in CASES if case.family == family]
        jobs += [(case.name, functools.partial(train_row, case, args)) for case in cases]
        jobs += [(cases[0].name.replace("step", "sampling"), functools.partial(sample_row, family, args))]
    rows = []
    for name, job in jobs:
        if args.only in name:
            rows.append(harness.cells(job(), peak, args.device))
            print("; ".join(f"{head} {cell}" for head, cell in zip(harness.HEADER, rows[-1], strict=True)), flush=True)
    print("\n" + harness.table(harness.HEADER, rows, args.markdown))


if __name__ == "__main__":
    main()

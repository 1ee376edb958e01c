"""The verb that scores a GAN against real images."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from ganx.command import Formatter, Verbs

ORDER = 25


def add(verbs: Verbs) -> None:
    """Adds them to the command line."""
    parser = verbs.add_parser(
        "metrics",
        help="score a GAN against real images: FID, KID, IS, precision and recall, …",
        description="""Compares REAL images with those of a GAN (or of a second source of images, such as zip:PATH):
  fid   Fréchet distance            kid   kernel distance
  is    Inception score             ppl   perceptual path length
  pr    precision and recall        dc    density and coverage
through a feature network:
  inception   the public one of 2015; distances in it are FID and KID
  vgg16       for precision and recall as published
  facenet     a recogniser of faces; its distance is called FD-facenet
  faces       ganx's own, for 32-pixel faces of world:faces; its distance is called FD-faces and is no FID
  auto        faces for world:faces, inception for everything else
Numbers compare only under one preset, one network and equal counts: --json keeps all that is needed.""",
        formatter_class=Formatter,
    )
    parser.add_argument("real", help="a source of real images, such as folder:photos?size=64 or world:faces?size=32")
    parser.add_argument("gan", help="a training run, a saved or imported GAN, a bundled name, or a source of images")
    parser.add_argument("--which", default="fid,kid,pr,dc", help="comma-separated metrics")
    parser.add_argument("--net", default="auto", help="auto, inception, vgg16, facenet or faces")
    parser.add_argument("--weights", help="the network's public weight file, where it is not in its usual place")
    parser.add_argument("--preset", default="tf", help="tf, ada, pytorch_fid, clean, torchmetrics or none")
    parser.add_argument("--count", type=int, default=50_000, help="generated images; fewer are faster and bias FID up")
    parser.add_argument("--real-count", type=int, help="real images (all of them by default)")
    parser.add_argument("--batch", type=int, default=64, help="images at a time; changes no result")
    parser.add_argument("--seed", type=int, default=0, help="of the latents and the subsets")
    parser.add_argument("--json", help="file for the scores and all that reproduces them")
    parser.add_argument("--no-cache", action="store_true", help="neither use nor keep statistics of the real images")
    parser.set_defaults(run=_metrics)


def _metrics(args: argparse.Namespace) -> None:
    import jax

    from ganx.data import open_source
    from ganx.metrics.evaluate import evaluate
    from ganx.metrics.features import load_features
    from ganx.training.mesh import make_mesh

    _check(args)
    real, fake = open_source(args.real), _fake(args.gan)
    name = args.net if args.net != "auto" else "faces" if args.real.startswith("world:faces") else "inception"
    found = evaluate(
        real,
        fake,
        [word.strip() for word in args.which.split(",") if word.strip()],
        net=load_features(name, args.weights),
        how=args.preset,
        count=_count(args.count, fake),
        real_count=args.real_count,
        batch=args.batch,
        seed=args.seed,
        mesh=make_mesh() if jax.device_count() > 1 else None,
        keep=not args.no_cache,
        progress=_Progress(),
    )
    if args.json:
        _write(args.json, found.to_json())
    print(found.table())
    real_facts, fake_facts = found.facts["real"], found.facts["fake"]
    print(
        f"\n{fake_facts['count']:,} generated against {real_facts['count']:,} real images of {real_facts['source']}; "
        f"network {name}, preset {args.preset}, seed {args.seed}"
    )


def _fake(text: str) -> Any:
    """A source where one is named by its scheme, else a GAN."""
    from ganx.data import open_source
    from ganx.data.options import SCHEMES
    from ganx.store import load

    return open_source(text) if text.partition(":")[0] in SCHEMES and ":" in text else load(text)


def _count(asked: int, fake: Any) -> int:
    """A second source is taken whole where it has fewer images than asked for; the result says how many."""
    from ganx.gan import Gan

    return asked if isinstance(fake, Gan) else min(asked, len(fake))


def _check(args: argparse.Namespace) -> None:
    from ganx.errors import GanxError, unknown
    from ganx.metrics.features import NAMES

    for option in ("count", "real_count", "batch"):
        value = getattr(args, option)
        if value is not None and value < (1 if option == "batch" else 2):
            raise GanxError(f"--{option.replace('_', '-')} {value} is too small; statistics need two images or more")
    if args.net != "auto" and args.net not in NAMES:
        raise unknown("feature network", args.net, ("auto", *NAMES))


def _write(path: str, text: str) -> None:
    from ganx.errors import GanxError

    try:
        Path(path).write_text(text + "\n")
    except OSError as error:
        raise GanxError(f"cannot write {path}: {error.strerror}; choose another file") from None


class _Progress:
    """A line with what is left, every few seconds."""

    def __init__(self) -> None:
        self._what, self._began, self._spoke = "", 0.0, 0.0

    def __call__(self, what: str, done: int, total: int) -> None:
        from ganx.training.logs import duration, say

        now = time.monotonic()
        if what != self._what:
            self._what, self._began, self._spoke = what, now, now
        if now - self._spoke > (2.0 if sys.stderr.isatty() else 15.0) and done < total:
            self._spoke = now
            say(f"{what}: {done:,} of {total:,}, {duration((now - self._began) * (total - done) / done)} left")

"""`ganx demo`: a small GAN trained on the embedded faces, then opened up."""

from __future__ import annotations

import time
from pathlib import Path

from ml_collections import ConfigDict

from ganx.report import explain
from ganx.store import load
from ganx.training import default_config
from ganx.training.logs import duration, say
from ganx.training.loop import train


def demo_config() -> ConfigDict:
    """A DCGAN of a third of a million weights on 32-pixel faces; minutes on two CPU cores."""
    config = default_config()
    config.data.source = "world:faces?size=32"
    config.model.generator = {"width": 32}
    config.model.discriminator = {"width": 32, "norm": False}
    config.batch = 16
    config.steps = 6000
    config.g.lr = config.d.lr = 1e-3
    config.r1.gamma, config.r1.every = 0.5, 8
    config.ema_kimg = 2.0
    config.sample_every = 2000
    config.checkpoint_every = 2000
    return config


def demo(out: str | Path, steps: int | None = None) -> Path:
    """Trains into OUT and writes OUT/report; an earlier, unfinished demo there is taken up again.

    Returns:
      The path of the report's `index.html`.
    """
    began, out = time.monotonic(), Path(out)
    config = demo_config()
    config.steps = steps or config.steps
    say("1/2  training a small GAN on faces that ganx draws itself, so that it knows the truth about them")
    train(config, out)
    say("2/2  opening it up")
    page = explain(load(out), out / "report", title="A GAN trained on faces", progress=lambda lens: say(f"     {lens}"))
    say(f"done in {duration(time.monotonic() - began)}")
    return page

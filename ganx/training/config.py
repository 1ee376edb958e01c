"""Configurations: an `ml_collections` file, then typed overrides from the command line.

def get_config():                       # configs/faces64.py
    config = ganx.training.default_config()
    config.data.source = "world:faces?size=64"
    return config

ganx train --config configs/faces64.py --config.batch=32
"""

from __future__ import annotations

import ast
import runpy
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from ganx.errors import GanxError, unknown

_OPEN = (["model", "generator"], ["model", "discriminator"])  # what may be set here is for the family to say


def default_config() -> ConfigDict:
    """Every knob of `ganx train` for a GAN, with its default. Locked: a file can set only what exists."""
    config = ConfigDict(
        {
            "method": "adversarial",
            "seed": 0,
            "data": {
                "source": "world:faces?size=32",  # see ganx.data.open_source
                "residency": "auto",  # render (worlds), device (small sets), stream (the rest)
                "flip": False,  # mirror half of the images
                "on_error": "fail",  # an image that cannot be decoded: fail, or skip with a warning
            },
            "model": {
                "family": "dcgan",
                "generator": {},  # options of the family's networks, beside resolution and channels
                "discriminator": {},
                "conditional": False,  # on the source's class labels (for a world choose them with ?label=ATTRIBUTE)
            },
            "init": "",  # a saved, imported or bundled GAN to start from: G, D if there is one, fresh optimisers
            "dtype": "float32",  # what convolutions compute in: float32 or bfloat16
            "batch": 64,  # of one update, global: all devices of all processes together
            "accumulate": 1,  # parts that a batch is cut into, their gradients averaged: large batches in little memory
            "steps": 2000,
            "loss": "non_saturating",  # saturating, hinge, wasserstein, least_squares
            "share_fakes": True,  # G learns from the fakes D has just seen (DCGAN) or from fresh ones (StyleGAN2)
            "fake_labels": "uniform",  # classes of fakes: drawn uniformly, or "data": those of the step's real images
            "d_steps": 1,  # discriminator updates a step, each on its own slice of the batch
            "r1": {"gamma": 0.0, "every": 16},  # gamma/2 E|grad D(real)|^2
            "gradient_penalty": {"weight": 0.0},  # WGAN-GP: weight E(|grad D(mix)| - 1)^2
            "drift": 0.0,  # weight of E D(real)^2 (PGGAN's 0.001 with WGAN-GP)
            "path_length": {"weight": 0.0, "every": 4, "shrink": 2},
            "style_mixing": 0.0,  # probability of a second style code (style-based families)
            # what D sees passes a policy of ganx.training.ada ("" for none, "bgc") with probability p, which adapts
            # every so many steps, by 1 in `kimg` thousand images (0: never), so that E[sign D(real)] reaches target
            "augment": {"policy": "", "p": 0.0, "target": 0.6, "kimg": 500.0, "every": 4},
            # orthogonal: strength of orthogonal regularisation (BigGAN's paper: 1e-4)
            "g": {"lr": 2e-4, "b1": 0.5, "b2": 0.999, "eps": 1e-8, "orthogonal": 0.0},
            "d": {"lr": 2e-4, "b1": 0.5, "b2": 0.999, "eps": 1e-8, "orthogonal": 0.0},
            "clean_gradients": False,  # 0 for NaN and 1e5 for infinities in gradients (StyleGAN2-ADA)
            "ema_kimg": 1.0,  # half-life of the averaged generator, in thousands of images; 0 turns it off
            "ema_rampup": 0.0,  # at most this share of the images seen so far (StyleGAN2-ADA: 0.05); 0 for no ramp
            "ema_start": 0,  # steps before which the averaged generator is a copy (BigGAN: 20000)
            "ema_buffers": "average",  # batch statistics: average (BigGAN) or copy
            "steps_per_call": 1,  # steps in one dispatch; more than 1 hides the host on accelerators
            "log_every": 10,
            "sample_every": 500,
            "samples": 64,
            # a Fréchet distance every so many steps (0: never), by a feature net of ganx.metrics: faces or inception
            "score": {"every": 0, "images": 2048, "net": "faces"},
            "checkpoint_every": 500,
            "keep": 3,  # checkpoints kept
        }
    )
    return config.lock()


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> ConfigDict:
    """The configuration that a file's `get_config()` returns, with `a.b=value` overrides applied.

    Raises:
      GanxError: no such file, no `get_config`, an unknown key (the nearest valid one is named) or a wrong type.
    """
    path = Path(path)
    if not path.is_file():
        raise GanxError(f"no config file at {path}; configs/ holds ready ones")
    try:
        config = runpy.run_path(str(path))["get_config"]()
    except KeyError:
        raise GanxError(f"{path} defines no get_config(); it must return a ConfigDict") from None
    except (AttributeError, TypeError, SyntaxError, ImportError, NameError) as error:
        raise GanxError(f"{path}: {_first_line(error)}") from error
    for text in overrides:
        override(config, text)
    return config


def override(config: ConfigDict, text: str) -> None:
    """Applies one `a.b=value`. The value must have the type of the one it replaces."""
    name, equals, value = text.partition("=")
    if not equals:
        raise GanxError(f"--config.{text} has no value; write --config.{name}=VALUE")
    *parents, leaf = name.split(".")
    if parents in _OPEN and leaf.isidentifier() and leaf not in config.model[parents[1]]:
        with config.model[parents[1]].unlocked():
            config.model[parents[1]][leaf] = _literal(value)
        return
    node: Any = config
    for key in (*parents, leaf):
        if not isinstance(node, ConfigDict) or key not in node:
            raise unknown("config key", name, flat_keys(config))
        parent, node = node, node[key]
    if isinstance(node, ConfigDict):
        raise GanxError(f"--config.{name} is a group; set one of its keys: {', '.join(flat_keys(node, name))}")
    parent[leaf] = _typed(name, value, node)


def flat_keys(config: ConfigDict, prefix: str = "") -> list[str]:
    """Dotted names of all values."""
    return list(_flat(config, prefix))


def _flat(config: ConfigDict, prefix: str) -> Iterator[str]:
    for key, value in config.items():
        name = f"{prefix}.{key}" if prefix else key
        yield from _flat(value, name) if isinstance(value, ConfigDict) and value else [name]


def _typed(name: str, text: str, old: Any) -> Any:
    if isinstance(old, str):
        return text
    value = _literal(text)
    if isinstance(old, float) and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if old is not None and type(value) is not type(old):
        raise GanxError(
            f"--config.{name}={text}: expected {type(old).__name__} (it is {old!r} now), got {type(value).__name__}"
        )
    return value


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval({"true": "True", "false": "False"}.get(text, text))
    except (ValueError, SyntaxError):
        return text


_LEAST: dict[int, tuple[str, ...]] = {
    1: (
        *("batch", "accumulate", "steps", "d_steps", "steps_per_call", "samples", "keep", "score.images"),
        *("r1.every", "path_length.every", "path_length.shrink", "augment.every"),
    ),
    0: (
        *("log_every", "sample_every", "checkpoint_every", "score.every", "r1.gamma", "gradient_penalty.weight"),
        *("drift", "path_length.weight", "style_mixing", "ema_kimg", "ema_rampup", "ema_start"),
    ),
}


def check_ranges(config: ConfigDict) -> None:
    """Refuses numbers that no run has, such as a batch of 0; methods may leave any of them out.

    Raises:
      GanxError: naming the first.
    """
    for least, names in _LEAST.items():
        for name in names:
            value = _value(config, name)
            if value is not None and not value >= least:
                raise GanxError(f"config.{name} is {value}; it is a number from {least} up")
    for name in ("g.lr", "d.lr"):
        value = _value(config, name)
        if value is not None and not value > 0:
            raise GanxError(f"config.{name} is {value}; a learning rate is above 0")


def _value(config: ConfigDict, name: str) -> Any:
    """A number by its dotted name, None where there is none."""
    node: Any = config
    for key in name.split("."):
        node = node.get(key) if isinstance(node, ConfigDict) else None
    return node if isinstance(node, int | float) else None


def check_choice(name: str, value: str, choices: Iterable[str]) -> None:
    """Refuses a config value that is not one of the choices."""
    choices = list(choices)
    if value not in choices:
        raise unknown(f"value for config.{name}", value, choices)


def _first_line(error: BaseException) -> str:
    return " ".join(str(error).split("\n")[0].split()) or type(error).__name__

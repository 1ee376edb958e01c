"""The `ganx` command: verbs live with what they run (`ganx.command`). Bad input is one line and exit code 2."""

from __future__ import annotations

import argparse
import hashlib
import importlib
import importlib.util
import os
import pkgutil
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import jax

import ganx
from ganx import cache
from ganx.command import Formatter, Verbs
from ganx.errors import GanxError, unknown


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command line; returns its exit code."""
    parser = build_parser()
    args, rest = parser.parse_known_args(argv)
    try:
        args.overrides = _overrides(args, rest, parser)
        _keep_programs()
        args.run(args)
    except GanxError as error:
        print(f"ganx: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of our output, such as `head`, has left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("ganx: interrupted", file=sys.stderr)
        return 130
    return 0


def _keep_programs() -> None:
    """Compiled programs are kept between commands, unless JAX has been told where to keep them, or ("") not to.

    Most of a short command is compilation: explained a second time, a generator takes a quarter of the time.
    """
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        jax.config.update("jax_compilation_cache_dir", str(cache.folder("programs") / _machine()))
        if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
            jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


def _machine() -> str:
    """A name for this kind of processor: on a shared home, another kind could not run a program compiled for it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    told = {line for line in lines if line.startswith(("flags", "Features", "model name"))}
    text = "\n".join([platform.platform(), platform.processor(), *sorted(told)])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = argparse.ArgumentParser(
        prog="ganx", description="Train, take apart, edit and audit GANs.", formatter_class=Formatter
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for module in sorted(_modules(), key=lambda module: module.ORDER):
        module.add(verbs)
    _add_demo(verbs)
    return parser


def _modules() -> list[ModuleType]:
    names = [f"ganx.{package.name}.verbs" for package in pkgutil.iter_modules(ganx.__path__) if package.ispkg]
    return [importlib.import_module(name) for name in names if importlib.util.find_spec(name)]


def _overrides(args: argparse.Namespace, rest: list[str], parser: argparse.ArgumentParser) -> list[str]:
    """`--config.a.b=v` (or `--config.a.b v`) as `a.b=v`; anything else left over is an error."""
    texts, words = [], list(rest)
    while words:
        word = words.pop(0)
        if args.verb == "train" and word.startswith("--config."):
            if "=" not in word and words:
                word = f"{word}={words.pop(0)}"
            texts.append(word.removeprefix("--config."))
            continue
        if args.verb == "train":
            _refuse_bare(word.split("=")[0].lstrip("-"))
        known = [o for o in _options(parser, args.verb) if o.startswith("--")]
        raise unknown("option", word.split("=")[0], known)
    return texts


def _refuse_bare(name: str) -> None:
    """Says how to write a setting of a run that was given like an option."""
    from ganx.training.config import default_config, flat_keys

    keys = [key for key in flat_keys(default_config()) if name in (key, key.rpartition(".")[2])]
    if keys:
        raise GanxError(f"train has no option --{name}; write --config.{keys[0]}=VALUE")


def _options(parser: argparse.ArgumentParser, verb: str) -> list[str]:
    actions = parser._subparsers._group_actions[0].choices[verb]._actions  # type: ignore[union-attr,index]
    return [option for action in actions for option in action.option_strings]


def _add_demo(verbs: Verbs) -> None:
    parser = verbs.add_parser(
        "demo",
        help="train a small GAN on the embedded faces and open it up, in about five minutes on two CPU cores",
        formatter_class=Formatter,
    )
    parser.add_argument("--out", default="runs/demo", help="folder for the run and its report")
    parser.add_argument("--steps", type=int, help="training steps, where the default is too long or too short")
    parser.set_defaults(run=_demo)


def _demo(args: argparse.Namespace) -> None:
    from ganx.demo import demo

    print(f"open {demo(args.out, args.steps)}")


if __name__ == "__main__":
    sys.exit(main())

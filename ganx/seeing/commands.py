"""What the verbs do: files in, files and a few lines out."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import PurePath
from typing import Any

import jax
import numpy as np
from etils import epath

from ganx.errors import GanxError
from ganx.numbers import to_json
from ganx.pictures import png, sheet, to_uint8
from ganx.seeing import gather, pictures, session
from ganx.seeing.chain import RATIO, Chain, cut
from ganx.seeing.compare import Comparison, compare
from ganx.seeing.evaluate import believed, measures
from ganx.seeing.features import vgg_features
from ganx.seeing.frechet import fsd
from ganx.seeing.inverter import Inverter, trunk_features
from ganx.seeing.measure import Pictures, Table, measure
from ganx.seeing.methods import InvertOptions, check_options, draw
from ganx.seeing.omissions import Omissions, agreement
from ganx.seeing.plot import plot
from ganx.seeing.sensitivity import SelfCheck, distance_by_size, self_check
from ganx.seeing.training import FitOptions
from ganx.store import absolute, load, writable_folder
from ganx.training.logs import Progress, say


def segstats(args: argparse.Namespace) -> None:
    """`ganx segstats`."""
    out = writable_folder(absolute(args.out))
    segmenter = args.segmenter or _default(args.real)
    # all of them are opened before any is counted, so that a wrong name is told at once
    opened = [gather.pictures(text, segmenter, args.seed) for text in (args.real, *args.generated)]
    _alike(args.generated, opened)
    names = _unique([PurePath(text.partition("?")[0]).stem or text for text in args.generated])
    texts = (args.real, *args.generated)
    counted = [
        _table(text, one, args, out / f"{name}.npz")
        for name, text, one in zip(("real", *names), texts, opened, strict=True)
    ]
    real, tables = counted[0], dict(zip(names, counted[1:], strict=True))
    found = compare(real.moments(), {name: table.moments() for name, table in tables.items()}, real.names, args.top)
    check = self_check(real.counts, real.pixels, real.names) if len(real.counts) >= 4 else None
    by_size = {name: _by_size(real, table) for name, table in tables.items()}
    (out / "comparison.png").write_bytes(png(plot(found)))
    (out / "comparison.json").write_text(to_json(numbers(found, check) | {"fsd_by_pictures": by_size}))
    print("\n".join(_lines(found, check)))
    for name, values in by_size.items():
        print(f"{name}, FSD by pictures on each side: " + ", ".join(f"{n}: {v:.4g}" for n, v in values.items()))
    print(out / "comparison.png")


def distance(args: argparse.Namespace) -> None:
    """`ganx fsd`."""
    segmenter = args.segmenter or next((s for s in map(_default, (args.a, args.b)) if s), "")
    opened = [gather.pictures(text, segmenter, args.seed) for text in (args.a, args.b)]
    _alike([args.b], opened)
    a, b = (_table(text, one, args, None) for text, one in zip((args.a, args.b), opened, strict=True))
    found = fsd(a.moments(), b.moments(), args.units)
    print(f"FSD {found.value:.6g} ({args.units} squared): means {found.means:.6g}, covariances {found.covariances:.6g}")
    print(f"n = {len(a.counts)} and {len(b.counts)}; compare it only with distances at the same n")
    if len(a.counts) >= 4 and args.units == "percent":
        check = self_check(a.counts, a.pixels, a.names)
        print(f"two halves of the first, {check.n} pictures each, are {check.distance.mean():.4g} apart")
    if not found.sound:
        raise GanxError("the distance is far below 0, which no two sets can be; check the tallies")


def reconstruct(args: argparse.Namespace) -> None:
    """`ganx invert`."""
    gan = load(args.gan)
    options = InvertOptions(
        args.method,
        args.steps,
        args.lr,
        strength=args.strength,
        code_optimiser=args.code_optimiser,
        batch=args.batch,
    )
    check_options(options)
    features = _features(args)
    out = writable_folder(absolute(args.out))
    given = gather.images(args.images, gan, args.count, args.seed, _labels(args, gan, 1))
    label = _labels(args, gan, len(given.images))
    chain = cut(gan, args.at)
    if chain.ratio > RATIO:
        text = f"after {chain.cuts[-1]} there are {chain.ratio:.2f} numbers for each of the image"
        say(f"{text}: so free, late layers also draw what the GAN never learned")
    inverters = _inverters(args, chain, out)
    if args.features == "trunk":
        features = trunk_features(inverters["layered"])
    say(f"inverting {len(given.images)} pictures, {args.steps} updates each; compiling them first")
    bar = Progress(0, len(given.images) * args.steps, 1, True)
    key = jax.random.key(args.seed)
    found = session.invert_all(out, chain, given.images, options, inverters, features, label, key, bar.update)
    bar.close()
    truth = draw(chain, given.z, label) if given.own.any() else None
    measured = measures(given.images, found, given.own, truth)
    facts = {"gan": args.gan, "cuts": list(chain.cuts), "features": args.features, "seed": args.seed}
    facts |= {"options": dataclasses.asdict(options), "measured": measured}
    session.write(out, given.images, given.names, found, facts)
    shown = np.stack([to_uint8(given.images[:16]), to_uint8(found.images[:16])])
    (out / "reconstructions.png").write_bytes(png(sheet(shown)))
    for name in ("samples", "photographs"):
        if name in measured:
            print(f"{name}: " + ", ".join(f"{what} {value:.4g}" for what, value in measured[name].items()))
    print(believed(measured))
    print(out / session.RESULT)


def report_omissions(args: argparse.Namespace) -> None:
    """`ganx omissions`."""
    folder = absolute(args.inverted)
    images, _, found = session.read(folder)
    print(believed(session.facts(folder).get("measured", {})))
    segmenter = gather.named(args.segmenter)
    before, after = (pictures.labels_of(segmenter, x) for x in (images, found.images))
    omissions = Omissions.of_labels(before, after, segmenter.names)
    statistics = _statistics(args.statistics) if args.statistics else None
    deltas = next(iter(_deltas(statistics).values())) if statistics else None
    rows = pictures.rows(omissions, deltas)
    picture = pictures.blocks(images[:12], found.images[:12], before[:12], after[:12], len(segmenter.names))
    (folder / "omissions.png").write_bytes(png(sheet(picture)))
    result: dict[str, Any] = {"columns": pictures.header(deltas), "rows": rows, "images": len(images)}
    if statistics:
        result["agreement"] = {
            name: agreement(omissions, statistics.names, side).correlation for name, side in statistics.sides.items()
        }
    (folder / "omissions.json").write_text(to_json(result))
    for index in omissions.ranking()[:20]:
        print(pictures.key(omissions, index))
    for name, value in result.get("agreement", {}).items():
        print(f"rank correlation with what {name} leaves out as a whole: {value}")
    print(folder / "omissions.png")


def numbers(found: Comparison, check: SelfCheck | None) -> dict[str, Any]:
    """A comparison as JSON."""
    plain: dict[str, Any] = {"classes": found.names, "n": found.n, "real_percent": found.mean.tolist()}
    plain["generated"] = {
        name: {
            "fsd": side.distance.value,
            "fsd_means": side.distance.means,
            "fsd_covariances": side.distance.covariances,
            "percent": side.mean.tolist(),
            "percent_error": side.error.tolist(),
            "delta": side.delta.tolist(),
            "delta_error": side.delta_error.tolist(),
            "z": side.z.tolist(),
            "presence_delta": side.presence_delta.tolist(),
            "hallucinated": dict(side.hallucinated),
        }
        for name, side in found.sides.items()
    }
    if check:
        plain["halves"] = {"fsd": check.distance.tolist(), "floor": check.floor, "n": check.n, "z": check.largest_z}
    return plain


def _lines(found: Comparison, check: SelfCheck | None) -> list[str]:
    lines = []
    for name, side in found.sides.items():
        lines.append(f"{name}: FSD {side.distance.value:.4g} over {found.n} real pictures")
        order = np.argsort(side.delta)
        worst = [i for i in (*order[:5], *order[::-1][:3]) if abs(side.z[i]) > 3]
        for i in dict.fromkeys(worst):
            gap = f"{side.delta[i]:+.0%} ± {1.96 * side.delta_error[i]:.0%} of its area"
            lines.append(f"  {found.names[i]}: {gap}, {side.presence_delta[i]:+.0%} of the pictures that show it")
        lines += [f"  {what} only generated: {area:.2f}% of the pixels" for what, area in side.hallucinated[:5]]
    if check:
        lines.append(f"two halves of the real pictures, {check.n} each: FSD {check.distance.mean():.4g}")
    return lines


def _alike(texts: list[str], opened: list[Pictures | Table]) -> None:
    for text, one in zip(texts, opened[1:], strict=True):
        if one.names != opened[0].names:
            raise GanxError(f"{text} and the first pictures are segmented into different classes; use one segmenter")


def _by_size(real: Table, table: Table) -> dict[int, float]:
    """FSD for half, a quarter and an eighth of the pictures too: how much of it is the sample's size."""
    n = min(len(real.counts), len(table.counts))
    sizes = [n // part for part in (8, 4, 2, 1) if n // part >= 2]
    return distance_by_size(real.counts, table.counts, real.pixels, sizes) if sizes else {}


def _table(text: str, found: Pictures | Table, args: argparse.Namespace, save: epath.Path | None) -> Table:
    if isinstance(found, Table):
        return found
    n = min(args.samples, found.limit or args.samples)
    if n < args.samples:
        say(f"{text} has only {n} pictures")
    say(f"counting {n} pictures: {found.what}")
    return measure(found, n, args.batch, save, progress=True)


def _default(text: str) -> str:
    """The segmenter that goes with a source of real pictures."""
    return text if text.startswith("world:") else ""


def _unique(names: list[str]) -> list[str]:
    names = [name.replace(":", "-").replace("/", "-") for name in names]
    taken = ["real"]
    for name in names:
        again = sum(t == name or t.startswith(f"{name}-") for t in taken)
        taken.append(f"{name}-{again + 1}" if again else name)
    return taken[1:]


def _inverters(args: argparse.Namespace, chain: Chain, out: epath.Path) -> dict[str, Inverter]:
    if args.method == "a":
        return {}
    direct = args.method in "bc"
    steps, joint = (0, args.fit_steps + args.joint_steps) if direct else (args.fit_steps, args.joint_steps)
    options = FitOptions(steps, joint, args.fit_batch, width=args.width)
    bars: dict[str, Progress] = {}

    def report(stage: str, done: int, metrics: Any) -> None:
        if stage not in bars:
            say("layer by layer" if stage == "layers" else "together")
            bars[stage] = Progress(0, steps if stage == "layers" else joint, args.fit_batch, True)
        bars[stage].update(done)

    name = "direct" if direct else "layered"
    if not session.trained(out / name):
        say(f"training the inverses: {steps} steps layer by layer, {joint} together; compiling a step of each first")
    found = session.inverter(out / name, chain, options, jax.random.key(args.seed), report)
    for bar in bars.values():
        bar.close()
    return {name: found}


def _features(args: argparse.Namespace) -> Any:
    """The feature net of a loss as far as it is there before inverses are trained."""
    if args.features.startswith("vgg:"):
        return vgg_features(args.features[4:])
    if args.features != "none" and (args.features != "trunk" or args.method in "abc"):
        raise GanxError(f"features are none, trunk (methods d, e and f) or vgg:PATH, not {args.features!r}")
    return None


def _labels(args: argparse.Namespace, gan: Any, n: int) -> np.ndarray | None:
    if not gan.spec.classes:
        return None
    if args.label is None:
        raise GanxError(f"this GAN knows {gan.spec.classes} classes; say which with --label")
    return np.full(n, args.label, np.int32)


def _statistics(folder: str) -> Comparison:
    path = absolute(folder)
    if not (path / "real.npz").exists():
        raise GanxError(f"{folder} holds no real.npz; give a folder that ganx segstats wrote")
    real = Table.load(path / "real.npz")
    tables = {p.stem: Table.load(p) for p in sorted(path.iterdir()) if p.suffix == ".npz" and p.stem != "real"}
    if not tables:
        raise GanxError(f"{folder} holds no tallies of generated pictures; run ganx segstats to its end")
    return compare(real.moments(), {name: table.moments() for name, table in tables.items()}, real.names, None)


def _deltas(found: Comparison) -> dict[str, dict[str, float]]:
    return {name: dict(zip(found.names, side.delta.tolist(), strict=True)) for name, side in found.sides.items()}

"""What the verbs write: pictures of groups and of swaps."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from ganx.errors import GanxError
from ganx.gan import Gan
from ganx.igan import draw, edits
from ganx.igan.cut import choose_cut
from ganx.igan.evaluate import score_all
from ganx.igan.files import Concepts, open_concepts
from ganx.igan.langevin import LangevinRule
from ganx.igan.matched import concepts_of, groups_by_name, match_concepts
from ganx.igan.smooth import smoothed
from ganx.igan.swaps import Swapped, settle_swap, swap_parts
from ganx.igan.truth import parts_of
from ganx.numbers import to_json
from ganx.pictures import enlarge, png, sheet
from ganx.segment import Segmenter
from ganx.store import writable_folder

_SAMPLES, _SHOWN, _FILTERS = 32, 4, 4
_SIDE = 96  # small pictures are enlarged to about this many pixels


@dataclasses.dataclass(frozen=True)
class Wish:
    """What is to be swapped, see `ganx swap --help`. Without a `part` there are `groups`, as text."""

    groups: str | None = None
    part: str | None = None
    pairs: int = 6
    count: int = 16
    stage: str = ""
    seed: int = 0
    langevin: int = 0
    move: str | None = None
    erase: bool = False
    segmenter: str = ""


def show_groups(
    path: str, out: str, counts: Sequence[int], stage: str, seed: int, score: bool = False, segmenter: str = ""
) -> Iterator[str]:
    """Writes the pictures of `ganx groups`, and yields what to say about each grouping."""
    gan, own = open_concepts(path)
    parts = parts_of(gan, segmenter=segmenter)
    if score and parts is None:
        raise GanxError("--score needs the parts of images, which a world knows; name others with --segmenter")
    folder = Path(str(writable_folder(out)))
    fit_key, look_key, match_key = jax.random.split(jax.random.key(seed), 3)
    found = {"trained": own} if own is not None else {}
    cut = own.cut if own is not None and not stage else choose_cut(gan, stage)
    for count in counts:
        if not 1 <= count <= gan.shapes[cut.stage][-1]:
            raise GanxError(f"{count} groups of {gan.shapes[cut.stage][-1]} filters make no sense; change --count")
        found[f"mixture of {count}"] = concepts_of(gan, None, cut, count, fit_key)
    layouts, numbers = [], {}
    for name, concepts in found.items():
        images, middle, filters = (np.asarray(x) for x in _look(gan, concepts, look_key))
        layouts.append(draw.layout(images, middle))
        slug = name.replace(" ", "-")
        (folder / f"fields-{slug}.png").write_bytes(png(_large(_fields(images, middle, filters, concepts))))
        numbers[name] = _numbers(gan, concepts, parts, match_key)
        yield _line(name, numbers[name])
    (folder / "layout.png").write_bytes(png(_large(np.stack(layouts)[None])))
    (folder / "groups.json").write_text(to_json(numbers))
    if score and parts is not None:
        yield from _scores(gan, found, parts, folder, seed)
    yield f"{folder}: layout.png ({', '.join(found)}), fields-*.png, groups.json"


def _scores(gan: Gan, found: dict[str, Concepts], parts: Segmenter, folder: Path, seed: int) -> Iterator[str]:
    """Measures every grouping, and the controls, on the same pairs; writes `scores.json`."""
    scores = score_all(gan, found, parts, jax.random.key(seed))
    (folder / "scores.json").write_text(to_json({k: dataclasses.asdict(v) for k, v in scores.items()}))
    for name, each in scores.items():
        for part, s in each.parts.items():
            yield (
                f"{part:8} by {name:24} Out/In {s.ratio:.3f} (mean {s.mean:.3f}, median {s.median:.3f})  "
                f"transfer {s.transfer:.2f}  choice {s.choice:.2f}"
            )


def _look(gan: Gan, concepts: Concepts, key: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    labels = jnp.asarray(concepts.labels)
    return draw.look(gan, concepts.cut, labels, concepts.groups, jax.random.clone(key), _SAMPLES)


def _fields(images: np.ndarray, middle: np.ndarray, filters: np.ndarray, concepts: Concepts) -> np.ndarray:
    """One row a group: its centre on a few images, then some of its filters on the first."""
    groups = draw.fields(images[:_SHOWN], middle[:_SHOWN])
    chosen = draw.examples(concepts.labels, concepts.groups, _FILTERS)
    single = draw.fields(images[:1], filters[:1])[:, 0]
    own = np.where((chosen >= 0)[..., None, None, None], single[chosen], 0)
    return np.concatenate([groups, own.astype(np.uint8)], 1)


def _numbers(gan: Gan, concepts: Concepts, parts: Segmenter | None, key: jax.Array) -> dict:
    """What a grouping is like, for `groups.json`."""
    share = draw.shares(concepts.labels, concepts.groups)
    numbers: dict = {"stage": concepts.cut.stage, "groups": concepts.groups, "share": share.tolist()}
    if parts is not None:
        matching = match_concepts(gan, concepts, parts, key)
        numbers["parts"] = {name: matching.standing_for(name) for name in matching.names}
    return numbers


def _line(name: str, numbers: dict) -> str:
    share = numbers["share"]
    text = (
        f"{name}: {numbers['groups']} groups at {numbers['stage']}, {min(share):.0%} to {max(share):.0%} of the filters"
    )
    parts = numbers.get("parts", {})
    return text + "".join(f"; {part} {_said(groups)}" for part, groups in parts.items())


def show_swap(path: str, out: str, wish: Wish) -> str:
    """Writes the picture of `ganx swap`; returns what to say about it."""
    gan, own = open_concepts(path)
    fit_key, match_key, key = jax.random.split(jax.random.key(wish.seed), 3)
    concepts = concepts_of(gan, own, choose_cut(gan, wish.stage), wish.count, fit_key)
    chosen = _chosen(gan, concepts, wish, match_key)
    channels = edits.select(jnp.asarray(concepts.labels), chosen)
    swapped = _edited(gan, concepts, channels, wish, key)
    rows = draw.swap_rows(swapped)
    target = Path(out)
    writable_folder(target.parent)
    target.write_bytes(png(_large(rows)))
    return f"{target}: {', '.join(draw.SWAP_COLUMNS)}; groups {_said(chosen)}"


def _said(groups: Mapping[int, float]) -> str:
    """Numbers of groups, and how far those go that do not go all the way."""
    return ", ".join(f"{group}" if far == 1 else f"{group} ({far:.0%})" for group, far in groups.items())


def _chosen(gan: Gan, concepts: Concepts, wish: Wish, key: jax.Array) -> dict[int, float]:
    if wish.part:
        return groups_by_name(gan, concepts, wish.part, key, wish.segmenter)
    texts = (wish.groups or "").split(",")
    if not all(text.strip().isdigit() for text in texts):
        raise GanxError(f"--groups {wish.groups}: give numbers of groups, such as 3,5; `ganx groups` shows them")
    return dict.fromkeys(edits.check_groups([int(text) for text in texts], concepts.groups), 1.0)


def _edited(gan: Gan, concepts: Concepts, channels: jax.Array, wish: Wish, key: jax.Array) -> Swapped:
    if wish.pairs < 1:
        raise GanxError(f"--pairs {wish.pairs}: at least one")
    z, label = gan.latents(key, 2 * wish.pairs), gan.labels(key, 2 * wish.pairs)
    if wish.langevin:
        z = _settled(gan, concepts, z, label, channels, wish, jax.random.fold_in(key, 1))
    act = concepts.cut.lower(gan, z, label=label)
    a, b = act[: wish.pairs], act[wish.pairs :]
    if not (wish.move or wish.erase):
        return swap_parts(gan, concepts.cut, a, b, channels)
    edit = edits.erase(channels) if wish.erase else edits.move(channels, *_offset(wish.move or ""))
    draw_all = [a, b, a.with_features(edit(a.features)), b.with_features(edit(b.features))]
    return Swapped(*(concepts.cut.upper(gan, each) for each in draw_all))


def _settled(
    gan: Gan, concepts: Concepts, z: jax.Array, label: jax.Array | None, channels: jax.Array, wish: Wish, key: jax.Array
) -> jax.Array:
    """Latents after Langevin steps on the swapped images (paper, Improving the realism)."""
    if concepts.weights is None:
        raise GanxError(
            "--langevin needs the energy of a GAN that was trained with it: ganx train --config configs/igan/…"
        )
    n, weights = wish.pairs, jnp.asarray(concepts.weights)
    # the chain holds pairs, one beside the other
    both = None if label is None else jnp.stack([label[:n], label[n:]], 1).reshape(-1)

    def features_of(z: jax.Array) -> jax.Array:
        # blurring channel by channel commutes with swapping channels
        return smoothed(concepts.cut.lower(gan, z, label=both).features, concepts.smooth)

    rule = LangevinRule(steps=wish.langevin, clip_score=50.0)
    labels = jnp.asarray(concepts.labels)
    a, b, _ = settle_swap(
        features_of, z[:n], z[n:], channels, weights, labels, key, rule, concepts.form, gan.spec.prior
    )
    return jnp.concatenate([a, b])


def _offset(text: str) -> tuple[int, int]:
    parts = text.split(",")
    if len(parts) != 2 or not all(part.strip().lstrip("-").isdigit() for part in parts):
        raise GanxError(f"--move {text}: give DOWN,RIGHT in positions of the layer, such as 0,2")
    return int(parts[0]), int(parts[1])


def _large(pictures: np.ndarray) -> np.ndarray:
    """One sheet of `[rows, columns, H, W, C]`, small pictures enlarged."""
    return sheet(enlarge(pictures, max(1, round(_SIDE / pictures.shape[-2]))), gap=4)

"""Groups of filters in the report: where each looks, and what swapping it does."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from ganx.errors import GanxError
from ganx.gan import Gan
from ganx.igan import draw, edits
from ganx.igan.cut import choose_cut
from ganx.igan.evaluate import Scores, score_all
from ganx.igan.files import Concepts, open_concepts
from ganx.igan.matched import concepts_of, match_concepts
from ganx.igan.swaps import swap_parts
from ganx.igan.truth import part_names, parts_of
from ganx.lens import Chart, Figure, ImageGrid, Inquiry, Section, Table, register
from ganx.pictures import shrink
from ganx.segment import Segmenter

_COUNTS, _GROUPS, _SAMPLES, _SHOWN, _SIDE = (8, 16, 24), 16, 32, 4, 128
_LEAD = (
    "The filters of one layer fall into groups by where in the picture they are active. Where a group owns a part, "
    "copying its channels from one picture into another carries the part over. In a GAN that was not trained for it "
    "groups overlap; training with a configuration of configs/igan is what pulls them apart (IGAN)."
)
_LAYOUT = "Every pixel in the colour of the group that is most active there on average, for more and more groups."
_FIELDS = "Where each group is active: a row a group, a column a picture; the rest is dimmed."
_SHARES = "How many of the filters each group has."
_SWAP = "From left to right: a picture, a donor, the picture with the donor's part, the other way round, the change."
_TABLE = (
    "How well parts can be carried over. Out/In is the change outside of the part against that inside (lower is "
    "better); transfer says how much of the part changed, choice how often the donor can be told from three others by "
    "the part alone (0.25 by chance). Collaging knows the masks, groups do not."
)
_PARTS = ("hair", "eyes", "mouth", "face")


@register("groups", order=60, title="Groups of filters (IGAN)")
def groups(gan: Gan, inquiry: Inquiry) -> Section | None:
    """Concept layouts, receptive fields and sizes of groups; for a world also swaps by name and their scores."""
    own = open_concepts(inquiry.path)[1] if inquiry.path else None
    try:
        cut = own.cut if own else choose_cut(gan)
    except GanxError:  # no layer of maps
        return None
    fit_key, look_key, key = jax.random.split(inquiry.key, 3)
    counts = [count for count in _COUNTS if count <= gan.shapes[cut.stage][-1]]
    found = {count: concepts_of(gan, None, cut, count, fit_key) for count in counts or [2]}
    if own:
        found[own.groups] = own
    main = own or found.get(_GROUPS) or found[max(found)]
    figures = _pictures(gan, found, main, look_key)
    numbers: dict = {"stage": cut.stage, "share": draw.shares(main.labels, main.groups).tolist()}
    parts = parts_of(gan, inquiry.source)
    if parts is not None:
        more, scores = _truth(gan, main, parts, inquiry, key)
        figures, numbers = (*figures, *more), {**numbers, "scores": scores}
    return Section(_LEAD, figures, numbers, {"labels": np.asarray(main.labels)})


def _pictures(gan: Gan, found: dict[int, Concepts], main: Concepts, key: jax.Array) -> tuple[Figure, ...]:
    layouts, fields = [], None
    for concepts in found.values():
        labels = jnp.asarray(concepts.labels)
        seen = draw.look(gan, concepts.cut, labels, concepts.groups, jax.random.clone(key), _SAMPLES)
        images, middle = (np.asarray(x) for x in seen[:2])
        layouts.append(shrink(draw.layout(images, middle), _SIDE))
        if concepts is main:
            fields = shrink(draw.fields(images[:_SHOWN], middle[:_SHOWN]), _SIDE)
    assert fields is not None
    names = tuple(f"{count} groups" for count in found)
    rows = tuple(f"group {i}" for i in range(main.groups))
    share = 100 * draw.shares(main.labels, main.groups)
    return (
        ImageGrid(np.stack(layouts)[None], _LAYOUT, columns=names, cell=160),
        ImageGrid(fields, _FIELDS, rows, cell=72),
        Chart("bars", tuple(map(str, range(main.groups))), {"filters": share}, _SHARES, unit="% of the filters"),
    )


def _truth(
    gan: Gan, main: Concepts, parts: Segmenter, inquiry: Inquiry, key: jax.Array
) -> tuple[tuple[Figure, ...], dict]:
    pair_key, match_key, score_key = jax.random.split(key, 3)
    names, pairs = part_names(parts), int(np.clip(min(2**21 // gan.spec.resolution**2, inquiry.samples // 8), 4, 64))
    matching = match_concepts(gan, main, parts, match_key, pairs)
    wanted = [part for part in _PARTS if part in names or part == "face"] if "mouth" in names else list(names[:4])
    a, b = draw.pair(gan, main.cut, pair_key, _SHOWN)
    figures: list[Figure] = []
    for part in wanted:
        channels = edits.select(jnp.asarray(main.labels), matching.standing_for(part))
        rows = draw.swap_rows(swap_parts(gan, main.cut, a, b, channels))
        figures.append(ImageGrid(shrink(rows, _SIDE), f"Swapping {part}. {_SWAP}", columns=draw.SWAP_COLUMNS))
    scores = score_all(gan, {"groups": main}, parts, score_key, pairs)
    return (*figures, score_table(scores)), {name: _plain(found) for name, found in scores.items()}


def score_table(scores: dict[str, Scores]) -> Table:
    """One row a part and grouping."""
    rows = [
        (part, name, found.ratio, found.mean, found.median, found.transfer, found.choice)
        for name, each in scores.items()
        for part, found in each.parts.items()
    ]
    columns = ("part", "by", "Out/In", "mean of ratios", "median", "transfer", "choice")
    return Table(columns, tuple(sorted(rows, key=lambda row: row[0])), _TABLE)


def _plain(scores: Scores) -> dict:
    return {part: {"ratio": s.ratio, "transfer": s.transfer, "choice": s.choice} for part, s in scores.parts.items()}

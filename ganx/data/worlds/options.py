"""Options of a world, from Python objects or from text, to one hashable form, and back to text.

Text is what a source string carries: `drop=person,car`, `max_area=person:0.01`, `freq=person:0.1,car:0.5`,
`exclude=hair:blond.smile:yes`, `prior=hair:1/2/3/4,hair.smile:1/1/1/1/1/1/1/3` (row-major), `balance=hair,smile`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ganx.data.worlds.priors import Attrs, Combos, Tables
from ganx.errors import GanxError, unknown


def value_index(attrs: Attrs, name: str, value: Any) -> int:
    """Index of an attribute's value given by name or by index."""
    values = dict(attrs).get(name)
    if values is None:
        raise unknown("attribute", name, [known for known, _ in attrs])
    if value in values:
        return values.index(value)
    try:
        index = int(value)
    except (TypeError, ValueError):
        raise unknown(f"value of {name}", value, values) from None
    if not 0 <= index < len(values):
        raise GanxError(f"{name} has no value {index}; choose 0 to {len(values) - 1} or one of {', '.join(values)}")
    return index


def names(what: str, given: str | Iterable[str], known: Iterable[str]) -> tuple[str, ...]:
    """Sorted names, each of which must be known: "a,b" or a sequence of names."""
    parts = given.split(",") if isinstance(given, str) else given
    found = sorted({part.strip() for part in parts if part.strip()})
    for name in found:
        if name not in known:
            raise unknown(what, name, dict.fromkeys(known))
    return tuple(found)


def numbers(option: str, given: Any, known: Iterable[str]) -> tuple[tuple[str, float], ...]:
    """Shares in [0, 1] by name: "a:0.1,b:0.5" or a mapping."""
    if isinstance(given, str):
        given = dict(_split(option, item) for item in given.split(",") if item)
    pairs = sorted((given.items() if isinstance(given, Mapping) else given) or ())
    for name in (name for name, _ in pairs):
        if name not in known:
            raise unknown(f"class for {option}", name, known)
    shares = tuple((name, _number(option, number)) for name, number in pairs)
    for name, share in shares:
        if not 0 <= share <= 1:
            raise GanxError(f"{option} of {name} is {share:g}; give a share between 0 and 1")
    return shares


def tables(attrs: Attrs, given: Any) -> Tables:
    """Tables of probabilities: {"hair": [..], ("hair", "smile"): [[..], ..]}, or text."""
    if isinstance(given, str):
        items = [_split("prior", item) for item in given.split(",") if item]
        given = {tuple(about.split(".")): entries.split("/") for about, entries in items}
    pairs = given.items() if isinstance(given, Mapping) else given or ()
    found = [_table(attrs, (about,) if isinstance(about, str) else tuple(about), entries) for about, entries in pairs]
    named = [name for about, _ in found for name in about]
    for name in named:
        if named.count(name) > 1:
            raise GanxError(f"the prior names {name!r} more than once; put its attributes into one joint table")
    return tuple(sorted(found))


def combos(attrs: Attrs, given: Any) -> Combos:
    """Combinations of values: [{"hair": "blond", "smile": 1}, ..], or text."""
    if isinstance(given, str):
        given = [[_split("exclude", part) for part in item.split(".")] for item in given.split(",") if item]
    if isinstance(given, Mapping):
        given = [given]
    dicts = [dict(combo) for combo in given or ()]
    return tuple(
        sorted(tuple(sorted((name, value_index(attrs, name, v)) for name, v in combo.items())) for combo in dicts)
    )


def to_text(attrs: Attrs, option: str, value: Any) -> str:
    """The text that reads back as `value`, an option in its hashable form."""
    if option == "prior":
        return ",".join(f"{'.'.join(about)}:{'/'.join(f'{p:.9g}' for p in table)}" for about, table in value)
    if option == "exclude":
        valued = [[f"{name}:{dict(attrs)[name][index]}" for name, index in combo] for combo in value]
        return ",".join(".".join(combo) for combo in valued)
    if isinstance(value, tuple):
        return ",".join(item if isinstance(item, str) else f"{item[0]}:{item[1]:g}" for item in value)
    return str(int(value) if isinstance(value, bool) else value)


def _table(attrs: Attrs, about: tuple[str, ...], entries: Any) -> tuple[tuple[str, ...], tuple[float, ...]]:
    sizes = []
    for name in about:
        if name not in dict(attrs):
            raise unknown("attribute", name, [known for known, _ in attrs])
        sizes.append(len(dict(attrs)[name]))
    label = ", ".join(about)
    try:
        flat = np.asarray(entries, np.float64).reshape(-1)
    except ValueError:
        raise GanxError(f"the prior of {label} is not a table of numbers") from None
    if flat.size != int(np.prod(sizes)):
        shape = " × ".join(map(str, sizes))
        raise GanxError(f"the prior of {label} has {flat.size} entries; it needs {shape}")
    if not (np.isfinite(flat).all() and (flat >= 0).all() and flat.sum() > 0):
        raise GanxError(f"the prior of {label} must be non-negative numbers that are not all zero")
    return about, tuple(float(p) for p in flat / flat.sum())


def _split(option: str, item: str) -> tuple[str, str]:
    name, colon, value = item.partition(":")
    if not colon:
        raise GanxError(f"{option} reads name:value pairs separated by commas, not {item!r}")
    return name.strip(), value.strip()


def _number(option: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise GanxError(f"{option} needs a number, not {value!r}") from None

"""Layer ranges, as users write them."""

from __future__ import annotations

from collections.abc import Iterable

from ganx.errors import GanxError

Layers = str | int | Iterable[int]


def parse_layers(layers: Layers, count: int) -> tuple[int, ...]:
    """Sorted, distinct layer indices in [0, count).

    Args:
      layers: "all", an index, several indices, or inclusive ranges such as "0-1" or "0,2-5".
      count: how many layers there are.
    """
    if layers == "all":
        return tuple(range(count))
    if isinstance(layers, int):
        chosen = [layers]
    elif isinstance(layers, str):
        chosen = [index for part in layers.split(",") if part.strip() for index in _range(part, layers)]
    else:
        chosen = [int(index) for index in layers]
    if not chosen:
        raise GanxError(f'layers {layers!r} name none; write "all", an index, or ranges such as "0,2-5"')
    for index in chosen:
        if not 0 <= index < count:
            raise GanxError(f"layer {index} does not exist; this generator has layers 0 to {count - 1}")
    return tuple(sorted(set(chosen)))


def _range(part: str, whole: str) -> range:
    first, dash, last = part.partition("-")
    try:
        start = int(first)
        stop = int(last) if dash else start
    except ValueError:
        raise GanxError(f'layers {whole!r} cannot be read; write "all", an index, or "0,2-5"') from None
    if stop < start:
        raise GanxError(f"the layer range {part.strip()!r} runs backwards; write {stop}-{start}")
    return range(start, stop + 1)

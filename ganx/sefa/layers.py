"""Layer ranges, as users write them."""

from __future__ import annotations

from collections.abc import Iterable

from ganx.errors import GanxError

Layers = str | int | Iterable[int]
_MOST = 10_000


def parse_layers(layers: Layers, count: int) -> tuple[int, ...]:
    """Sorted, distinct layer indices in [0, count).

    Args:
      layers: "all", an index, several indices, or inclusive ranges such as "0-1" or "0,2-5".
      count: how many layers there are.
    """
    if isinstance(layers, str) and layers.strip() == "all":
        return tuple(range(count))
    if isinstance(layers, int):
        chosen = [layers]
    elif isinstance(layers, str):
        chosen = parse_numbers(layers, "layers", 'write "all", an index, or ranges such as "0,2-5"')
    else:
        chosen = [int(index) for index in layers]
    if not chosen:
        raise GanxError(f'layers {layers!r} name none; write "all", an index, or ranges such as "0,2-5"')
    for index in chosen:
        if not 0 <= index < count:
            raise GanxError(f"layer {index} does not exist; this generator has layers 0 to {count - 1}")
    return tuple(sorted(set(chosen)))


def parse_numbers(text: str, what: str, how: str = 'write numbers or ranges such as "0,2-5"') -> list[int]:
    """Whole numbers of inclusive ranges such as "0,2-5", in the order written.

    Raises:
      GanxError: the text cannot be read, says which `what` it should have named and `how`, or names too many.
    """
    numbers: list[int] = []
    for part in filter(str.strip, text.split(",")):
        first, dash, last = part.partition("-")
        if not (first.strip().isdecimal() and (not dash or last.strip().isdecimal())):
            raise GanxError(f"{what} {text!r} cannot be read; {how}")
        start, stop = int(first), int(last if dash else first)
        if stop < start:
            raise GanxError(f"the range {part.strip()!r} of {what} runs backwards; write {stop}-{start}")
        if len(numbers) + stop - start >= _MOST:
            raise GanxError(f"{what} {text!r} are more than {_MOST}; name fewer")
        numbers += range(start, stop + 1)
    return numbers

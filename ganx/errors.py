"""The one exception that a user is meant to read."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_FEW = 24  # names that are all listed


class GanxError(Exception):
    """Bad input. The message is one line: what is wrong, then how to mend it.

    The `ganx` command prints it without a traceback and exits with status 2.
    """


def unknown(kind: str, name: str, known: Iterable[str]) -> GanxError:
    """A `GanxError` for a name that does not exist, with those nearest to it, or else, or if they are few, all."""
    known = list(known)
    near = difflib.get_close_matches(str(name), known, n=3, cutoff=0.5)
    if len(known) <= _FEW or not near:
        near, rest = near[:1], f"choose from: {', '.join(known)}"
    else:
        rest = f"there are {len(known)} in all"
    hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
    return GanxError(f"no {kind} named {name!r}; {hint}{rest}")


def one_line(error: BaseException, limit: int = 160) -> str:
    """An exception's message squeezed into one line."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= limit else text[: limit - 1] + "…"

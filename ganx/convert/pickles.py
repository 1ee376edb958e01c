"""A pickle machine that can build data and nothing else.

`pickle.Unpickler` imports what a file names, calls it, and trusts the sizes that the file states. This machine
has no import to fall back to: a name is looked up in a table that the caller gives (`ganx.convert.allowlist`),
and whatever is not there is refused by name. `pickletools` decodes the arguments of opcodes; it never reads past the
end of the stream, whatever length an opcode claims. Long runs of bytes are not even copied.
"""

from __future__ import annotations

import dataclasses
import pickletools
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import IO, Any, NamedTuple, cast

from ganx.convert.bytestream import LONG, ByteStream
from ganx.errors import GanxError

# A StyleGAN2 checkpoint with both networks and an optimiser takes some 100,000 steps.
MAX_STEPS = 1_000_000
MAX_COPIES = 4  # how many times the size of the file a pickle may copy
MAX_NESTING = 4  # pickles inside the bytes of pickles; public checkpoints use one level
MAX_INT_BITS = 128  # the legacy container's magic number has 77


class Global(NamedTuple):
    """What stands in for one importable name: `make` is called with the arguments that the pickle gives."""

    name: str
    make: Callable[..., Any]


class Stub:
    """An object that a pickle builds in two steps: made empty, then given its state."""

    def set_state(self, state: Any) -> None:
        """Takes what the pickle hands to `__setstate__`."""
        raise GanxError(f"pickle gives a state to a {type(self).__name__}, which takes none")


@dataclasses.dataclass
class Budget:
    """What one file may still make the reader do, shared with the pickles nested in it."""

    bytes: int
    steps: int = MAX_STEPS
    nesting: int = MAX_NESTING

    @classmethod
    def for_file(cls, size: int) -> Budget:
        """What a file of that many bytes is allowed."""
        return cls(bytes=MAX_COPIES * size)

    def spend(self, steps: int = 0, size: int = 0) -> None:
        """Pays for that many steps and copied bytes, or refuses the file."""
        self.steps -= steps
        self.bytes -= size
        if self.steps < 0 or self.bytes < 0:
            raise GanxError("pickle asks for far more work than a checkpoint needs; do not trust this file")


_INTEGERS = {"INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4"}
_TEXT = {"STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"}
_BYTES = {"SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "BYTEARRAY8"}
_LITERALS = _INTEGERS | _TEXT | _BYTES | {"FLOAT", "BINFLOAT"}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_IGNORED = frozenset({"PROTO", "FRAME"})
_OPCODES = {opcode.code.encode("latin-1"): opcode for opcode in pickletools.opcodes}
_LENGTHS = {"BINSTRING": 4, "BINBYTES": 4, "BINBYTES8": 8, "BYTEARRAY8": 8}  # bytes of the length before the bytes


class Machine:
    """Runs one pickle. `globals` is the allow-list; `persistent` turns a persistent id into an object."""

    def __init__(
        self,
        globals: Mapping[str, Callable[..., Any]],
        budget: Budget,
        persistent: Callable[[Any], Any] | None = None,
    ) -> None:
        self._globals = globals
        self._budget = budget
        self._persistent = persistent
        self._stack: list[Any] = []
        self._outer: list[list[Any]] = []  # stacks below the open marks
        self._memo: dict[int, Any] = {}

    def run(self, stream: ByteStream) -> Any:
        """The object that the pickle describes; leaves the stream after its end."""
        for name, argument in _decode(stream):
            self._budget.spend(steps=1)
            self._step(name, argument)
        return self._pop()

    def _step(self, name: str, argument: Any) -> None:
        if name in _LITERALS:
            self._literal(argument)
        elif name in _CONSTANTS:
            self._stack.append(_CONSTANTS[name])
        elif name not in _IGNORED:
            operation = getattr(self, f"_op_{name.lower()}", None)
            if operation is None:
                raise GanxError(f"pickle uses the opcode {name}, which no checkpoint needs; do not trust this file")
            operation(argument)

    def _literal(self, value: Any) -> None:
        if isinstance(value, int) and value.bit_length() > MAX_INT_BITS:
            raise GanxError("pickle holds an absurdly large integer")
        self._stack.append(value)

    def _pop(self, kind: type | tuple[type, ...] = object) -> Any:
        value = self._top(kind)
        self._stack.pop()
        return value

    def _top(self, kind: type | tuple[type, ...] = object) -> Any:
        if not self._stack or not isinstance(self._stack[-1], kind):
            raise GanxError("pickle is damaged: an operand is missing or of the wrong type")
        return self._stack[-1]

    def _pop_mark(self) -> list[Any]:
        if not self._outer:
            raise GanxError("pickle is damaged: a mark is missing")
        items, self._stack = self._stack, self._outer.pop()
        return items

    # Containers

    def _op_mark(self, _: Any) -> None:
        self._outer.append(self._stack)
        self._stack = []

    def _op_pop(self, _: Any) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._pop_mark()

    def _op_pop_mark(self, _: Any) -> None:
        self._pop_mark()

    def _op_dup(self, _: Any) -> None:
        self._stack.append(self._top())

    def _op_empty_list(self, _: Any) -> None:
        self._stack.append([])

    def _op_empty_dict(self, _: Any) -> None:
        self._stack.append({})

    def _op_empty_set(self, _: Any) -> None:
        self._stack.append(set())

    def _op_list(self, _: Any) -> None:
        items = self._pop_mark()
        self._stack.append(items)

    def _op_dict(self, _: Any) -> None:
        items = self._pop_mark()
        self._stack.append({})
        self._set_items(items)

    def _op_tuple(self, _: Any) -> None:
        items = self._pop_mark()
        self._stack.append(tuple(items))

    def _op_tuple1(self, _: Any) -> None:
        self._short_tuple(1)

    def _op_tuple2(self, _: Any) -> None:
        self._short_tuple(2)

    def _op_tuple3(self, _: Any) -> None:
        self._short_tuple(3)

    def _short_tuple(self, length: int) -> None:
        if len(self._stack) < length:
            raise GanxError("pickle is damaged: an operand is missing")
        self._stack[-length:] = [tuple(self._stack[-length:])]

    def _op_append(self, _: Any) -> None:
        item = self._pop()
        self._top(list).append(item)

    def _op_appends(self, _: Any) -> None:
        items = self._pop_mark()
        self._top(list).extend(items)

    def _op_additems(self, _: Any) -> None:
        items = self._pop_mark()
        self._top(set).update(map(hashable, items))

    def _op_setitem(self, _: Any) -> None:
        value, key = self._pop(), self._pop()
        self._set_items([key, value])

    def _op_setitems(self, _: Any) -> None:
        self._set_items(self._pop_mark())

    def _set_items(self, items: list[Any]) -> None:
        put(self._top(dict), zip(items[::2], items[1::2], strict=True))

    # The memo: a dict, so that a huge index costs nothing

    def _op_memoize(self, _: Any) -> None:
        self._memo[len(self._memo)] = self._top()

    def _op_put(self, index: int) -> None:
        self._memo[index] = self._top()

    _op_binput = _op_long_binput = _op_put

    def _op_get(self, index: int) -> None:
        self._stack.append(self._memo[index])

    _op_binget = _op_long_binget = _op_get

    # Names and calls

    def _op_global(self, names: str) -> None:
        module, _, name = names.partition(" ")
        self._find(module, name)

    def _op_stack_global(self, _: Any) -> None:
        name, module = self._pop(str), self._pop(str)
        self._find(module, name)

    def _op_inst(self, names: str) -> None:
        self._op_global(names)
        raise GanxError("pickle uses the opcode INST, which no checkpoint needs; do not trust this file")

    def _find(self, module: str, name: str) -> None:
        full = f"{module}.{name}"
        if full not in self._globals:
            raise GanxError(f"refused: it names {full[:120]!r}, which ganx never imports; nothing was run")
        self._stack.append(Global(full, self._globals[full]))

    def _op_reduce(self, _: Any) -> None:
        arguments, function = self._pop(tuple), self._pop(Global)
        for argument in arguments:  # a call pays for what it may copy
            if isinstance(argument, str | bytes | memoryview):
                self._budget.spend(size=len(argument))
            elif isinstance(argument, list | dict | tuple | set):
                self._budget.spend(steps=len(argument))
        self._stack.append(function.make(*arguments))

    _op_newobj = _op_reduce

    def _op_build(self, _: Any) -> None:
        state = self._pop()
        target = self._top((dict, Stub))
        if isinstance(target, Stub):  # a state dict's own state (`_metadata`) is of no use here
            target.set_state(state)

    def _op_binpersid(self, _: Any) -> None:
        if self._persistent is None:
            raise GanxError("pickle refers to a storage where there is none")
        self._stack.append(self._persistent(self._pop()))


def _decode(stream: ByteStream) -> Iterator[tuple[str, Any]]:
    """The opcodes up to STOP, by name, each with its argument; leaves the stream after STOP."""
    while (code := stream.read(1)) != b".":
        if code not in _OPCODES:
            raise GanxError("pickle ends too early or is damaged; download the file again")
        opcode = _OPCODES[code]
        if opcode.name in _LENGTHS:
            yield opcode.name, _run_of_bytes(opcode.name, stream)
        else:
            yield opcode.name, opcode.arg.reader(cast(IO[bytes], stream)) if opcode.arg else None


def _run_of_bytes(name: str, stream: ByteStream) -> Any:
    """The bytes of an opcode; Python 2 wrote short texts and long arrays with the same one."""
    raw = stream.take(int.from_bytes(stream.take(_LENGTHS[name]), "little"))
    return bytes(raw).decode("latin-1") if name == "BINSTRING" and len(raw) < LONG else raw


def put(mapping: dict[Any, Any], items: Iterable[tuple[Any, Any]]) -> None:
    """Adds items, none of them twice: which of two would count is a guess."""
    for key, value in items:
        if hashable(key) in mapping:
            raise GanxError(f"refused: it has two entries named {repr(key)[:80]}")
        mapping[key] = value


def hashable(key: Any) -> Hashable:
    """The key of a dict or set: a plain value or a flat tuple of them: hashing a deep one overflows C's stack."""
    parts = key if type(key) is tuple else (key,)
    if not all(part is None or isinstance(part, str | bytes | int | float) for part in parts):
        raise GanxError("pickle uses something other than plain values as a key")
    return key

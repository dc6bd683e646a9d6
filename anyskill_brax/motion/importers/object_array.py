"""`.npy` files of objects: nested dicts and lists of texts, numbers and numpy arrays, read without running anything.

numpy writes such an array as a program for a small stack machine, which may import and call whatever it names. The
machine here knows the instructions that plain values are made of, and four names, for which it has plain stand-ins; any
other instruction or name ends it. Values may be shared and may hold themselves, so nothing here walks through them: a
file takes no more time and memory than it has bytes.
"""

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from anyskill_brax.types import UserError

_NUMBERS = re.compile(r"([fiu][248]|[iu]1|b1)")


class _Name(str):
    """Something that a file may call, or name as an argument; the file cannot make one of its own."""


_NAMES = {f"numpy.{core}.multiarray._reconstruct": _Name("array") for core in ("core", "_core")}
_NAMES |= {"numpy.ndarray": _Name("class"), "numpy.dtype": _Name("dtype"), "collections.OrderedDict": _Name("dict")}


@dataclass
class _DType:
    code: Any
    order: Any = "|"

    def numpy(self) -> np.dtype:
        if (
            not isinstance(self.code, str)
            or not _NUMBERS.fullmatch(self.code)
            or self.order not in ("|", "=", "<", ">")
        ):
            raise ValueError("an array of something else than numbers")
        return np.dtype(("<" if self.order in ("|", "=") else self.order) + self.code)


@dataclass
class Array:
    """An array as the file describes it: (version, shape, dtype, is_fortran, raw bytes, or a list of objects)."""

    state: Any = ()

    def numbers(self) -> np.ndarray:
        """`ValueError` or `TypeError` for anything but an array of numbers."""
        _, shape, dtype, fortran, raw = self.state
        if not isinstance(raw, bytes) or not isinstance(dtype, _DType) or not isinstance(shape, tuple):
            raise ValueError("an array of something else than numbers")
        if not all(type(size) is int for size in shape):
            raise ValueError("an array whose sizes are no whole numbers")
        return np.frombuffer(raw, dtype.numpy()).reshape(shape, order="F" if fortran is True else "C")

    def only_object(self) -> Any:
        """What an array of one object holds."""
        raw = self.state[-1]
        if not isinstance(raw, list) or len(raw) != 1:
            raise ValueError("not an array of one object")
        return raw[0]


@dataclass
class _Machine:
    data: bytes
    at: int = 0
    stack: list[Any] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)

    def run(self) -> Any:
        while (code := self.take(1)) != b".":
            if code not in _INSTRUCTIONS:
                raise ValueError(f"it asks for the instruction {code!r}, which no array needs")
            _INSTRUCTIONS[code](self)
        return self.stack.pop()

    def take(self, size: int) -> bytes:
        if not 0 <= size <= len(self.data) - self.at:
            raise ValueError("it ends too early")
        self.at += size
        return self.data[self.at - size : self.at]

    def number(self, form: str) -> Any:
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def line(self) -> str:
        return self.take(self.data.index(b"\n", self.at) + 1 - self.at)[:-1].decode()

    def since_mark(self) -> list[Any]:
        start = self.marks.pop()
        items, self.stack[start:] = self.stack[start:], []
        return items

    def last(self, count: int) -> list[Any]:
        return [self.stack.pop() for _ in range(count)][::-1]

    def name(self, module: object, name: object) -> None:
        wanted = f"{module}.{name}" if isinstance(module, str) and isinstance(name, str) else "something without a name"
        if wanted not in _NAMES:
            raise ValueError(f"it asks for {wanted:.160}; numpy arrays alone are allowed")
        self.stack.append(_NAMES[wanted])

    def call(self) -> None:
        name, arguments = self.last(2)
        if not isinstance(name, _Name) or name == "class":
            raise ValueError("it calls what is no name")
        self.stack.append({"array": Array, "dict": dict, "dtype": lambda: _DType(arguments[0])}[name]())

    def set_state(self) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, _DType):
            target.order = state[1]
        elif isinstance(target, Array):
            target.state = state
        else:
            raise ValueError("it gives a state to something else than an array")

    def extend(self, items: list[Any]) -> None:
        self.stack[-1].extend(items)

    def fill(self, items: list[Any]) -> None:
        if not all(isinstance(key, str) for key in items[::2]):  # to hash another could take for ever
            raise ValueError("it has a key that is no text")
        self.stack[-1].update(zip(items[::2], items[1::2], strict=True))


def _push(read: Callable[[_Machine], Any]) -> Callable[[_Machine], None]:
    return lambda m: m.stack.append(read(m))


def _remember(read: Callable[[_Machine], int]) -> Callable[[_Machine], None]:
    return lambda m: m.memo.__setitem__(read(m), m.stack[-1])


_INSTRUCTIONS: dict[bytes, Callable[[_Machine], None]] = {
    b"\x80": lambda m: m.number("B"),  # version
    b"\x95": lambda m: m.number("<Q"),  # frame
    b"(": lambda m: m.marks.append(len(m.stack)),
    b"N": _push(lambda m: None),
    b"\x88": _push(lambda m: True),
    b"\x89": _push(lambda m: False),
    b"J": _push(lambda m: m.number("<i")),
    b"K": _push(lambda m: m.number("B")),
    b"M": _push(lambda m: m.number("<H")),
    b"\x8a": _push(lambda m: int.from_bytes(m.take(m.number("B")), "little", signed=True)),
    b"G": _push(lambda m: m.number(">d")),
    b"X": _push(lambda m: m.take(m.number("<I")).decode()),
    b"\x8c": _push(lambda m: m.take(m.number("B")).decode()),
    b"\x8d": _push(lambda m: m.take(m.number("<Q")).decode()),
    b"B": _push(lambda m: m.take(m.number("<I"))),
    b"C": _push(lambda m: m.take(m.number("B"))),
    b"\x8e": _push(lambda m: m.take(m.number("<Q"))),
    b"}": _push(lambda m: {}),
    b"]": _push(lambda m: []),
    b")": _push(lambda m: ()),
    b"t": _push(lambda m: tuple(m.since_mark())),
    b"\x85": _push(lambda m: tuple(m.last(1))),
    b"\x86": _push(lambda m: tuple(m.last(2))),
    b"\x87": _push(lambda m: tuple(m.last(3))),
    b"a": lambda m: m.stack[-2].append(m.stack.pop()),
    b"e": lambda m: m.extend(m.since_mark()),
    b"s": lambda m: m.fill(m.last(2)),
    b"u": lambda m: m.fill(m.since_mark()),
    b"q": _remember(lambda m: m.number("B")),
    b"r": _remember(lambda m: m.number("<I")),
    b"\x94": _remember(lambda m: len(m.memo)),
    b"h": _push(lambda m: m.memo[m.number("B")]),
    b"j": _push(lambda m: m.memo[m.number("<I")]),
    b"c": lambda m: m.name(m.line(), m.line()),
    b"\x93": lambda m: m.name(*m.last(2)),
    b"R": lambda m: m.call(),
    b"b": lambda m: m.set_state(),
}


def read_object(path: Path) -> Any:
    """The one object of an object `.npy`; arrays within it are `Array`s. `UserError` for anything else."""
    try:
        with path.open("rb") as file:
            if np.lib.format.read_magic(file) != (1, 0):
                raise ValueError("not version 1.0")
            np.lib.format.read_array_header_1_0(file)
            return _Machine(file.read()).run().only_object()
    except Exception as error:  # a damaged file can fail in any way; the file is at fault, not the code
        raise UserError(f"{path}: not a poselib .npy that can be read safely: {error}") from None

"""Reads a pickle stream as data: every opcode is understood, nothing is imported, looked up or called.

Python's own unpickler builds objects while it reads, so one bad line runs code. Here a global stays a `Symbol`, a call
stays a `Construction`, and what they may mean is decided afterwards, in `pickles`, from a closed list. Opcodes as in
PEP 3154, PEP 574 and the standard library's `pickletools`.
"""

import codecs
import struct
from collections.abc import Callable
from typing import Any

from .pickle_nodes import Construction, Persistent, PickleError, Symbol, dict_key

MAX_OPCODES = 1_000_000
"""A FLAME file has a few thousand; each opcode costs at most some 150 bytes, so this also bounds the memory."""
MAX_LINE = 1 << 28
"""Bytes in a text argument: protocol 0 writes a whole array as one line."""
MAX_INTEGER_BYTES = 64


class _Mark:
    """Where a collection starts on the stack."""


_MARK = _Mark()


class PickleStream:
    """Pickles in `data`, one behind the other; `read` leaves `position` behind the one it read.

    `references` lists what was referred to outside of them, in order.

    Args:
        data: the bytes; sizes in the stream are believed only as far as the bytes reach.
        canonical: turns a global's "module.name" into the name it is known by, or raises `PickleError`.
        encoding: of Python 2 strings: an encoding's name, or "bytes" to leave them as bytes.
    """

    def __init__(self, data: bytes, canonical: Callable[[str], str], encoding: str = "latin1", position: int = 0):
        self.position = position
        self.references: list[Persistent] = []
        self._data = data
        self._canonical = canonical
        self._encoding = encoding
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def read(self) -> Any:
        """The root of the graph: numbers, strings, lists, tuples, dicts and the three inert classes above.

        Raises:
            PickleError: when the stream is damaged or names a global that `canonical` refuses.
        """
        self._stack, self._memo = [], {}
        try:
            for _ in range(MAX_OPCODES):
                opcode = self._take(1)
                if opcode == b".":
                    return self._pop()
                if opcode in _SIZED_OPCODES:
                    action, layout = _SIZED_OPCODES[opcode]
                    action(self, layout)
                elif opcode in _OPCODES:
                    _OPCODES[opcode](self)
                else:
                    raise PickleError(f"uses the pickle opcode {opcode!r}, which no head model or tracking needs")
        except (ValueError, TypeError, OverflowError, struct.error) as error:
            raise PickleError(f"is a damaged pickle ({error})") from error
        raise PickleError(f"has more than {MAX_OPCODES:,} pickle opcodes")

    # Arguments

    def _take(self, count: int) -> bytes:
        end = self.position + count
        if count < 0 or end > len(self._data):
            raise PickleError("is cut short")
        piece = self._data[self.position : end]
        self.position = end
        return piece

    def _line(self) -> bytes:
        end = self._data.find(b"\n", self.position, self.position + MAX_LINE)
        if end < 0:
            raise PickleError("is cut short")
        piece = self._data[self.position : end]
        self.position = end + 1
        return piece

    def _number(self, layout: str) -> Any:
        return struct.unpack(layout, self._take(struct.calcsize(layout)))[0]

    def _sized(self, layout: str) -> bytes:
        return self._take(self._number(layout))

    def _old_string(self, raw: bytes) -> str | bytes:
        return raw if self._encoding == "bytes" else raw.decode(self._encoding)

    # Stack

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _pop(self) -> Any:
        if not self._stack or self._stack[-1] is _MARK:
            raise PickleError("is a damaged pickle (empty stack)")
        return self._stack.pop()

    def _pop_mark(self) -> list[Any]:
        """Everything above the last mark, which goes too."""
        values: list[Any] = []
        while self._stack and self._stack[-1] is not _MARK:
            values.append(self._stack.pop())
        if not self._stack:
            raise PickleError("is a damaged pickle (missing mark)")
        self._stack.pop()
        return values[::-1]

    def _top(self) -> Any:
        value = self._pop()
        self._stack.append(value)
        return value

    # Opcodes with a body

    def _text_int(self) -> None:
        line = self._line()
        self._push(line == b"01" if line in (b"00", b"01") else _integer(line))

    def _quoted(self) -> None:
        line = self._line()
        if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in b"'\"":
            raise PickleError("is a damaged pickle (string without quotes)")
        self._push(self._old_string(codecs.escape_decode(line[1:-1])[0]))

    def _push_number(self, layout: str) -> None:
        self._push(self._number(layout))

    def _push_bytes(self, layout: str) -> None:
        self._push(self._sized(layout))

    def _push_text(self, layout: str) -> None:
        self._push(self._sized(layout).decode("utf-8", "surrogatepass"))

    def _push_old_string(self, layout: str) -> None:
        self._push(self._old_string(self._sized(layout)))

    def _push_long(self, layout: str) -> None:
        raw = self._sized(layout)
        if len(raw) > MAX_INTEGER_BYTES:
            raise PickleError(f"holds an integer of {len(raw)} bytes")
        self._push(int.from_bytes(raw, "little", signed=True))

    def _put_numbered(self, layout: str) -> None:
        self._put(self._number(layout))

    def _get_numbered(self, layout: str) -> None:
        self._get(self._number(layout))

    def _put(self, index: int) -> None:
        self._memo[index] = self._top()

    def _get(self, index: int) -> None:
        if index not in self._memo:
            raise PickleError("is a damaged pickle (nothing was stored under that number)")
        self._push(self._memo[index])

    def _tuple(self, count: int) -> None:
        self._push(tuple(reversed([self._pop() for _ in range(count)])))

    def _extend(self, values: list[Any]) -> None:
        target = self._top()
        if isinstance(target, Construction):
            target = target.items
        if not isinstance(target, list):
            raise PickleError("is a damaged pickle (items for something that is no list)")
        target.extend(values)

    def _set_items(self, flat: list[Any]) -> None:
        target = self._top()
        if len(flat) % 2:
            raise PickleError("is a damaged pickle (a key without a value)")
        pairs = list(zip(flat[::2], flat[1::2], strict=True))
        if isinstance(target, Construction):
            target.pairs.extend(pairs)
        elif isinstance(target, dict):
            target.update((dict_key(key), value) for key, value in pairs)
        else:
            raise PickleError("is a damaged pickle (keys for something that is no dictionary)")

    def _new_dict(self, flat: list[Any]) -> None:
        self._push({})
        self._set_items(flat)

    def _symbol(self, module: Any, name: Any) -> Symbol:
        if not (isinstance(module, str) and isinstance(name, str)):
            raise PickleError("is a damaged pickle (a global whose name is no text)")
        return Symbol(self._canonical(f"{module}.{name}"))

    def _line_symbol(self) -> Symbol:
        module, name = self._line(), self._line()
        return self._symbol(module.decode(), name.decode())

    def _stack_symbol(self) -> None:
        name, module = self._pop(), self._pop()
        self._push(self._symbol(module, name))

    def _construct(self, factory: Any, arguments: Any) -> None:
        if not isinstance(factory, Symbol):
            raise PickleError("calls something that is not named by a global, which is never done")
        if not isinstance(arguments, tuple):
            raise PickleError("is a damaged pickle (a call without arguments)")
        self._push(Construction(factory, arguments))

    def _reduce(self) -> None:
        arguments, factory = self._pop(), self._pop()
        self._construct(factory, arguments)

    def _new_with_keywords(self) -> None:
        keywords, arguments, factory = self._pop(), self._pop(), self._pop()
        if keywords != {}:
            raise PickleError("makes an object with keyword arguments, which no allowed class needs")
        self._construct(factory, arguments)

    def _object(self) -> None:
        values = self._pop_mark()
        if not values:
            raise PickleError("is a damaged pickle (an object without a class)")
        self._construct(values[0], tuple(values[1:]))

    def _refer(self, identity: Any) -> None:
        self.references.append(Persistent(identity))
        self._push(self.references[-1])

    def _build(self) -> None:
        state, target = self._pop(), self._top()
        if not isinstance(target, Construction):
            raise PickleError("gives a state to something that has none")
        target.state = state


def _integer(line: bytes) -> int:
    if len(line) > MAX_INTEGER_BYTES:
        raise PickleError(f"holds an integer of {len(line)} digits")
    return int(line.removesuffix(b"L"))


def _constant(value: Any) -> Callable[[PickleStream], None]:
    return lambda stream: stream._push(value)


def _opcodes() -> dict[bytes, Callable[[PickleStream], None]]:
    """What each opcode does to a stream; those that are not here (extension codes, out-of-band buffers) are refused."""
    s = PickleStream
    return {
        b"N": _constant(None),
        b"\x88": _constant(True),
        b"\x89": _constant(False),
        b"(": _constant(_MARK),
        b")": _constant(()),
        b"]": lambda stream: stream._push([]),
        b"}": lambda stream: stream._push({}),
        b"\x8f": lambda stream: stream._push([]),  # a set becomes a list
        b"I": s._text_int,
        b"L": lambda stream: stream._push(_integer(stream._line())),
        b"F": lambda stream: stream._push(float(stream._line())),
        b"S": s._quoted,
        b"V": lambda stream: stream._push(stream._line().decode("raw-unicode-escape")),
        b"0": lambda stream: _ignore(stream._pop()),
        b"1": lambda stream: _ignore(stream._pop_mark()),
        b"2": lambda stream: stream._push(stream._top()),
        b"l": lambda stream: stream._push(stream._pop_mark()),
        b"\x91": lambda stream: stream._push(stream._pop_mark()),  # frozen set
        b"t": lambda stream: stream._push(tuple(stream._pop_mark())),
        b"\x85": lambda stream: stream._tuple(1),
        b"\x86": lambda stream: stream._tuple(2),
        b"\x87": lambda stream: stream._tuple(3),
        b"d": lambda stream: stream._new_dict(stream._pop_mark()),
        b"a": lambda stream: stream._extend([stream._pop()]),
        b"e": lambda stream: stream._extend(stream._pop_mark()),
        b"\x90": lambda stream: stream._extend(stream._pop_mark()),
        b"s": lambda stream: stream._set_items([stream._pop(), stream._pop()][::-1]),
        b"u": lambda stream: stream._set_items(stream._pop_mark()),
        b"p": lambda stream: stream._put(_integer(stream._line())),
        b"g": lambda stream: stream._get(_integer(stream._line())),
        b"\x94": lambda stream: stream._put(len(stream._memo)),
        b"c": lambda stream: stream._push(stream._line_symbol()),
        b"\x93": s._stack_symbol,
        b"i": lambda stream: stream._construct(stream._line_symbol(), tuple(stream._pop_mark())),
        b"o": s._object,
        b"R": s._reduce,
        b"\x81": s._reduce,
        b"\x92": s._new_with_keywords,
        b"b": s._build,
        b"P": lambda stream: stream._refer(stream._line().decode()),
        b"Q": lambda stream: stream._refer(stream._pop()),
    }


def _ignore(_: Any) -> None:
    """For opcodes that only take something away."""


_OPCODES = _opcodes()
_SIZED_OPCODES: dict[bytes, tuple[Callable[[PickleStream, str], None], str]] = {
    b"K": (PickleStream._push_number, "<B"),
    b"M": (PickleStream._push_number, "<H"),
    b"J": (PickleStream._push_number, "<i"),
    b"G": (PickleStream._push_number, ">d"),
    b"\x8a": (PickleStream._push_long, "<B"),
    b"\x8b": (PickleStream._push_long, "<i"),
    b"C": (PickleStream._push_bytes, "<B"),
    b"B": (PickleStream._push_bytes, "<I"),
    b"\x8e": (PickleStream._push_bytes, "<Q"),
    b"\x96": (PickleStream._push_bytes, "<Q"),
    b"U": (PickleStream._push_old_string, "<B"),
    b"T": (PickleStream._push_old_string, "<i"),
    b"\x8c": (PickleStream._push_text, "<B"),
    b"X": (PickleStream._push_text, "<I"),
    b"\x8d": (PickleStream._push_text, "<Q"),
    b"q": (PickleStream._put_numbered, "<B"),
    b"r": (PickleStream._put_numbered, "<I"),
    b"h": (PickleStream._get_numbered, "<B"),
    b"j": (PickleStream._get_numbered, "<I"),
    b"\x80": (PickleStream._number, "<B"),
    b"\x95": (PickleStream._number, "<Q"),
}
"""Opcodes followed by a number, or by a length and as many bytes, in that layout."""

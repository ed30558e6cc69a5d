"""What a pickle stream is read into: names, constructions and references, none of which does anything."""

from dataclasses import dataclass, field
from typing import Any


class PickleError(Exception):
    """The stream is damaged or asks for something that is not allowed; the message continues "FILE: it ..."."""


@dataclass(eq=False, slots=True)
class Symbol:
    """A global that the stream names; it is never imported."""

    name: str
    """Module and qualified name, joined by a dot."""


@dataclass(eq=False, slots=True)
class Construction:
    """An object that the stream asks to make: `factory(*arguments)`, then its state and contents."""

    factory: Any
    arguments: Any
    state: Any = None
    items: list[Any] = field(default_factory=list)
    pairs: list[tuple[Any, Any]] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class Persistent:
    """A reference to something outside the stream, as torch's storages are."""

    identity: Any


def dict_key(key: Any) -> Any:
    """The key, if it is text, bytes, a number or None: nothing whose hashing could surprise."""
    if not isinstance(key, str | bytes | int | float | None):
        raise PickleError("has a dictionary key that is neither text nor a number")
    return key

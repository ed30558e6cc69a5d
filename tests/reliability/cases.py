"""What a malformed input is to the tests: how to make it, what reads it, and what must be said."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DEEP = "[" * 100_000
"""JSON and YAML that are nested more deeply than any parser goes."""


@dataclass(frozen=True)
class Case:
    """One malformed input."""

    reader: str
    """What reads it, as the table of docs/reliability.md names it."""
    problem: str
    """What is wrong with it, in a few words."""
    make: Callable[[Path], Any]
    """Writes it below a folder and returns what `read` takes."""
    read: Callable[[Any], object]
    says: str
    """Part of the sentence that the user gets."""


def written(name: str, data: bytes | str) -> Callable[[Path], Path]:
    """Makes a single file."""

    def make(folder: Path) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return path

    return make

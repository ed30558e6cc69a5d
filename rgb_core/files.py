"""Files that appear whole or not at all, and readers that open nothing but regular files of a sensible size."""

import contextlib
import os
import re
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from .errors import InputError

_LEFTOVER = re.compile(r"\..+\.[0-9a-f]{8}(\.\w+)?")  # the names that `atomic_path` gives
LARGEST_TEXT = 256 << 20
"""Bytes of a JSON or other text file: a tracked clip of 100,000 frames stays below."""
LARGEST_FILE = 4 << 30
"""Bytes of any other file: the largest panorama in single precision."""


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """A temporary sibling of `path` to write to; renamed to `path` when the block ends without an error.

    Raises:
        InputError: when the folder cannot be written to.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(4)}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def remove_leftovers(folder: Path, of: str | None = None) -> None:
    """Delete what writers of `atomic_path` that were killed left in a folder and below it.

    Args:
        of: the name of the one file of the folder itself whose leftovers go; None for all.
    """
    candidates = folder.rglob(".*") if of is None else folder.glob(f".{Path(of).stem}.*")
    for path in candidates:
        if _LEFTOVER.fullmatch(path.name) and path.is_file():
            path.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextlib.contextmanager
def open_regular(path: Path | str, largest: int = LARGEST_FILE) -> Iterator[BinaryIO]:
    """A regular file of at most `largest` bytes, open for reading.

    A pipe would make the reader wait for ever and a device never ends, so neither is opened.

    Raises:
        InputError: when there is no such file.
    """
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(open(path, "rb", opener=_open_without_waiting))
            status = os.fstat(file.fileno())
        except (OSError, ValueError) as error:  # ValueError: NUL in a name
            raise InputError(f"cannot read {path}: {_reason(error)}") from error
        if not stat.S_ISREG(status.st_mode):
            raise InputError(f"cannot read {path}: it is no regular file")
        if status.st_size > largest:
            raise InputError(f"cannot read {path}: it has {status.st_size:,} bytes, more than the {largest:,} allowed")
        yield file


def check_regular(path: Path | str, largest: int = LARGEST_FILE) -> None:
    """Make sure that `path`, which a library will open by its name, is a regular file of at most `largest` bytes.

    Raises:
        InputError: as `open_regular`.
    """
    with open_regular(path, largest):
        pass


def read_bytes(path: Path | str, largest: int = LARGEST_FILE) -> bytes:
    """The contents of a regular file of at most `largest` bytes.

    Raises:
        InputError: as `open_regular`, or when reading fails.
    """
    with open_regular(path, largest) as file:
        try:
            return file.read()
        except OSError as error:
            raise InputError(f"cannot read {path}: {_reason(error)}") from error


def read_text(path: Path | str, largest: int = LARGEST_TEXT) -> str:
    """The UTF-8 text of a file; a byte order mark, which Windows editors write, is no part of it.

    Raises:
        InputError: as `read_bytes`, or when the file is not UTF-8.
    """
    try:
        return read_bytes(path, largest).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"cannot read {path}: it is not UTF-8 text ({error.reason} at byte {error.start})") from error


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _reason(error: OSError | ValueError) -> str:
    return getattr(error, "strerror", None) or str(error)

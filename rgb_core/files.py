"""Files that appear whole or not at all."""

import contextlib
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

from .errors import InputError

_LEFTOVER = re.compile(r"\..+\.[0-9a-f]{8}(\.\w+)?")  # the names that `atomic_path` gives


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
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

"""Notices what reading a file must never do: start programs, call what a pickle names, connect, or write elsewhere."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_FORBIDDEN = (
    "os.system",
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "os.spawn",
    "subprocess.Popen",
    "pickle.find_class",
    "socket.connect",
)
_CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.chmod")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

_allowed: list[Path] = []
_seen: list[str] = []


def _inside(path: Any, folder: Any = -1) -> bool:
    """Whether a path, relative to an open `folder` where that is no -1, may be written."""
    if isinstance(path, int) or path is None:
        return True  # an open file; opening it was seen
    start = os.readlink(f"/proc/self/fd/{folder}") if isinstance(folder, int) and folder >= 0 else "."
    absolute = Path(os.path.abspath(os.path.join(start, os.fsdecode(path))))
    return absolute == Path(os.devnull) or any(absolute.is_relative_to(folder) for folder in _allowed)


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if not _allowed:
        return
    if event.startswith(_FORBIDDEN):
        _seen.append(f"{event} {arguments}")
    elif event in _CHANGES:
        paths = [value for value in arguments[:2] if isinstance(value, str | bytes | os.PathLike)]
        _seen.extend(f"{event} {path!r}" for path in paths if not _inside(path, arguments[-1]))
    elif event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITES and not _inside(arguments[0]):
        _seen.append(f"open for writing {arguments[0]!r}")


sys.addaudithook(_hook)  # cannot be removed; it is idle outside `watched`


@contextmanager
def watched(writable: Path) -> Iterator[list[str]]:
    """What happened in the block that must not, except for writing below `writable`."""
    _seen.clear()
    _allowed.append(writable)
    try:
        yield _seen
    finally:
        _allowed.clear()

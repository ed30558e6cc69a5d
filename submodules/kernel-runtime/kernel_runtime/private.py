"""The user's own cache folder: what lies in it is run as code, so nobody else may be able to write there."""

import contextlib
import os
import stat
import tempfile
import warnings
from functools import lru_cache
from pathlib import Path

_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH
_VARIABLE = "RGB_CACHE_DIR"


class CacheWarning(UserWarning):
    """The cache folder cannot be used; another one is."""


def cache_root() -> Path:
    """$RGB_CACHE_DIR, else rgb in the user's cache folder; where that is not private, a private temporary folder.

    A folder is private when it belongs to the user and nobody else may write to it. The first call that finds another
    one warns with `CacheWarning`.
    """
    return _checked_root(_wanted_root())


def cache_problem() -> str | None:
    """Why the folder that the user wanted is not used; None where it is."""
    wanted = _wanted_root()
    return None if _checked_root(wanted) == wanted else _problem(wanted)


def is_private(status: os.stat_result) -> bool:
    """Whether a file or folder belongs to this user and can be written by nobody else."""
    if not hasattr(os, "geteuid"):  # Windows: the user's folders carry their own access lists
        return True
    return status.st_uid == os.geteuid() and not status.st_mode & _OTHERS_MAY_WRITE


def private_folder(path: Path) -> Path:
    """`path`, made for this user alone where it is missing.

    Raises:
        OSError: when it cannot be made, or belongs to or can be written by others.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if problem := _problem(path):
        raise PermissionError(problem)
    return path


def read_private(path: Path) -> bytes:
    """The bytes of a regular file that only this user can write.

    Raises:
        OSError: when there is no such file.
    """
    with open(path, "rb", opener=_open_without_waiting) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or not is_private(status):
            raise PermissionError(f"{path} is no file of this user alone")
        return file.read()


def write_private(path: Path, data: bytes) -> None:
    """Put `data` at `path` in one step, so that other processes never see half of it.

    Raises:
        OSError: when it cannot be written; nothing is left behind.
    """
    with tempfile.NamedTemporaryFile(dir=private_folder(path.parent), delete=False) as file:
        try:
            file.write(data)
            file.close()
            os.replace(file.name, path)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(file.name)
            raise


def _wanted_root() -> Path:
    """Where the cache should be; without a home, a folder of the user's name among the temporary files."""
    if given := os.environ.get(_VARIABLE):
        return Path(given).absolute()
    if given := os.environ.get("XDG_CACHE_HOME"):
        return Path(given).absolute() / "rgb"
    try:
        return Path.home() / ".cache" / "rgb"
    except RuntimeError:
        return Path("/nonexistent/.cache/rgb")


@lru_cache(maxsize=8)
def _checked_root(wanted: Path) -> Path:
    try:
        return private_folder(wanted)
    except OSError:
        substitute = _substitute()
        warnings.warn(
            f"{_problem(wanted)}, so compiled code is kept in {substitute}; set {_VARIABLE} to a folder of yours",
            CacheWarning,
            stacklevel=3,
        )
        return substitute


def _substitute() -> Path:
    """A private folder among the temporary files: the same at every run, unless somebody took its name."""
    user = str(os.geteuid()) if hasattr(os, "geteuid") else "cache"
    with contextlib.suppress(OSError):
        return private_folder(Path(tempfile.gettempdir()) / f"rgb-{user}")
    return Path(tempfile.mkdtemp(prefix="rgb-"))


def _problem(folder: Path) -> str | None:
    """What keeps `folder` from being used; None where nothing does."""
    try:
        status = os.stat(folder)
    except OSError:
        return f"the cache folder {folder} cannot be made"
    if not stat.S_ISDIR(status.st_mode):
        return f"the cache folder {folder} is no folder"
    if not is_private(status):
        return f"the cache folder {folder} belongs to or can be written by others"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"the cache folder {folder} cannot be written"
    return None


def _open_without_waiting(path: str, flags: int) -> int:
    """A pipe in place of a file must not make the reader wait for a writer."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))

"""Folders that runs fill: whose a folder is, whether its run has finished, and that nobody else writes to it meanwhile.

One rule for every command. Same inputs and settings, finished: nothing is touched. Same and unfinished: the run
continues. Anything else in the folder: one sentence, and `force` to replace what an earlier run wrote.
"""

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from .errors import InputError
from .files import read_text, remove_leftovers, write_text

MARKER = ".rgb-run.json"
_LOCK = ".rgb-run.lock"
KINDS = ("dataset", "geometry", "avatar", "report", "pictures")
"""What folders hold."""
_FORMAT, _VERSION = "rgb-run", 1
_LARGEST = 1 << 16  # bytes of a marker, which has some hundred


class OutputFolder:
    """A folder that belongs to one run for as long as the block lasts that `claim` opens.

    Attributes:
        path: the folder.
        finished: whether an earlier run with the same inputs and settings finished it.
    """

    def __init__(self, path: Path, identity: dict[str, Any], finished: bool):
        self.path = path
        self.finished = finished
        self._identity = identity

    @classmethod
    @contextlib.contextmanager
    def claim(cls, path: str | Path, kind: str, fingerprint: str, force: bool = False) -> Iterator["OutputFolder"]:
        """Own `path` during a block; it is made where it does not exist.

        A run that fails before it wrote anything leaves the folder as it was.

        Args:
            kind: what the folder holds, one of `KINDS`.
            fingerprint: of all that the result depends on (see `fingerprints`).
            force: replace the same kind of work of other settings; anything else is never replaced.

        Raises:
            InputError: when the folder holds anything else, another run is writing to it, or it cannot be written.
        """
        folder = Path(path)
        identity = {"format": _FORMAT, "version": _VERSION, "kind": kind, "fingerprint": fingerprint}
        made = not folder.exists()
        with locked(folder, _LOCK, f"another run is writing to {folder}; wait for it, or choose another folder"):
            claimed = cls(folder, identity, _take_over(folder, identity, force))
            try:
                if not claimed.finished:
                    claimed._mark(finished=False)
                yield claimed
            finally:
                if not claimed.finished and not _contents(folder):
                    _leave(folder, made)

    def finish(self) -> None:
        """Say that everything is written."""
        self._mark(finished=True)
        self.finished = True

    def _mark(self, finished: bool) -> None:
        write_text(self.path / MARKER, json.dumps({**self._identity, "finished": finished}))


def is_finished(folder: Path) -> bool:
    """Whether a run finished its work in a folder, whatever its inputs and settings were."""
    record = _read(folder / MARKER)
    return record is not None and record.get("finished") is True


@contextlib.contextmanager
def locked(folder: Path, name: str, refusal: str, patience: float = 0.0) -> Iterator[None]:
    """Hold the lock file `name` of a folder, which is made; it ends with the process whatever happens to that.

    Args:
        refusal: what to say where another process holds it.
        patience: seconds to wait for that one.

    Raises:
        InputError: with `refusal`, or when the folder cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / name)
        lock.acquire(timeout=patience)
    except Timeout:
        raise InputError(refusal) from None
    except OSError as error:
        raise InputError(f"cannot write to {folder}: {error.strerror or error}") from error
    try:
        yield
    finally:
        lock.release()


def _leave(folder: Path, made: bool) -> None:
    """Undo the claim of a folder that nothing was written to; remove it where the run `made` it."""
    (folder / MARKER).unlink(missing_ok=True)
    if made:
        (folder / _LOCK).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # somebody else put something there
            folder.rmdir()


def _take_over(folder: Path, identity: dict[str, Any], force: bool) -> bool:
    """Whether the folder holds the finished work of the run `identity`; work of another is refused or removed."""
    record = _read(folder / MARKER)
    if record is None:
        remove_leftovers(folder, of=MARKER)  # a run was killed while it claimed the folder
        if _contents(folder):
            (folder / _LOCK).unlink(missing_ok=True)  # nothing of ours stays among what is somebody else's
            raise InputError(f"{folder} is not empty and no run of rgb claimed it; choose another folder")
        return False
    remove_leftovers(folder)
    if all(record.get(key) == value for key, value in identity.items()):
        return record.get("finished") is True
    if not _contents(folder):
        return False
    state = "finished" if record.get("finished") is True else "unfinished"
    if record.get("kind") != identity["kind"]:
        held = record["kind"] if record.get("kind") in KINDS else "work of another version"
        raise InputError(f"{folder} holds {held}, {state}; choose another folder for the {identity['kind']}")
    if not force:
        raise InputError(
            f"{folder} holds the {state} {identity['kind']} of other inputs or settings; choose another folder, or "
            "replace it by --force"
        )
    for item in _contents(folder):
        shutil.rmtree(item) if item.is_dir() and not item.is_symlink() else item.unlink()
    return False


def _contents(folder: Path) -> list[Path]:
    """What a folder holds beside the marker and the lock."""
    return [item for item in folder.iterdir() if item.name not in (MARKER, _LOCK)]


def _read(path: Path) -> dict[str, Any] | None:
    """The marker; None where there is none. One that cannot be read is that of nobody."""
    if not path.is_file():
        return None
    try:
        record = json.loads(read_text(path, _LARGEST))
    except (InputError, ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) and record.get("format") == _FORMAT else {}

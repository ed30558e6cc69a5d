"""Reading JSON records: every wrong value becomes one sentence that names the file, the place and the key."""

import json
import posixpath
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, NoReturn

import numpy as np

from ..errors import InputError
from ..files import read_text

_LARGEST = float(np.finfo(np.float32).max)  # tensors are single precision; beyond it a number is infinite


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        InputError: when the file is missing, no JSON, or is no object.
    """
    text = read_text(path)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise InputError(f"{path} must hold a JSON object, not a {type(value).__name__}")
    return value


def leaves_folder(name: str) -> bool:
    """Whether a name, in the spelling of any system, leads out of the folder that it is relative to."""
    if PurePosixPath(name).is_absolute() or PureWindowsPath(name).drive or name.startswith("\\"):
        return True
    return posixpath.normpath(name.replace("\\", "/")).split("/")[0] == ".."


class Defects:
    """What becomes of a defect that does not keep the rest from being checked: it is raised, or kept among `found`.

    Args:
        keep: go on after a defect.
    """

    def __init__(self, keep: bool = False) -> None:
        self._keep = keep
        self.found: list[str] = []

    @contextmanager
    def checked(self) -> Iterator[None]:
        """A check that stands alone; a defect ends the block."""
        try:
            yield
        except InputError as error:
            if not self._keep:
                raise
            self.found.append(str(error))


class Record:
    """A JSON object and where it stands; `context` begins every error message."""

    def __init__(self, values: Any, context: str) -> None:
        if not isinstance(values, dict):
            raise InputError(f"{context} must be a JSON object")
        self.values = values
        self.context = context

    def fail(self, key: str, problem: str) -> NoReturn:
        """Raise the InputError for `key`."""
        raise InputError(f"{self.context}: {key if key.isprintable() else repr(key)} {problem}")

    def get(self, key: str) -> Any:
        """The value of a key that must be there."""
        if key not in self.values:
            self.fail(key, "is missing")
        return self.values[key]

    def text(self, key: str) -> str:
        """A string that is not empty."""
        value = self.get(key)
        if not isinstance(value, str) or not value:
            self.fail(key, f"must be a non-empty string, not {value!r}")
        return value

    def name(self, key: str, folder: Path) -> Path:
        """The path that a key names, relative to `folder`, which the name may not leave; nothing need be there."""
        name = self.text(key)
        if leaves_folder(name):
            self.fail(key, f"names {name!r}, which leads out of {folder}")
        return folder / name

    def file(self, key: str, folder: Path) -> Path:
        """The existing file that a key names, as `name`; links that the user made inside the folder are followed."""
        path = self.name(key, folder)
        try:
            found = path.is_file()
        except OSError as error:
            self.fail(key, f"names a file that cannot be read: {error.strerror}")
        except ValueError:
            found = False  # NUL
        if not found:
            self.fail(key, f"names {str(path)!r}, which does not exist")
        return path

    def number(self, key: str) -> float:
        """A finite positive number."""
        value = self.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= _LARGEST:
            self.fail(key, f"must be a positive number, not {value!r}")
        return float(value)

    def count(self, key: str) -> int:
        """A positive integer, no larger than any that counts something here."""
        value = self.get(key)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= _LARGEST:
            self.fail(key, f"must be a positive integer, not {value!r}")
        return value

    def items(self, key: str) -> list[Any]:
        """A list."""
        value = self.get(key)
        if not isinstance(value, list):
            self.fail(key, "must be a list")
        return value

    def array(self, key: str, shape: tuple[int, ...]) -> np.ndarray:
        """Finite numbers of exactly `shape`, float64."""
        value = self.get(key)
        try:
            array = np.asarray(value)
        except ValueError:
            array = np.array(None)  # ragged lists
        if not isinstance(value, list) or (array.size and array.dtype.kind not in "iuf"):
            self.fail(key, f"must be numbers of shape {list(shape)}")
        if array.shape != shape and not (array.size == 0 and 0 in shape):
            self.fail(key, f"has shape {list(array.shape)}, expected {list(shape)}")
        array = array.astype(np.float64).reshape(shape)
        if not (np.abs(array) <= _LARGEST).all():
            self.fail(key, "has a number that is not finite or beyond 3.4e38")
        return array

    def unknown(self, known: frozenset[str]) -> dict[str, Any]:
        """The keys that this version does not read."""
        return {key: value for key, value in self.values.items() if key not in known}

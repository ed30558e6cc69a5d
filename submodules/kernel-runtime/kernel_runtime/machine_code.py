"""Where compiled CPU kernels are kept: in the user's private cache folder, with checksums, made anew when damaged.

numba keeps pickles beside the source or in folders that others may write, and believes them; a pickle can run anything,
and damaged object code crashes the process.
"""

import contextlib
import hashlib
import pickle
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numba
from numba.core import caching

from .private import cache_root, private_folder, read_private, write_private

_DIGEST_BYTES = hashlib.sha256().digest_size


def machine_code_folder() -> Path:
    """Where numba's files lie."""
    return cache_root() / "numba"


class _Locator(caching._CacheLocator):
    """A folder for each package below `machine_code_folder`."""

    def __init__(self, function: Callable[..., Any], file: str):
        self._file = file
        self._line = function.__code__.co_firstlineno

    @classmethod
    def from_function(cls, py_func: Callable[..., Any], py_file: str) -> "_Locator":
        """What numba calls for a function and the file that it stands in."""
        return cls(py_func, py_file)

    def get_cache_path(self) -> str:
        """The folder; it is made when something is written."""
        return str(machine_code_folder() / self.get_suitable_cache_subpath(self._file))

    def ensure_cache_path(self) -> None:
        """What numba calls before it saves; writing makes the folder, and may fail without harm."""

    def get_source_stamp(self) -> str:
        """Changes with any source of the function's package, since what it calls is compiled into it."""
        return f"numba {numba.__version__} {_sources(Path(self._file).parent)} {_sources(Path(__file__).parent)}"

    def get_disambiguator(self) -> str:
        """Tells functions of one name in one file apart."""
        return str(self._line)


@lru_cache(maxsize=64)
def _sources(folder: Path) -> str:
    """A checksum over all Python files of a package."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.py")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


class _VerifiedFiles(caching.IndexDataCacheFile):
    """numba's index and data files, each behind the checksum of its contents; one that is not whole does not exist."""

    def _load_index(self) -> dict[Any, str]:
        found = _read(Path(self._index_path))
        if found is None or found[0] != self._source_stamp:
            return {}
        return found[1]

    def _save_index(self, overloads: dict[Any, str]) -> None:
        self._write(Path(self._index_path), (self._source_stamp, overloads))

    def _load_data(self, name: str) -> Any:
        return _read(Path(self._data_path(name)))

    def _save_data(self, name: str, data: Any) -> None:
        self._write(Path(self._data_path(name)), data)

    def _write(self, path: Path, value: Any) -> None:
        data = self._dump(value)
        with contextlib.suppress(OSError):  # a full disk or a read-only folder costs only compiling again
            private_folder(machine_code_folder())
            write_private(path, hashlib.sha256(data).digest() + data)


def _read(path: Path) -> Any:
    """The value in a file of the user's own that is whole; None where there is none."""
    try:
        content = read_private(path)
    except OSError:
        return None
    digest, data = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    if hashlib.sha256(data).digest() != digest:
        return None
    return pickle.loads(data)  # noqa: S301, written by this user's own numba, and whole


class _Implementation(caching.CompileResultCacheImpl):
    _locator_classes = [_Locator]  # noqa: RUF012, numba's own form


class MachineCodeCache(caching.FunctionCache):
    """The cache of one function, in place of the one that numba gives it."""

    _impl_class = _Implementation

    def __init__(self, function: Callable[..., Any]):
        super().__init__(function)
        locator = self._impl.locator
        self._cache_file = _VerifiedFiles(
            locator.get_cache_path(), self._impl.filename_base, locator.get_source_stamp()
        )

    def holds_anything(self) -> bool:
        """Whether some version of the function as it stands was compiled before."""
        return bool(self._cache_file._load_index())

"""Reading what others packed: a ZIP archive or folder as a list of plain files, refused as a whole where unsafe."""

import os
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NoReturn

from ..errors import InputError

_MIB = 1 << 20
_CHUNK = _MIB
_READABLE_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1  # bit of the general-purpose flags
_FORBIDDEN_CHARACTERS = frozenset('\\:*?"<>|')  # Windows reads them as separators, drives and wildcards


@dataclass(frozen=True)
class Limits:
    """How much an archive may hold before it counts as a bomb."""

    files: int = 200_000
    file_bytes: int = 64 * _MIB
    total_bytes: int = 64 * 1024 * _MIB
    ratio: float = 200.0
    """Unpacked over packed size of a file larger than a MiB; pictures that are PNG files already stay near 1."""


class Archive:
    """The files of a ZIP archive or a folder, by their path inside it; use as a context manager.

    Opening checks every name, kind and declared size; reading stops at the declared size of a file.
    """

    sizes: dict[PurePosixPath, int]
    """Bytes of every file, by path."""

    def __init__(self, path: str | Path, limits: Limits | None = None) -> None:
        """Open and check.

        Raises:
            InputError: when it is missing, truncated, encrypted or unsafe; the sentence names the entry.
        """
        self.path = Path(path)
        self._limits = limits or Limits()
        self._open = ExitStack()
        self._zip: zipfile.ZipFile | None = None
        if not self.path.exists():
            raise InputError(f"{self.path} does not exist; give a .zip file or a folder")
        if self.path.is_dir():
            self.sizes = self._check(self._list_folder())
            return
        try:
            self._zip = self._open.enter_context(zipfile.ZipFile(self.path))
        except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile) as error:
            raise InputError(
                f"{self.path} is not a readable .zip archive or was cut short; download it again"
            ) from error
        try:
            self.sizes = self._check(self._list_zip(self._zip))
        except InputError:
            self.close()
            raise

    def __enter__(self) -> "Archive":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._open.close()

    def extract(self, entry: PurePosixPath, destination: Path) -> None:
        """Write one file to `destination`, which must not exist.

        Raises:
            InputError: when it is damaged or longer than it says, or cannot be written; `destination` may be left
                behind in part then.
        """
        try:
            with self._reader(entry) as source, destination.open("xb") as target:
                self._copy(entry, source, target)
        except (EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
            self._refuse(entry, "is damaged: its bytes do not match its checksum; download the archive again", error)
        except OSError as error:
            raise InputError(f"cannot copy {entry} to {destination}: {error.strerror or error}") from error

    def _copy(self, entry: PurePosixPath, source: BinaryIO, target: BinaryIO) -> None:
        left = self.sizes[entry]
        while chunk := source.read(_CHUNK):
            left -= len(chunk)
            if left < 0:
                self._refuse(entry, "is longer than it says")
            target.write(chunk)
        if left:
            self._refuse(entry, "is shorter than it says")

    def _reader(self, entry: PurePosixPath) -> BinaryIO:
        if self._zip is None:
            return (self.path / entry).open("rb")
        return self._zip.open(str(entry))  # type: ignore[return-value]

    def _refuse(self, entry: object, problem: str, cause: Exception | None = None) -> NoReturn:
        raise InputError(f"{self.path}: entry {str(entry)!r} {problem}") from cause

    def _list_folder(self) -> Iterable[tuple[PurePosixPath, int]]:
        for folder, folders, files in os.walk(self.path, onerror=self._unreadable):
            for name in folders + files:
                path = Path(folder, name)
                entry = PurePosixPath(path.relative_to(self.path).as_posix())
                status = path.lstat()
                if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
                    self._refuse(entry, "is a link or a device, not a plain file; copy the file itself there")
                if stat.S_ISREG(status.st_mode):
                    yield entry, status.st_size

    def _unreadable(self, error: OSError) -> NoReturn:
        raise InputError(f"cannot read {error.filename}: {error.strerror or error}") from error

    def _list_zip(self, archive: zipfile.ZipFile) -> Iterable[tuple[PurePosixPath, int]]:
        for info in archive.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                self._refuse(info.filename, "is a link or a device, not a plain file; pack the file itself")
            self._check_name(info.orig_filename)
            if info.is_dir():
                continue
            if info.flag_bits & _ENCRYPTED:
                self._refuse(info.filename, "is encrypted; unpack the archive with its password and give the folder")
            if info.compress_type not in _READABLE_METHODS:
                self._refuse(info.filename, "is packed by an unusual method; pack the archive again with deflate")
            packed = max(info.compress_size, 1)
            if info.file_size > _MIB and info.file_size / packed > self._limits.ratio:
                ratio = info.file_size / packed
                self._refuse(info.filename, f"unpacks to {ratio:.0f} times its size: it looks like a bomb")
            yield PurePosixPath(info.filename), info.file_size

    def _check_name(self, name: str) -> None:
        parts = name.removesuffix("/").split("/")
        if not name.isprintable() or _FORBIDDEN_CHARACTERS & set(name):
            self._refuse(name, "has a character in its name that not every system allows")
        if any(part in ("", ".", "..") for part in parts):
            self._refuse(name, "would be written outside the destination: its name is no plain relative path")

    def _check(self, entries: Iterable[tuple[PurePosixPath, int]]) -> dict[PurePosixPath, int]:
        """The sizes, all within the limits, no name twice; entries are counted while they are listed."""
        sizes: dict[PurePosixPath, int] = {}
        total = 0
        for entry, size in entries:
            if entry in sizes:
                self._refuse(entry, "is there twice")
            if size > self._limits.file_bytes:
                self._refuse(
                    entry, f"has {size / _MIB:.0f} MiB, more than the {self._limits.file_bytes / _MIB:g} allowed"
                )
            sizes[entry] = size
            total += size
            if len(sizes) > self._limits.files:
                raise InputError(f"{self.path} holds more than {self._limits.files} files; it looks like a bomb")
            if total > self._limits.total_bytes:
                limit = self._limits.total_bytes / _MIB
                raise InputError(f"{self.path} unpacks to more than {limit:g} MiB; it looks like a bomb")
        return sizes


def check_free_space(folder: Path, needed: int) -> None:
    """Refuse to begin what the disk of `folder` cannot hold.

    Raises:
        InputError: when fewer than `needed` bytes are free.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise InputError(f"{folder} has room for {free / _MIB:.0f} MiB, but {needed / _MIB:.0f} are needed")

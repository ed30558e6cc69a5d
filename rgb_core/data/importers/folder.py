"""Finding the files of a source folder: only inside it, with names that a dataset can carry."""

import os
from pathlib import Path

from ...errors import InputError
from ..records import Record, leaves_folder

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")
MASK_FOLDERS = ("mask", "masks", "fg_masks", "image_mask", "alpha")
_MASK_PREFIX = "mask_"  # NeRFBlendShape calls them mask_00000.png


def printable(path: Path) -> str:
    """A path as text, bytes that are not UTF-8 escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


class SourceFolder:
    """The folder that the user wants to import."""

    def __init__(self, path: str | Path) -> None:
        """Check the folder.

        Raises:
            InputError: when it does not exist or its name is not UTF-8.
        """
        self.path = Path(path)
        _check_utf8(self.path)
        if not os.path.isdir(self.path):
            raise InputError(f"{self.path} is not a folder; give the folder of a tracked clip")

    def has(self, name: str) -> bool:
        """Whether a file or folder is there."""
        return os.path.exists(self.path / name)

    def file(self, name: str, beside: bool = False) -> Path:
        """The path of `name`, whether it exists or not; links that the user made inside the folder are followed.

        Names that another machine wrote are understood: with Windows' separators, or absolute ones whose end lies in
        this folder.

        Args:
            beside: whether the name may lead into a folder beside this one.

        Raises:
            InputError: when it leads out of the folder.
        """
        if "\0" in name or not _is_utf8(name):
            raise InputError(f"{self.path} names a file {name!r}, which is not a UTF-8 name; rename it")
        if not os.path.lexists(self.path / name) or leaves_folder(name):
            name = name.replace("\\", "/")
        if leaves_folder(name) and not name.startswith("."):
            parts = [part for part in name.split("/") if part not in ("", ".", "..")]
            tails = ("/".join(parts[start:]) for start in range(len(parts)))
            name = next((tail for tail in tails if os.path.lexists(self.path / tail)), name)
        sibling = name.split("/", 2)
        allowed = beside and len(sibling) == 3 and sibling[0] == ".." and not leaves_folder("/".join(sibling[1:]))
        if leaves_folder(name) and not allowed:
            raise InputError(f"{self.path / name} leads out of {self.path}; copy the file into the folder first")
        return self.path / name

    def named(self, record: Record, key: str, suffixes: tuple[str, ...] = ("",), beside: bool = False) -> Path:
        """The existing file that `key` of a JSON record names, with the first of `suffixes` that exists; see `file`.

        Raises:
            InputError: when there is none, or when it leads out of the folder.
        """
        name = record.text(key)
        path = next((path for suffix in suffixes if os.path.isfile(path := self.file(name + suffix, beside))), None)
        if path is None:
            record.fail(key, f"names {self.path / name}, which does not exist")
        return path

    def files(self, name: str, suffixes: tuple[str, ...] = PICTURE_SUFFIXES) -> dict[str, Path]:
        """The files of a subfolder by stem, none where there is no such folder; earlier suffixes win.

        Raises:
            InputError: for a name that is not UTF-8.
        """
        folder = self.file(name)
        if not os.path.isdir(folder):
            return {}
        try:
            paths = sorted(folder.iterdir(), key=os.fsencode)
        except OSError as error:
            raise InputError(f"cannot read {folder}: {error.strerror or error}") from error
        found: dict[str, Path] = {}
        for path in paths:
            suffix = path.suffix.lower()
            if suffix not in suffixes or path.name.startswith("."):
                continue
            _check_utf8(path)
            known = found.get(path.stem)
            if known is None or suffixes.index(suffix) < suffixes.index(known.suffix.lower()):
                found[path.stem] = path
        return found

    def masks(self) -> dict[str, Path]:
        """The mattes by the stem of their image, from the first mask folder that exists."""
        for name in MASK_FOLDERS:
            if found := self.files(name):
                return {stem.removeprefix(_MASK_PREFIX): path for stem, path in found.items()}
        return {}


def _is_utf8(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _check_utf8(path: Path) -> None:
    if not _is_utf8(str(path)):
        raise InputError(f"{printable(path)} has a name that is not UTF-8; rename it")

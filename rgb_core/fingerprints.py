"""What a result was made from, as one short text: equal exactly when all that is read is equal."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from torch import Tensor

from .errors import InputError

_CHUNK = 2**20


def fingerprint(**parts: Any) -> str:
    """The fingerprint of named parts: JSON values, tensors, files, and dicts, lists or tuples of those.

    A `Path` stands for the contents of the file; a path whose place matters, not its contents, is given as text.

    Raises:
        InputError: for a file that cannot be read.
    """
    return hashlib.sha256(json.dumps(_plain(parts), sort_keys=True).encode()).hexdigest()


def _plain(value: Any) -> Any:
    """`value` with digests in place of tensors and files."""
    if isinstance(value, Tensor):
        return _tensor_digest(value)
    if isinstance(value, Path):
        return file_digest(value)
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def file_digest(path: Path) -> str:
    """SHA-256 of a file's contents.

    Raises:
        InputError: when it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    return digest.hexdigest()


def files_in(folder: Path, patterns: Iterable[str] = ("**/*",)) -> dict[str, Path]:
    """The files of a folder by their relative names, hidden ones left out, for `fingerprint`."""
    found = {path for pattern in patterns for path in folder.glob(pattern)}
    names = {path.relative_to(folder).as_posix(): path for path in found if path.is_file()}
    return {name: names[name] for name in sorted(names) if not any(part.startswith(".") for part in name.split("/"))}


def _tensor_digest(tensor: Tensor) -> str:
    values = tensor.detach().cpu()
    kind = f"{values.dtype} {list(values.shape)} "
    return hashlib.sha256(kind.encode() + values.numpy().tobytes()).hexdigest()

"""Pickle files that are not trusted, read without running anything from them."""

from pathlib import Path
from typing import Any

from ...errors import InputError
from ...files import read_bytes
from .pickle_nodes import PickleError
from .pickle_values import pickled_value

MAX_FILE_BYTES = 512 << 20
"""FLAME's files have 50 MB, a tracked frame less than one."""


def load_restricted_pickle(path: Path | str, encoding: str = "latin1") -> Any:
    """The contents of a pickle file of any protocol, without running anything from it.

    Arrays come as numpy arrays: scipy's sparse matrices dense, chumpy's expressions as their values (or as
    `ChumpyExpression` where only a formula was stored), torch's tensors copied. Sets become lists.

    Args:
        path: the file, at most `MAX_FILE_BYTES`.
        encoding: of Python 2 strings, or "bytes".

    Raises:
        InputError: names the file, and the global it asks for where that is not one of the allowed ones.
    """
    data = read_limited(path)
    try:
        return pickled_value(data, encoding)
    except PickleError as error:
        raise InputError(f"{path} {error}; get the file again from its makers") from error


def read_limited(path: Path | str) -> bytes:
    """The bytes of a file that exists and is no larger than `MAX_FILE_BYTES`.

    Raises:
        InputError: when it does not exist, is too large or cannot be read.
    """
    return read_bytes(path, MAX_FILE_BYTES)

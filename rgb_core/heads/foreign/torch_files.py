"""`torch.save` files and numpy files of objects, read through the restricted unpickler."""

import functools
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import InputError
from ...numpy_files import UNREADABLE, array_header, array_of
from .pickle_nodes import PickleError
from .pickle_values import pickled_value, value_of
from .pickles import read_limited
from .torch_storages import LegacyFile, raw_numbers, storage_identity

ZIP_MAGIC = b"PK\x03\x04"


def load_frame_file(path: Path | str) -> dict[str, Any]:
    """A dictionary that `torch.save` wrote, such as metrical-tracker's `.frame`; tensors come as numpy arrays.

    Raises:
        InputError: when the file is missing, damaged, asks for code, or holds no dictionary.
    """
    data = read_limited(path)
    try:
        value = _from_zip(data) if data.startswith(ZIP_MAGIC) else _from_legacy(data)
    except PickleError as error:
        raise InputError(f"{path} {error}; track the frame again") from error
    except UNREADABLE as error:
        raise InputError(f"{path} is a damaged torch.save file ({error}); track the frame again") from error
    if not isinstance(value, dict):
        raise InputError(f"{path} holds no dictionary; give a file of metrical-tracker's checkpoint folder")
    return value


def load_npy(path: Path | str) -> Any:
    """A `.npy` file, objects included; an array of one object without dimensions comes as the object itself.

    Raises:
        InputError: when the file is missing, damaged or asks for code.
    """
    data = read_limited(path)
    try:
        return numpy_value(data)
    except PickleError as error:
        raise InputError(f"{path} {error}; get the file again from its makers") from error


def numpy_value(data: bytes) -> Any:
    """What the bytes of a `.npy` file hold; see `load_npy`.

    Raises:
        PickleError: when they are damaged or ask for code.
    """
    try:
        header = array_header(data)
        if not header.dtype.hasobject:
            return array_of(data)
    except (ValueError, MemoryError) as error:
        raise PickleError(f"is no readable numpy file ({error})") from error
    value = pickled_value(data, position=header.start)
    return value.item() if isinstance(value, np.ndarray) and value.shape == () else value


def _from_zip(data: bytes) -> Any:
    """`data.pkl` and one member per storage, all stored without compression, so no size can grow."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {info.filename: info for info in archive.infolist()}
        if sum(info.file_size for info in members.values()) > len(data):
            raise PickleError("is a zip file that unpacks to more than it holds")
        roots = [name for name in members if name.endswith("data.pkl")]
        if len(roots) != 1:
            raise PickleError("is a zip file, but not one that torch.save wrote")
        folder = roots[0].removesuffix("data.pkl")
        if f"{folder}byteorder" in members and archive.read(f"{folder}byteorder") != b"little":
            raise PickleError("was written on a big-endian machine, which is not supported")

        @functools.cache
        def member(key: str) -> bytes:
            return archive.read(f"{folder}data/{key}")

        def storage(identity: tuple[Any, ...]) -> np.ndarray:
            dtype, key, count = storage_identity(identity)
            return raw_numbers(member(key), dtype, count)

        return pickled_value(archive.read(roots[0]), storage=storage)


def _from_legacy(data: bytes) -> Any:
    file = LegacyFile(data)
    return value_of(file.root, file.storage)

"""`torch.save` files and numpy files of objects, read through the restricted unpickler."""

import functools
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import InputError
from ...numpy_files import UNREADABLE, array_header, array_of
from .pickle_stream import Persistent, PickleError, PickleStream
from .pickle_values import canonical_name, pickled_value, storage_dtype, value_of
from .pickles import read_limited

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
"""First pickle of a torch.save file from before torch 1.6."""
LEGACY_PROTOCOL = 1001
LEGACY_LENGTH_BYTES = 8
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


def legacy_storage(data: bytes) -> np.ndarray:
    """The numbers of a single storage that torch saved inside another pickle.

    Raises:
        PickleError: when they are damaged.
    """
    file = _LegacyFile(data)
    if not isinstance(file.root, Persistent):
        raise PickleError("has a tensor without numbers")
    return file.storage(file.root.identity)


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
            dtype, key, count = _identity(identity)
            return _numbers(member(key), dtype, count)

        return pickled_value(archive.read(roots[0]), storage=storage)


def _from_legacy(data: bytes) -> Any:
    file = _LegacyFile(data)
    return value_of(file.root, file.storage)


class _LegacyFile:
    """Pickles one behind the other (magic, protocol, system, root, storage keys), then the numbers of each storage."""

    def __init__(self, data: bytes):
        stream = PickleStream(data, canonical_name)
        if data[:1] != b"\x80" or stream.read() != LEGACY_MAGIC or stream.read() != LEGACY_PROTOCOL:
            raise PickleError("is no file that torch.save wrote")
        stream.read()
        self.root = stream.read()
        keys = stream.read()
        kinds = {key: dtype for dtype, key, _ in (_identity(reference.identity) for reference in stream.references)}
        self._numbers: dict[str, np.ndarray] = {}
        position = stream.position
        for key in keys if isinstance(keys, list) else ():
            if key not in kinds:
                raise PickleError("is a damaged torch.save file (numbers that nothing refers to)")
            start = position + LEGACY_LENGTH_BYTES
            length = int.from_bytes(data[position:start], "little") * kinds[key].itemsize
            position = start + length
            self._numbers[key] = _numbers(data[start:position], kinds[key], length // kinds[key].itemsize)

    def storage(self, identity: Any) -> np.ndarray:
        """The numbers that `identity` refers to."""
        dtype, key, count = _identity(identity)
        numbers = self._numbers.get(key)
        if numbers is None or numbers.dtype != dtype or len(numbers) != count:
            raise PickleError("has a tensor without numbers")
        return numbers


def _identity(identity: Any) -> tuple[np.dtype, str, int]:
    """Number type, key and length of ("storage", class, key, device, length, view)."""
    if not isinstance(identity, tuple) or len(identity) not in (5, 6) or identity[0] != "storage":
        raise PickleError("refers to data outside of it")
    if identity[5:] not in ((), (None,)):
        raise PickleError("has a tensor that views another one's numbers, which is not supported")
    if not isinstance(identity[2], str) or not identity[2].isalnum() or not isinstance(identity[4], int):
        raise PickleError("has a tensor of numbers without a name")
    return storage_dtype(identity[1]), identity[2], identity[4]


def _numbers(raw: bytes, dtype: np.dtype, count: int) -> np.ndarray:
    if len(raw) != count * dtype.itemsize:
        raise PickleError("has a tensor whose numbers are cut short")
    return np.frombuffer(raw, dtype)

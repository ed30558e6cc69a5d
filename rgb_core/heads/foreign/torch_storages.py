"""Raw numbers of tensors: in files that `torch.save` wrote before torch 1.6, and of storages inside other pickles."""

from typing import Any

import numpy as np

from .pickle_names import canonical_name, storage_dtype
from .pickle_nodes import Persistent, PickleError
from .pickle_stream import PickleStream

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
"""First pickle of a torch.save file from before torch 1.6."""
LEGACY_PROTOCOL = 1001
LEGACY_LENGTH_BYTES = 8


def legacy_storage(data: bytes) -> np.ndarray:
    """The numbers of a single storage that torch saved inside another pickle.

    Raises:
        PickleError: when they are damaged.
    """
    file = LegacyFile(data)
    if not isinstance(file.root, Persistent):
        raise PickleError("has a tensor without numbers")
    return file.storage(file.root.identity)


class LegacyFile:
    """Pickles one behind the other (magic, protocol, system, root, storage keys), then the numbers of each storage."""

    def __init__(self, data: bytes):
        stream = PickleStream(data, canonical_name)
        if data[:1] != b"\x80" or stream.read() != LEGACY_MAGIC or stream.read() != LEGACY_PROTOCOL:
            raise PickleError("is no file that torch.save wrote")
        stream.read()
        self.root = stream.read()
        keys = stream.read()
        kinds = {
            key: dtype for dtype, key, _ in (storage_identity(reference.identity) for reference in stream.references)
        }
        self._stored: dict[str, np.ndarray] = {}
        position = stream.position
        for key in keys if isinstance(keys, list) else ():
            if key not in kinds:
                raise PickleError("is a damaged torch.save file (numbers that nothing refers to)")
            start = position + LEGACY_LENGTH_BYTES
            length = int.from_bytes(data[position:start], "little") * kinds[key].itemsize
            position = start + length
            self._stored[key] = raw_numbers(data[start:position], kinds[key], length // kinds[key].itemsize)

    def storage(self, identity: Any) -> np.ndarray:
        """The numbers that `identity` refers to."""
        dtype, key, count = storage_identity(identity)
        numbers = self._stored.get(key)
        if numbers is None or numbers.dtype != dtype or len(numbers) != count:
            raise PickleError("has a tensor without numbers")
        return numbers


def storage_identity(identity: Any) -> tuple[np.dtype, str, int]:
    """Number type, key and length of ("storage", class, key, device, length, view)."""
    if not isinstance(identity, tuple) or len(identity) not in (5, 6) or identity[0] != "storage":
        raise PickleError("refers to data outside of it")
    if identity[5:] not in ((), (None,)):
        raise PickleError("has a tensor that views another one's numbers, which is not supported")
    if not isinstance(identity[2], str) or not identity[2].isalnum() or not isinstance(identity[4], int):
        raise PickleError("has a tensor of numbers without a name")
    return storage_dtype(identity[1]), identity[2], identity[4]


def raw_numbers(raw: bytes, dtype: np.dtype, count: int) -> np.ndarray:
    if len(raw) != count * dtype.itemsize:
        raise PickleError("has a tensor whose numbers are cut short")
    return np.frombuffer(raw, dtype)

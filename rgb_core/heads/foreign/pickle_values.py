"""What a pickle may mean: arrays, numbers, text and plain containers, from a closed list of globals.

Nothing is imported on the word of a file. numpy arrays, scipy sparse matrices, chumpy expressions and torch tensors are
rebuilt here from their raw numbers, all as numpy arrays, whichever versions of those packages wrote them.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .pickle_names import CHUMPY, canonical_name, shown
from .pickle_nodes import Construction, Persistent, PickleError, Symbol, dict_key
from .pickle_stream import PickleStream
from .torch_storages import legacy_storage

MAX_BYTES = 1 << 29
"""Memory of all values of one file together: a few bytes could ask for much more, or for the same many times."""
MAX_DIMENSIONS = 32
BYTES_PER_PAIR = 128
"""About what an entry of a dictionary costs."""
MAX_DEPTH = 64
"""Containers inside containers; FLAME's chumpy arrays need about ten."""

_BYTES_PER_ENTRY = 48
"""About what an entry of a sparse matrix costs while its row and column are worked out."""

MISFIT = "has a sparse matrix whose parts do not fit together"

_DTYPE = re.compile(r"[<>|=]?(b1|[iu][1248]|f[248]|c(8|16)|[SU]\d{1,6}|O[48]?)")


@dataclass(eq=False, frozen=True)
class ChumpyExpression:
    """A chumpy object whose array was not stored, only how to compute it."""

    name: str


def pickled_value(
    data: bytes,
    encoding: str = "latin1",
    position: int = 0,
    storage: Callable[[tuple[Any, ...]], np.ndarray] | None = None,
) -> Any:
    """The value of one pickle in `data` from `position` on; `storage` resolves torch's references to raw numbers.

    Raises:
        PickleError: when the pickle is damaged or asks for something that is not allowed.
    """
    return value_of(PickleStream(data, canonical_name, encoding, position).read(), storage)


def value_of(graph: Any, storage: Callable[[tuple[Any, ...]], np.ndarray] | None = None) -> Any:
    """The value of a graph read by `PickleStream`.

    Raises:
        PickleError: as `pickled_value`.
    """
    try:
        return _Builder(storage).build(graph)
    except (ValueError, TypeError, OverflowError, KeyError, IndexError, AttributeError) as error:
        raise PickleError(f"is a damaged pickle ({error})") from error
    except MemoryError as error:
        raise PickleError("needs more memory than there is") from error


class _Builder:
    """Turns a graph into values, each shared node once."""

    def __init__(self, storage: Callable[[tuple[Any, ...]], np.ndarray] | None):
        self._storage = storage
        self._done: dict[int, Any] = {}
        self._depth = 0
        self._free = MAX_BYTES

    def build(self, node: Any) -> Any:
        """The value of one node."""
        if isinstance(node, str | bytes | int | float | None):
            return node
        if id(node) not in self._done:
            self._depth += 1
            if self._depth > MAX_DEPTH:
                raise PickleError(f"nests its contents more than {MAX_DEPTH} deep, or contains itself")
            self._done[id(node)] = self._make(node)
            self._depth -= 1
        return self._done[id(node)]

    def _make(self, node: Any) -> Any:
        if isinstance(node, list):
            return [self.build(item) for item in node]
        if isinstance(node, tuple):
            return tuple(self.build(item) for item in node)
        if isinstance(node, dict):
            return {key: self.build(value) for key, value in node.items()}
        if isinstance(node, Construction):
            return self.construct(node)
        if isinstance(node, Persistent):
            raise PickleError("refers to data outside of it")
        raise PickleError(f"holds the bare name '{node.name}' where a value should be")

    def construct(self, node: Construction) -> Any:
        """The value of a call."""
        name = node.factory.name
        if CHUMPY.fullmatch(name):
            return self.chumpy(node)
        if name not in _FACTORIES:
            raise PickleError(f"calls '{name}', which may only be mentioned")
        return _FACTORIES[name](self, node)

    def charge(self, size: int) -> None:
        """Account for `size` bytes before they are taken."""
        self._free -= size
        if self._free < 0:
            raise PickleError(f"asks for more than {MAX_BYTES >> 20} MB of memory")

    # Python

    def reconstructor(self, node: Construction) -> Any:
        """`copyreg._reconstructor(class, object, None)`: how protocols 0 and 1 make an object of a class."""
        cls = node.arguments[0]
        if not isinstance(cls, Symbol):
            raise PickleError("reconstructs something that is no class")
        return self.construct(Construction(cls, (), node.state, node.items, node.pairs))

    def ordered_dict(self, node: Construction) -> dict[Any, Any]:
        """Written as a list of pairs in old protocols, as items in new ones."""
        listed = self.build(node.arguments[0]) if node.arguments else []
        self.charge(BYTES_PER_PAIR * len(listed))
        filled = [(dict_key(key), value) for key, value in listed]
        return dict(filled) | {dict_key(key): self.build(value) for key, value in node.pairs}

    def as_list(self, node: Construction) -> list[Any]:
        """A set: its items, whose hashes do not matter here."""
        items = self.build(node.arguments[0]) if node.arguments else []
        if not isinstance(items, list):
            raise PickleError("makes a set of something that is no list")
        return items

    def encoded(self, node: Construction) -> bytes:
        """`_codecs.encode(text, "latin1")`: how protocols 0 to 2 write bytes."""
        text, encoding = node.arguments
        if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
            raise PickleError("encodes text in an unusual way")
        self.charge(len(text))
        return text.encode("latin1")

    def empty_bytes(self, node: Construction) -> bytes:
        """`bytes()`: how protocols 0 to 2 write no bytes."""
        if node.arguments:
            raise PickleError("makes bytes in an unusual way")
        return b""

    # numpy

    def dtype(self, node: Any) -> np.dtype:
        """A plain number, text or object type; no structured or nested one."""
        if not isinstance(node, Construction) or node.factory.name != "numpy.dtype":
            raise PickleError("has an array without a number type")
        code = _text(node.arguments[0])
        if not _DTYPE.fullmatch(code):
            raise PickleError(f"has an array of the type '{shown(code)}', which no model file needs")
        dtype = np.dtype(code)
        if node.state is None:
            return dtype
        order: Any = _text(node.state[1])
        if any(part is not None for part in node.state[2:5]) or order not in "<>|=":
            raise PickleError(f"has an array of a structured type '{code}'")
        return dtype.newbyteorder(order) if order in "<>" else dtype

    def array(self, node: Construction) -> np.ndarray:
        """`_reconstruct(ndarray, ...)` with the state (version, shape, dtype, column-major, contents)."""
        kind = node.arguments[0]
        if not isinstance(kind, Symbol) or kind.name != "numpy.ndarray" or not isinstance(node.state, tuple):
            raise PickleError("has an array of an unusual kind")
        shape, dtype, column_major, contents = node.state[-4:]
        return self._filled(self.dtype(dtype), shape, contents, "F" if column_major else "C")

    def from_buffer(self, node: Construction) -> np.ndarray:
        """`_frombuffer(contents, dtype, shape, order)`, of protocol 5."""
        contents, dtype, shape, order = node.arguments
        return self._filled(self.dtype(dtype), shape, contents, order)

    def scalar(self, node: Construction) -> Any:
        """`scalar(dtype, contents)`."""
        dtype, contents = node.arguments
        return self._filled(self.dtype(dtype), (), contents, "C")[()]

    def _filled(self, dtype: np.dtype, shape: Any, contents: Any, order: Any) -> np.ndarray:
        count = _element_count(shape)
        self.charge(count * dtype.itemsize)
        if order not in ("C", "F"):
            raise PickleError("has an array in an unusual order")
        if isinstance(contents, Construction):
            contents = self.build(contents)
        if dtype.hasobject:
            if not isinstance(contents, list) or len(contents) != count:
                raise PickleError("has an array of objects that does not fill its shape")
            array = np.empty(count, dtype=object)
            for index, item in enumerate(contents):
                array[index] = self.build(item)
            return array.reshape(shape, order=order)
        raw = contents.encode("latin1") if isinstance(contents, str) else contents
        if not isinstance(raw, bytes) or len(raw) != count * dtype.itemsize:
            raise PickleError(f"has an array of shape {list(shape)} whose contents do not fill it")
        return np.frombuffer(raw, dtype).reshape(shape, order=order).copy(order=order)

    # scipy and chumpy

    def sparse(self, node: Construction) -> np.ndarray:
        """A scipy matrix in rows (csr), columns (csc) or coordinates (coo), made dense."""
        if not isinstance(node.state, dict):
            raise PickleError("has a sparse matrix without contents")
        state = {_text(key): self.build(value) for key, value in node.state.items()}
        shape = state["_shape"] if "_shape" in state else state["shape"]
        count = _element_count(shape)
        if len(shape) != 2:
            raise PickleError("has a sparse matrix that is not two-dimensional")
        values = _vector(state["data"], "biuf")
        self.charge(_BYTES_PER_ENTRY * len(values) + count * values.itemsize)
        if "indptr" in state:
            ends = _vector(state["indptr"], "iu")
            self.charge(_BYTES_PER_ENTRY * len(ends))
            ends = ends.astype(np.int64)
            counts = ends[1:] - ends[:-1]
            if counts.min(initial=0) < 0 or counts.max(initial=0) > len(values):
                raise PickleError(MISFIT)
            major, minor = np.repeat(np.arange(len(counts)), counts), _vector(state["indices"], "iu")
            row, column = (minor, major) if "_csc." in node.factory.name else (major, minor)
        else:
            row, column = state["coords"] if "coords" in state else (state["row"], state["col"])
            row, column = _vector(row, "iu"), _vector(column, "iu")
        if not len(row) == len(column) == len(values) or min(row.min(initial=0), column.min(initial=0)) < 0:
            raise PickleError(MISFIT)
        dense = np.zeros(shape, dtype=values.dtype)
        np.add.at(dense, (row, column), values)
        return dense

    def chumpy(self, node: Construction) -> np.ndarray | ChumpyExpression:
        """The stored values `x`, or the entries of another expression that a selection picked."""
        state = {_text(key): value for key, value in node.state.items()} if isinstance(node.state, dict) else {}
        if "x" in state:
            return self.build(state["x"])
        if "a" in state and "idxs" in state:
            source, picked = self.build(state["a"]), self.build(state["idxs"])
            if isinstance(source, np.ndarray) and isinstance(picked, np.ndarray) and picked.dtype.kind in "iu":
                self.charge(picked.size * source.itemsize)
                chosen = source.ravel()[picked]
                shape = self.build(state.get("preferred_shape"))
                return chosen if shape is None else chosen.reshape(shape)
        return ChumpyExpression(node.factory.name)

    # torch

    def tensor(self, node: Construction) -> np.ndarray:
        """`_rebuild_tensor(storage, offset, size, stride, ...)`."""
        storage, offset, size, stride = node.arguments[:4]
        numbers = self._storage_numbers(storage)
        count = _element_count(size)
        self.charge(count * numbers.itemsize)
        steps = [_whole(step) for step in stride]
        if len(steps) != len(size) or min(steps, default=0) < 0 or _whole(offset) < 0:
            raise PickleError("has a tensor of an impossible layout")
        last = offset + sum((length - 1) * step for length, step in zip(size, steps, strict=True))
        if count and last >= len(numbers):
            raise PickleError("has a tensor that reaches beyond its numbers")
        if not count:
            return np.zeros(size, dtype=numbers.dtype)
        strides = [step * numbers.itemsize for step in steps]
        return np.lib.stride_tricks.as_strided(numbers[offset:], size, strides, writeable=False).copy()

    def _storage_numbers(self, storage: Any) -> np.ndarray:
        if isinstance(storage, Persistent) and self._storage is not None and isinstance(storage.identity, tuple):
            return self._storage(storage.identity)
        if isinstance(storage, Construction) and storage.factory.name == "torch.storage._load_from_bytes":
            return self.build(storage)
        raise PickleError("has a tensor without numbers")

    def storage_in_bytes(self, node: Construction) -> np.ndarray:
        """`_load_from_bytes(bytes)`: a storage that torch saved inside a pickle of something else."""
        raw = self.build(node.arguments[0])
        if not isinstance(raw, bytes):
            raise PickleError("has a tensor without numbers")
        self.charge(len(raw))
        return legacy_storage(raw)

    def first_argument(self, node: Construction) -> Any:
        """What a torch parameter or size wraps."""
        return self.build(node.arguments[0])


def _whole(value: Any) -> int:
    """A whole number; raises PickleError for anything else."""
    if not isinstance(value, int):
        raise PickleError("has something else where a whole number should be")
    return value


def _element_count(shape: Any) -> int:
    if not isinstance(shape, tuple | list) or any(_whole(length) < 0 for length in shape):
        raise PickleError("has an array of an impossible shape")
    if (
        max(shape, default=0) > MAX_BYTES or len(shape) > MAX_DIMENSIONS
    ):  # an empty one may have any length beside the 0
        raise PickleError("has an array of an impossible shape")
    return math.prod(shape)


def _vector(value: Any, kinds: str) -> np.ndarray:
    if not isinstance(value, np.ndarray) or value.ndim != 1 or value.dtype.kind not in kinds:
        raise PickleError(MISFIT)
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str | bytes):
        raise PickleError("has something else where text should be")
    return value.decode("latin1") if isinstance(value, bytes) else value


_FACTORIES: dict[str, Callable[[_Builder, Construction], Any]] = {
    "builtins.set": _Builder.as_list,
    "builtins.frozenset": _Builder.as_list,
    "builtins.bytes": _Builder.empty_bytes,
    "_codecs.encode": _Builder.encoded,
    "collections.OrderedDict": _Builder.ordered_dict,
    "copyreg._reconstructor": _Builder.reconstructor,
    "numpy.dtype": _Builder.dtype,
    "numpy._core.multiarray._reconstruct": _Builder.array,
    "numpy._core.multiarray.scalar": _Builder.scalar,
    "numpy._core.numeric._frombuffer": _Builder.from_buffer,
    **{
        f"scipy.sparse._{kind}.{kind}_{what}": _Builder.sparse
        for kind in ("csc", "csr", "coo")
        for what in ("matrix", "array")
    },
    "torch._utils._rebuild_tensor": _Builder.tensor,
    "torch._utils._rebuild_tensor_v2": _Builder.tensor,
    "torch._utils._rebuild_parameter": _Builder.first_argument,
    "torch.Size": _Builder.first_argument,
    "torch.storage._load_from_bytes": _Builder.storage_in_bytes,
}
"""The globals a file may call, and what is done instead of calling them."""

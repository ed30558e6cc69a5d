"""The globals that a pickle may name, a closed list; nothing is imported on the word of a file."""

import re
from typing import Any

import numpy as np

from .pickle_nodes import PickleError, Symbol

MAX_SHOWN = 80

_RENAMED_MODULES = {
    "__builtin__.": "builtins.",
    "copy_reg.": "copyreg.",
    "numpy.core.": "numpy._core.",
    "scipy.sparse.csc.": "scipy.sparse._csc.",
    "scipy.sparse.csr.": "scipy.sparse._csr.",
    "scipy.sparse.coo.": "scipy.sparse._coo.",
}
CHUMPY = re.compile(r"chumpy(\.\w+)+")
_TORCH_STORAGES = {
    "torch.DoubleStorage": "<f8",
    "torch.FloatStorage": "<f4",
    "torch.HalfStorage": "<f2",
    "torch.LongStorage": "<i8",
    "torch.IntStorage": "<i4",
    "torch.ShortStorage": "<i2",
    "torch.CharStorage": "|i1",
    "torch.ByteStorage": "|u1",
    "torch.BoolStorage": "|b1",
}
CALLABLE = frozenset(
    {
        "builtins.set",
        "builtins.frozenset",
        "builtins.bytes",
        "_codecs.encode",
        "collections.OrderedDict",
        "copyreg._reconstructor",
        "numpy.dtype",
        "numpy._core.multiarray._reconstruct",
        "numpy._core.multiarray.scalar",
        "numpy._core.numeric._frombuffer",
        *(f"scipy.sparse._{kind}.{kind}_{what}" for kind in ("csc", "csr", "coo") for what in ("matrix", "array")),
        "torch._utils._rebuild_tensor",
        "torch._utils._rebuild_tensor_v2",
        "torch._utils._rebuild_parameter",
        "torch.Size",
        "torch.storage._load_from_bytes",
    }
)
"""Globals that may be called; `pickle_values` says what is done instead of calling them."""
_NAMES_ONLY = frozenset({"builtins.object", "numpy.ndarray", *_TORCH_STORAGES})
"""Globals that may be mentioned, as arguments of others, but not called."""


def canonical_name(name: str) -> str:
    """The present name of an allowed global; raises PickleError for every other."""
    for old, new in _RENAMED_MODULES.items():
        if name.startswith(old):
            name = new + name.removeprefix(old)
    if name not in CALLABLE and name not in _NAMES_ONLY and not CHUMPY.fullmatch(name):
        raise PickleError(f"asks for '{shown(name)}', which is not among the few things such a file needs")
    return name


def storage_dtype(symbol: Any) -> np.dtype:
    """The number type of a torch storage class."""
    if not isinstance(symbol, Symbol) or symbol.name not in _TORCH_STORAGES:
        raise PickleError("has a tensor of an unusual number type")
    return np.dtype(_TORCH_STORAGES[symbol.name])


def shown(name: str) -> str:
    """Text from the file as part of a message: short, on one line, without anything a terminal would obey."""
    return re.sub(r"[^\w.,]", "?", name[:MAX_SHOWN], flags=re.ASCII)

"""Named tensors in one .safetensors file: the one way to write and to read them."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from .errors import InputError
from .files import atomic_path, check_regular

_META = "rgb"


def write_tensors(path: Path, tensors: dict[str, torch.Tensor], meta: Any = None) -> None:
    """Write tensors atomically; `meta` is kept beside them as JSON.

    Raises:
        InputError: when the file cannot be written, as on a full disk.
    """
    contents = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    # Not by the library's own writing to files, which leaves a temporary file of its own behind when it is killed.
    data = save(contents, None if meta is None else {_META: json.dumps(meta)})
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def read_tensors(path: Path, advice: str) -> tuple[dict[str, torch.Tensor], Any]:
    """The tensors of a file and their `meta`; None where it has none.

    Args:
        advice: what to do about a file that cannot be read; the end of the message.

    Raises:
        InputError: when the file is missing, damaged or no .safetensors file.
    """
    check_regular(path)
    try:
        with safe_open(path, framework="pt") as file:
            names = file.keys()
            meta = (file.metadata() or {}).get(_META)
            tensors = {name: file.get_tensor(name) for name in names}
            return tensors, None if meta is None else json.loads(meta)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise InputError(f"cannot read {path}: {error}; {advice}") from error

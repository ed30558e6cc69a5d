"""Checkpoints of a fit: tensors and step in one file, written atomically, read without pickle."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from ..errors import InputError
from ..files import atomic_path

FILE = "checkpoint.safetensors"

Checkpoint = tuple[dict[str, torch.Tensor], dict[str, Any]]


def save_checkpoint(folder: Path, tensors: dict[str, torch.Tensor], meta: dict[str, Any]) -> None:
    """Write one file with the tensors and JSON `meta`; the previous checkpoint stays until this one is whole."""
    with atomic_path(Path(folder) / FILE) as temporary:
        save_file({k: v.detach().contiguous() for k, v in tensors.items()}, temporary, {"rgb": json.dumps(meta)})


def load_checkpoint(folder: Path) -> Checkpoint | None:
    """Tensors and meta of the folder's checkpoint; None where it has none.

    Raises:
        InputError: when the file cannot be read.
    """
    path = Path(folder) / FILE
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            names, meta = file.keys(), json.loads(file.metadata()["rgb"])
            if not isinstance(meta["step"], int):
                raise TypeError("its step is no number")
            return {name: file.get_tensor(name) for name in names}, meta
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise InputError(f"cannot read the checkpoint {path}: {error}; delete it to start again") from error


def remove_checkpoint(folder: Path) -> None:
    """Delete the folder's checkpoint: its fit is complete."""
    (Path(folder) / FILE).unlink(missing_ok=True)

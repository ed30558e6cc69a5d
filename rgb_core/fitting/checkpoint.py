"""Checkpoints of a fit: tensors and step in one file, written atomically, read without pickle."""

from pathlib import Path
from typing import Any

import torch

from ..errors import InputError
from ..tensor_files import read_tensors, write_tensors

FILE = "checkpoint.safetensors"
_ADVICE = "delete it to start again"

Checkpoint = tuple[dict[str, torch.Tensor], dict[str, Any]]


def save_checkpoint(folder: Path, tensors: dict[str, torch.Tensor], meta: dict[str, Any]) -> None:
    """Write one file with the tensors and JSON `meta`; the previous checkpoint stays until this one is whole."""
    write_tensors(Path(folder) / FILE, tensors, meta)


def load_checkpoint(folder: Path) -> Checkpoint | None:
    """Tensors and meta of the folder's checkpoint; None where it has none.

    Raises:
        InputError: when the file cannot be read.
    """
    path = Path(folder) / FILE
    if not path.exists():
        return None
    tensors, meta = read_tensors(path, _ADVICE)
    if not isinstance(meta, dict) or not isinstance(meta.get("step"), int):
        raise InputError(f"{path} is no checkpoint of a fit; {_ADVICE}")
    return tensors, meta


def remove_checkpoint(folder: Path) -> None:
    """Delete the folder's checkpoint: its fit is complete."""
    (Path(folder) / FILE).unlink(missing_ok=True)

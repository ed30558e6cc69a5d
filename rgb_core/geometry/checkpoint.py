"""Checkpoints of the geometry fit: tensors and JSON in one file, written atomically, read without pickle."""

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..errors import InputError
from ..files import atomic_path

FILE = "checkpoint.safetensors"


def save_checkpoint(folder: Path, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
    """Replace the folder's checkpoint; the previous one stays until this one is whole."""
    with atomic_path(folder / FILE) as temporary:
        save_file({key: value.contiguous() for key, value in tensors.items()}, temporary, {"rgb": json.dumps(meta)})


def load_checkpoint(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Tensors and meta of the folder's checkpoint; None where there is none.

    Raises:
        InputError: when the file cannot be read.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}, json.loads(file.metadata()["rgb"])  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"cannot read the checkpoint {path} ({error}); delete it to start again") from error


def remove_checkpoint(folder: Path) -> None:
    """Delete the folder's checkpoint: its fit is complete."""
    (folder / FILE).unlink(missing_ok=True)

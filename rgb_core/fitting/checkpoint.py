"""Checkpoints of a fit: tensors and step in one file, written atomically, read without pickle."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from ..data import Frame
from ..errors import InputError
from ..files import atomic_path
from ..heads import HeadModel

FILE = "checkpoint.safetensors"

Checkpoint = tuple[dict[str, torch.Tensor], dict[str, Any]]


def fingerprint(frames: Sequence[Frame], head: HeadModel, settings: dict[str, Any]) -> str:
    """What a checkpoint must agree on to be continued: the training frames, the mesh and the settings."""
    mesh = hashlib.sha256(head.vertices.contiguous().numpy().tobytes()).hexdigest()
    poses = [[f.id, *(values.tolist() for values in f.pose.tensors)] for f in frames]
    record = json.dumps([mesh, poses, settings])
    return hashlib.sha256(record.encode()).hexdigest()


def resume(folder: Path, finished: str, identity: str) -> Checkpoint | None:
    """The checkpoint that a run with the fingerprint `identity` continues in `folder`; None where it starts afresh.

    Args:
        finished: the file that a finished run leaves.

    Raises:
        InputError: when the folder holds a finished run, or an unfinished one of other data or settings.
    """
    if (Path(folder) / finished).is_file():
        raise InputError(f"{folder} holds a finished fit ({finished}); choose another folder, or delete it")
    checkpoint = load_checkpoint(folder)
    if checkpoint is not None and checkpoint[1].get("fingerprint") != identity:
        raise InputError(
            f"{folder} holds an unfinished fit of other data or settings; finish that one, or choose another folder"
        )
    return checkpoint


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
            names = file.keys()
            return {name: file.get_tensor(name) for name in names}, json.loads(file.metadata()["rgb"])
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise InputError(f"cannot read the checkpoint {path}: {error}; delete it to start again") from error


def remove_checkpoint(folder: Path) -> None:
    """Delete the folder's checkpoint: its fit is complete."""
    (Path(folder) / FILE).unlink(missing_ok=True)

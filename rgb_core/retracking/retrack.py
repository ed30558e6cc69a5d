"""`rgb retrack`: all frames of a clip tracked again with the avatar that was fitted to it, as a geometry folder."""

from pathlib import Path
from typing import Any

import torch

from ..avatar import Avatar
from ..avatar.storage import avatar_tensors
from ..data import Dataset
from ..devices import CPU
from ..errors import InputError
from ..fingerprints import fingerprint
from ..fitting.checkpoint import remove_checkpoint
from ..fitting.loop import run_fit
from ..geometry import Geometry, load_geometry
from ..geometry.result import save_geometry
from ..output_folder import OutputFolder
from ..progress import Progress
from ..tensors import to_device
from .config import RetrackingConfig
from .refine import Refinement


def retrack(
    avatar: Avatar,
    dataset: Dataset,
    config: RetrackingConfig,
    out: Path,
    progress: Progress,
    device: torch.device = CPU,
    geometry: Geometry | None = None,
    provenance: dict[str, Any] | None = None,
    force: bool = False,
) -> Geometry:
    """Refine pose, expression and jaw of the training and test frames, and write the geometry folder `out`.

    An interrupted run continues there; what a finished one of the same avatar, frames and settings wrote is returned.

    Args:
        avatar: fitted to this clip; only poses change.
        geometry: the tracking to start from, where it has frames; the dataset's own elsewhere.
        device: where to compute; the result is on the CPU.
        provenance: what geometry.yaml should remember.
        force: replace what a run of another avatar or other settings left in `out`.

    Raises:
        InputError: when avatar and dataset have different head models, or the folder cannot be used.
        DivergenceError: at a value that is not finite; the last checkpoint is kept.
    """
    if avatar.head.expression_names != dataset.head.expression_names:
        raise InputError(f"the avatar was fitted with another head model than that of {dataset.folder}")
    start = {} if geometry is None else geometry.tracking
    frames = Geometry(avatar.head, tracking=start).refined([*dataset.frames("train"), *dataset.frames("test")])
    identity = fingerprint(
        avatar=avatar_tensors(avatar),
        head=avatar.head.parts(),
        train=dataset.parts("train"),
        test=dataset.parts("test"),
        start={frame.id: frame.pose.tensors for frame in frames},
        focal_scale=avatar.focal_scale,
        settings=config.model_dump(),
    )
    with OutputFolder.claim(out, "geometry", identity, force) as folder:
        if folder.finished:
            progress.message(f"{out} holds the finished tracking of the same avatar and frames")
            return load_geometry(out)
        fit = Refinement(avatar, dataset, frames, config, progress, device)
        run_fit(fit, "tracking with the avatar", config.sweeps, config.checkpoint_every, out, progress)
        result = Geometry(to_device(avatar.head, CPU), avatar.focal_scale, fit.poses(), fit.moved())
        save_geometry(result, out, provenance or {})
        remove_checkpoint(out)
        folder.finish()
    return result

"""All stages in one folder, each skipped where an earlier run finished it."""

from dataclasses import dataclass
from pathlib import Path

import torch

from .avatar import Avatar
from .data import Dataset
from .devices import CPU
from .geometry import fit_geometry
from .heads import HeadModel
from .presets import Preset
from .progress import Progress
from .synthetic import synthesize
from .tracking import TrackingOptions, track
from .training import fit_gaussians


@dataclass(frozen=True)
class Fitted:
    """A dataset and the avatar fitted to it."""

    dataset: Dataset
    avatar: Avatar


def synthesize_and_fit(
    out: Path, preset: Preset, progress: Progress, seed: int, device: torch.device = CPU, force: bool = False
) -> Fitted:
    """A synthetic subject in out/dataset, its mesh in out/geometry and its avatar in out/avatar.

    Raises:
        InputError: when one of the folders holds the work of other settings and `force` does not replace it.
    """
    dataset = synthesize(out / "dataset", preset.synthetic, progress, seed, force)
    return fit(dataset, out, preset, progress, seed, device, force)


def track_and_fit(
    video: Path,
    out: Path,
    head: HeadModel,
    options: TrackingOptions,
    preset: Preset,
    progress: Progress,
    seed: int,
    device: torch.device = CPU,
    force: bool = False,
) -> Fitted:
    """A video's dataset in out/dataset, its mesh in out/geometry and its avatar in out/avatar.

    Raises:
        InputError: when the video cannot be tracked, or one of the folders holds the work of other settings and `force`
            does not replace it.
    """
    dataset = track(video, out / "dataset", head, progress, options, force=force).dataset
    return fit(dataset, out, preset, progress, seed, device, force)


def fit(
    dataset: Dataset,
    out: Path,
    preset: Preset,
    progress: Progress,
    seed: int,
    device: torch.device = CPU,
    force: bool = False,
) -> Fitted:
    """Both fits of a dataset: its mesh in out/geometry and its avatar in out/avatar."""
    geometry = fit_geometry(dataset, preset.geometry, out / "geometry", progress, seed, device, force=force)
    provenance = {"dataset": str(dataset.folder), "preset": preset.model_dump(mode="json"), "seed": seed}
    avatar = fit_gaussians(
        dataset,
        geometry,
        preset.gaussians,
        out / "avatar",
        progress,
        seed,
        provenance=provenance,
        device=device,
        force=force,
    )
    return Fitted(dataset, avatar)

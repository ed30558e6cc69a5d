"""All stages in one folder, each skipped where an earlier run finished it."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch

from .avatar import Avatar, load_avatar
from .avatar.storage import DESCRIPTION
from .data import Dataset, load_dataset
from .data.dataset import FILE_NAME
from .devices import CPU
from .errors import InputError
from .files import write_text
from .geometry import fit_geometry, load_geometry
from .geometry.result import RECORD_FILE
from .heads import HeadModel
from .presets import Preset
from .progress import Progress
from .synthetic import synthesize
from .tracking import TrackingOptions, open_video, track
from .training import fit_gaussians

_SETTINGS = "settings.sha256"


@dataclass(frozen=True)
class Fitted:
    """A dataset and the avatar fitted to it."""

    dataset: Dataset
    avatar: Avatar


def synthesize_and_fit(out: Path, preset: Preset, progress: Progress, seed: int, device: torch.device = CPU) -> Fitted:
    """A synthetic subject in out/dataset, its mesh in out/geometry and its avatar in out/avatar.

    Raises:
        InputError: when `out` holds the work of other settings.
    """
    _claim(out, preset, seed)
    if not (out / "dataset" / FILE_NAME).is_file():
        synthesize(out / "dataset", preset.synthetic, progress, seed)
    return fit(load_dataset(out / "dataset"), out, preset, progress, seed, device)


def track_and_fit(
    video: Path,
    out: Path,
    head: HeadModel,
    options: TrackingOptions,
    preset: Preset,
    progress: Progress,
    seed: int,
    device: torch.device = CPU,
) -> Fitted:
    """A video's dataset in out/dataset, its mesh in out/geometry and its avatar in out/avatar.

    Raises:
        InputError: when the video cannot be tracked, or `out` holds the work of other settings.
    """
    open_video(video)
    _claim(out, preset, seed, f"{Path(video).resolve()} {head.name} {options}")
    if not (out / "dataset" / FILE_NAME).is_file():
        track(video, out / "dataset", head, progress, options)
    return fit(load_dataset(out / "dataset"), out, preset, progress, seed, device)


def fit(
    dataset: Dataset, out: Path, preset: Preset, progress: Progress, seed: int, device: torch.device = CPU
) -> Fitted:
    """Both fits of a dataset: its mesh in out/geometry and its avatar in out/avatar."""
    if (out / "geometry" / RECORD_FILE).is_file():
        geometry = load_geometry(out / "geometry")
    else:
        geometry = fit_geometry(dataset, preset.geometry, out / "geometry", progress, seed, device)
    if (out / "avatar" / DESCRIPTION).is_file():
        return Fitted(dataset, load_avatar(out / "avatar"))
    provenance = {"dataset": str(dataset.folder), "preset": preset.model_dump(mode="json"), "seed": seed}
    avatar = fit_gaussians(
        dataset, geometry, preset.gaussians, out / "avatar", progress, seed, provenance=provenance, device=device
    )
    return Fitted(dataset, avatar)


def _claim(out: Path, preset: Preset, seed: int, source: str = "") -> None:
    """Mark `out` as the folder of these settings, and of what is fitted where that is not made from them."""
    settings = hashlib.sha256(f"{preset.model_dump_json()} {seed} {source}".rstrip().encode()).hexdigest()
    path = out / _SETTINGS
    if path.is_file() and path.read_text(encoding="utf-8") != settings:
        raise InputError(f"{out} holds a run with other settings or another seed; choose another folder, or delete it")
    if not path.is_file() and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} is not empty and was not written by this command; choose another folder")
    write_text(path, settings)

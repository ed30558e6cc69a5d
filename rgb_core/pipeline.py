"""All stages in one folder, each skipped where an earlier run finished it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from .avatar import Avatar
from .avatar.storage import read_provenance
from .data import Dataset
from .devices import CPU, start_kernels
from .evaluation import EvaluationOptions, evaluate, level_line
from .exporting.web import write_page
from .filming import Film, Staging, write_film
from .fingerprints import files_in
from .geometry import Geometry, fit_geometry, load_geometry
from .heads import Pose
from .presets import Preset
from .progress import Progress
from .rendering import Renderer, turntable
from .retracking import retrack
from .scene import Light
from .synthetic import synthesize
from .training import GaussianConfig, fit_gaussians

DATASET, GEOMETRY, AVATAR, REPORT, FILM, PAGE = "dataset", "geometry", "avatar", "report", "relit", "head.html"
"""What the folder of a subject holds."""
FIRST_AVATAR, TRACKING = "first_avatar", "tracking"
"""What it holds beside where the preset has the clip tracked again."""
_LIGHT, _FRAMES, _FPS = "sunset", 48, 24.0  # of the film


@dataclass(frozen=True)
class Fitted:
    """A dataset and the avatar fitted to it."""

    dataset: Dataset
    avatar: Avatar
    tracking: Mapping[str, Pose]
    """Poses of frames, training and test, that an avatar found; of none where the clip was tracked once."""


def synthesize_and_fit(
    out: Path, preset: Preset, progress: Progress, seed: int, device: torch.device = CPU, force: bool = False
) -> Fitted:
    """A synthetic subject in out/dataset, its mesh in out/geometry and its avatar in out/avatar.

    Raises:
        InputError: when one of the folders holds the work of other settings and `force` does not replace it.
    """
    start_kernels(device)
    dataset = synthesize(out / DATASET, preset.synthetic, progress, seed, force)
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
    geometry = fit_geometry(dataset, preset.geometry, out / GEOMETRY, progress, seed, device, force=force)
    avatar = fit_avatar(dataset, geometry, out, preset, progress, seed, device, force)
    return Fitted(dataset, avatar, tracked_again(dataset, out, preset))


def fit_avatar(
    dataset: Dataset,
    geometry: Geometry,
    out: Path,
    preset: Preset,
    progress: Progress,
    seed: int,
    device: torch.device = CPU,
    force: bool = False,
) -> Avatar:
    """The avatar of a dataset on its mesh, in out/avatar.

    A first avatar (out/first_avatar) tracks a video's clip again (out/tracking) where the preset says so, and stage 2
    goes on from it with what it found.
    """
    provenance = {"dataset": str(dataset.folder), "preset": preset.model_dump(mode="json"), "seed": seed}

    def stage_2(geometry: Geometry, config: GaussianConfig, name: str, start: Avatar | None = None) -> Avatar:
        return fit_gaussians(
            dataset, geometry, config, out / name, progress, seed, True, provenance, device, force=force, start=start
        )

    if not _tracks_again(dataset, preset):
        return stage_2(geometry, preset.gaussians, AVATAR)
    first = stage_2(geometry, preset.gaussians, FIRST_AVATAR)
    again = preset.retracking
    tracked = retrack(first, dataset, again, out / TRACKING, progress, device, geometry, provenance, force)
    return stage_2(tracked, preset.further_gaussians, AVATAR, first)


def tracked_again(dataset: Dataset, out: Path, preset: Preset) -> Mapping[str, Pose]:
    """Poses by frame id that `fit_avatar` left in out/tracking; none where the clip is tracked once."""
    return load_geometry(out / TRACKING).tracking if _tracks_again(dataset, preset) else {}


def _tracks_again(dataset: Dataset, preset: Preset) -> bool:
    """Only what `rgb track` made of a video: poses that came with a clip may be known better than pictures tell."""
    return preset.retracking.rounds > 0 and "video" in (dataset.extra.get("source") or {})


@dataclass(frozen=True)
class Shown:
    """What there is to look at of an avatar."""

    metrics: dict[str, Any]
    """The record of metrics.json."""
    report: Path
    page: Path
    video: Path


def show(fitted: Fitted, out: Path, progress: Progress, device: torch.device = CPU, force: bool = False) -> Shown:
    """The head turning under a turning light in out/relit, the page out/head.html, scores and report in out/report."""
    renderer = Renderer(fitted.avatar.to(device))
    video, head = film(renderer, out, progress, force=force), page(fitted.avatar, out, progress)
    links = {"The head, to turn, move and relight": head, "Film: turning in a turning light": video}
    metrics = score(fitted.dataset, renderer, out, progress, links, force, tracking=fitted.tracking)
    return Shown(metrics, out / REPORT / "report.html", head, video)


def score(
    dataset: Dataset,
    renderer: Renderer,
    out: Path,
    progress: Progress,
    links: Mapping[str, Path] | None = None,
    force: bool = False,
    size: int | None = None,
    tracking: Mapping[str, Pose] | None = None,
) -> dict[str, Any]:
    """Scores and report of out/avatar in out/report, with `links` on top; returns the record of metrics.json.

    Args:
        size: pixels of the longer side to score at; None is as filmed.
        tracking: poses by frame id in place of the dataset's.
    """
    options = EvaluationOptions(
        size,
        tracking=tracking or {},
        provenance=level_line(read_provenance(out / AVATAR)),
        drawn=files_in(out / AVATAR),
        force=force,
        links=links or {},
    )
    return evaluate(dataset, renderer, out / REPORT, progress, options)


def film(renderer: Renderer, out: Path, progress: Progress, light: str = _LIGHT, force: bool = False) -> Path:
    """The film of the head of out/avatar turning under a light that turns, in out/relit."""
    turning = Film(turntable(renderer.avatar, _FRAMES), _FPS, Staging((Light.load(light),), turns=1.0))
    (video,) = write_film(turning, renderer, out / FILM, files_in(out / AVATAR), progress, force).videos
    return video


def page(avatar: Avatar, out: Path, progress: Progress) -> Path:
    """The page out/head.html."""
    progress.start("writing the page", 1)
    write_page(avatar, out / PAGE)
    progress.advance()
    return out / PAGE

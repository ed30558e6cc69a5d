"""All stages in one folder, each skipped where an earlier run finished it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from .avatar import Avatar
from .data import Dataset
from .devices import CPU
from .evaluation import EvaluationOptions, evaluate
from .exporting.web import write_page
from .filming import Film, Staging, write_film
from .fingerprints import files_in
from .geometry import Geometry, fit_geometry
from .presets import Preset
from .progress import Progress
from .rendering import Renderer, turntable
from .scene import Light
from .synthetic import synthesize
from .training import fit_gaussians

DATASET, GEOMETRY, AVATAR, REPORT, FILM, PAGE = "dataset", "geometry", "avatar", "report", "relit", "head.html"
"""What the folder of a subject holds."""
_LIGHT, _FRAMES, _FPS = "sunset", 48, 24.0  # of the film


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
    return Fitted(dataset, fit_avatar(dataset, geometry, out, preset, progress, seed, device, force))


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
    """The avatar of a dataset on its mesh, in out/avatar."""
    provenance = {"dataset": str(dataset.folder), "preset": preset.model_dump(mode="json"), "seed": seed}
    return fit_gaussians(
        dataset,
        geometry,
        preset.gaussians,
        out / AVATAR,
        progress,
        seed,
        provenance=provenance,
        device=device,
        force=force,
    )


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
    metrics = score(fitted.dataset, renderer, out, progress, links, force)
    return Shown(metrics, out / REPORT / "report.html", head, video)


def score(
    dataset: Dataset,
    renderer: Renderer,
    out: Path,
    progress: Progress,
    links: Mapping[str, Path] | None = None,
    force: bool = False,
    size: int | None = None,
) -> dict[str, Any]:
    """Scores and report of out/avatar in out/report, with `links` on top; returns the record of metrics.json.

    Args:
        size: pixels of the longer side to score at; None is as filmed.
    """
    options = EvaluationOptions(size, drawn=files_in(out / AVATAR), force=force, links=links or {})
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

"""All stages in one folder, each skipped where an earlier run finished it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from .avatar import Avatar
from .data import Dataset
from .devices import CPU
from .evaluation import EvaluationOptions, evaluate
from .exporting.sequence import write_sequence
from .exporting.web import write_page
from .fingerprints import files_in
from .geometry import fit_geometry
from .presets import Preset
from .progress import Progress
from .rendering import Renderer, Staging, turntable
from .scene import Light
from .synthetic import synthesize
from .training import fit_gaussians

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
    dataset = synthesize(out / "dataset", preset.synthetic, progress, seed, force)
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
    renderer, drawn = Renderer(fitted.avatar.to(device)), files_in(out / "avatar")
    staging, shots = Staging(Light.load(_LIGHT), turns=1.0), turntable(fitted.avatar, _FRAMES)
    film = write_sequence(renderer, shots, staging, out / "relit", _FPS, progress, drawn, force)
    progress.start("writing the page", 1)
    page = out / "head.html"
    write_page(fitted.avatar, page)
    progress.advance()
    links = {"The head, to turn, move and relight": page, "Film: turning in a turning light": film.video}
    options = EvaluationOptions(drawn=drawn, force=force, links=links)
    metrics = evaluate(fitted.dataset, renderer, out / "report", progress, options)
    return Shown(metrics, out / "report" / "report.html", page, film.video)

"""`evaluate`: an avatar on the test frames of a dataset, to metrics.json and a report."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from .. import __version__
from ..data import Dataset, Frame
from ..data.records import read_json
from ..devices import device_name
from ..errors import InputError
from ..files import write_text
from ..fingerprints import files_in, fingerprint
from ..heads import Pose
from ..output_folder import OutputFolder
from ..progress import Progress, Silent
from .choice import distinct_frames
from .lpips import Lpips
from .measure import FrameMeasurer, Measurements
from .protocol import Scored
from .records import metrics_record
from .report import write_report
from .sections import build_sections
from .truth import Truth, find_truth

METRICS = "metrics.json"
_SHOWN_FRAMES = 4  # test frames pictured in the report
_SHOWN_TRUTH_FRAMES = 2  # of which this many have ground truth, where any has


Refine = Callable[[Sequence[Frame]], Mapping[str, Pose]]
"""From test frames to refined poses by frame id."""


@dataclass(frozen=True)
class EvaluationOptions:
    """Choices of one evaluation."""

    size: int | None = None
    """Pixels of the longer side to evaluate at; None for the dataset's own."""
    lpips_weights: Path | None = None
    """Weights file of LPIPS (see `lpips`); without it the score is null."""
    tracking: Mapping[str, Pose] = field(default_factory=dict)
    """Poses by frame id in place of the dataset's, as a geometry folder has them."""
    refine: Refine | None = None
    """Finds poses from the test pictures themselves; scores with them are reported beside the others."""
    provenance: Mapping[str, str] = field(default_factory=dict)
    """What else the report should say about the run, by name."""
    drawn: Any = None
    """What the renderer draws, for `fingerprints.fingerprint` (the avatar's files, whether it has shadows): a finished
    report of the same is not made again. None makes it anew in any case."""
    force: bool = False
    """Replace the report of another avatar, dataset or size."""
    links: Mapping[str, Path] = field(default_factory=dict)
    """Files that the report links to, by the words of the link, where they exist."""


@torch.no_grad()
def evaluate(
    dataset: Dataset,
    renderer: Scored,
    out: Path,
    progress: Progress | None = None,
    options: EvaluationOptions | None = None,
) -> dict[str, Any]:
    """Score the test split and write metrics.json, report.html, contact_sheet.png and pictures/ into `out`.

    Returns:
        The record of metrics.json (docs/formats.md); a score without ground truth or weights is None.

    Raises:
        InputError: when there are no test frames, a file is damaged, `size` exceeds the images, or `out` is read-only.
    """
    options, progress = options or EvaluationOptions(), progress or Silent()
    frames = dataset.frames("test")
    if not frames:
        raise InputError(f"{dataset.folder} has no test frames to evaluate; name some in splits.test of dataset.json")
    size = _picture_size(dataset, options.size)
    dataset.camera(frames[0], size)  # refuses a size that the images do not have
    truth = find_truth(dataset, frames)
    lpips = Lpips(options.lpips_weights) if options.lpips_weights else None
    identity = fingerprint(
        dataset=dataset.parts("test"),
        truth=files_in(truth.files.folder),
        drawn=options.drawn,
        tracking={frame_id: pose.tensors for frame_id, pose in options.tracking.items()},
        options=[size, options.lpips_weights, dict(options.provenance), options.refine is not None],
    )
    with OutputFolder.claim(out, "report", identity, options.force or options.drawn is None) as folder:
        if folder.finished and options.drawn is not None:
            progress.message(f"{out} holds the finished report of the same avatar and dataset")
            return read_json(folder.path / METRICS)
        metrics = _evaluate(dataset, renderer, folder.path, progress, options, truth, lpips, size)
        folder.finish()
    return metrics


def _evaluate(
    dataset: Dataset, renderer: Scored, out: Path, progress: Progress, options: EvaluationOptions, truth: Truth,
    lpips: Lpips | None, size: tuple[int, int] | None,
) -> dict[str, Any]:  # fmt: skip
    frames = tuple(replace(frame, pose=options.tracking.get(frame.id, frame.pose)) for frame in dataset.frames("test"))
    measured = Measurements(show=_shown_ids(dataset, truth))
    measurer = FrameMeasurer(dataset, renderer, truth, size, lpips)
    progress.start("evaluate", len(frames) + sum(len(ids) for ids in truth.relit.values()))
    for frame in frames:
        progress.advance(psnr=measurer.reenact(frame, measured))
        for name in (name for name, ids in truth.relit.items() if frame.id in ids):
            measurer.relight(frame, name, measured)
            progress.advance()
    refined = options.refine(frames) if options.refine else {}
    for frame in (frame for frame in frames if frame.id in refined):
        measurer.reenact_refined(frame, refined[frame.id], measured)

    device = device_name(renderer.light.radiance.device)
    metrics = metrics_record(
        dataset, renderer, size or (dataset.width, dataset.height), measured, lpips, truth.light, device,
        _protocol(frames, options, renderer.light_rows),
    )  # fmt: skip
    sections = build_sections(measured, renderer.light, truth.light)
    write_report(out, metrics, sections, {**_provenance(dataset, metrics), **options.provenance}, options.links)
    write_text(out / METRICS, json.dumps(metrics, indent=1, allow_nan=False) + "\n")
    return metrics


def _protocol(frames: tuple[Frame, ...], options: EvaluationOptions, light_rows: int) -> dict[str, Any]:
    """Where the poses of test frames come from, and how finely other lights are drawn, so that scores are put beside
    those of the same kind alone."""
    given = sum(frame.id in options.tracking for frame in frames)
    return {
        "coefficients": "the geometry's" if given else "the dataset's",
        "refined": None if options.refine is None else "on each test picture, the avatar as it is",
        "light_rows": light_rows,
    }


def _picture_size(dataset: Dataset, longer_side: int | None) -> tuple[int, int] | None:
    """(width, height) with the dataset's proportions."""
    if longer_side is None:
        return None
    scale = longer_side / max(dataset.width, dataset.height)
    return round(dataset.width * scale), round(dataset.height * scale)


def _shown_ids(dataset: Dataset, truth: Truth) -> frozenset[str]:
    """Frames that look different, some of them with ground truth."""
    frames = dataset.frames("test")
    known = [frame for frame in frames if frame.id in truth.picture_ids]
    with_truth = distinct_frames(known, dataset.head, _SHOWN_TRUTH_FRAMES)
    others = [frame for frame in frames if frame not in with_truth]
    chosen = with_truth + distinct_frames(others, dataset.head, _SHOWN_FRAMES - len(with_truth), with_truth)
    return frozenset(frame.id for frame in chosen)


def _provenance(dataset: Dataset, metrics: Mapping[str, Any]) -> dict[str, str]:
    return {
        "avatar": f"{metrics['avatar']}, {metrics['gaussians']} Gaussians",
        "dataset": str(dataset.folder),
        "test frames": f"{metrics['frames']} of {metrics['size'][0]} x {metrics['size'][1]} pixels",
        "poses of the test frames": metrics["protocol"]["coefficients"],
        "rows of other lights": str(metrics["protocol"]["light_rows"]),
        "device": metrics["speed"]["device"],
        "versions": f"rgb-avatar {__version__}, torch {torch.__version__}",
    }

"""What can be said about a tracked clip without ground truth."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ..scene.labels import Label
from . import landmarks
from .picture.views import MeshView
from .solve.problem import consecutive

_BIN = 15.0  # degrees of a cell of the coverage of poses
_FACE_TOP = 1.05  # of the way from the chin to the brows: what counts as the face region


def face_overlap(view: MeshView, matte: Tensor, labels: Tensor) -> float:
    """Intersection over union of mesh and matte [H, W] between chin and brows, hair and torso left out by label."""
    face = (view.below < 0) & (view.below > -_FACE_TOP * view.height) & (labels != Label.HAIR) & (labels != Label.CLOTH)
    mesh, shown = (view.face_id >= 0) & face, (matte > 0.5) & face
    union = float((mesh | shown).sum())
    return float((mesh & shown).sum()) / union if union else math.nan


def landmark_errors(projected: Tensor, observed: Tensor, visible: Tensor) -> dict[str, dict[str, float]]:
    """Median and 95th percentile of distances in pixels [N, 478, 2] where `visible` [N, 478], by part and in all."""
    distance = (projected - observed).norm(dim=-1)
    everything = {**landmarks.part_indices(), "all": torch.arange(landmarks.COUNT)}
    report = {}
    for name, indices in everything.items():
        values = distance[:, indices][visible[:, indices]]
        if values.numel():
            quantiles = values.quantile(torch.tensor([0.5, 0.95], dtype=values.dtype))
            report[name] = {"median": float(quantiles[0]), "p95": float(quantiles[1])}
    return report


def jitter(skull: Tensor, position: Tensor, expression: Tensor, times: Tensor) -> dict[str, float]:
    """RMS second differences between consecutive frames: degrees, millimetres and coefficients per frame squared.

    Args:
        skull: [N, 3, 3] rotations. position: [N, 3] metres. times: [N] numbers of the frames.
    """
    first = consecutive(times)
    if not len(first):
        return {"rotation_deg": 0.0, "translation_mm": 0.0, "expression": 0.0}

    def bend(values: Tensor) -> Tensor:
        return values[first] - 2 * values[first + 1] + values[first + 2]

    forward, backward = skull[first + 2] @ skull[first + 1].mT, skull[first + 1] @ skull[first].mT
    change = (forward @ backward.mT).diagonal(dim1=1, dim2=2).sum(1)
    angle = ((change - 1) / 2).clamp(-1, 1).acos()
    return {
        "rotation_deg": math.degrees(float(angle.square().mean().sqrt())),
        "translation_mm": 1e3 * float(bend(position).square().sum(1).mean().sqrt()),
        "expression": float(bend(expression).square().mean().sqrt()),
    }


def coverage(skull: Tensor) -> dict[str, Any]:
    """Range of yaw, pitch and roll in degrees, and how many cells of yaw and pitch hold a frame."""
    forward, left = skull[:, :, 2], skull[:, :, 0]
    angles = {
        "yaw_deg": torch.atan2(forward[:, 0], forward[:, 2]),
        "pitch_deg": forward[:, 1].clamp(-1, 1).asin(),
        "roll_deg": left[:, 1].clamp(-1, 1).asin(),
    }
    degrees = {name: values.rad2deg() for name, values in angles.items()}
    ranges: dict[str, Any] = {name: [float(values.min()), float(values.max())] for name, values in degrees.items()}
    cells = (torch.stack([degrees["yaw_deg"], degrees["pitch_deg"]], 1) / _BIN).round()
    return {**ranges, f"cells_of_{_BIN:.0f}_deg": len(cells.unique(dim=0))}


def mouth_opens(expression: Tensor, names: Sequence[str]) -> float | None:
    """By how much of `jawOpen` the mouth opens over a clip [N, E]; None for a head model without that expression."""
    if "jawOpen" not in names:
        return None
    values = expression[:, list(names).index("jawOpen")]
    return float(values.max() - values.min())


def dropped(reasons: Mapping[int, str]) -> dict[str, Any]:
    """How many frames were left out, and which, by reason."""
    counts = Counter(reasons.values())
    return {
        reason: {"frames": count, "which": _ranges([number for number, why in reasons.items() if why == reason])}
        for reason, count in counts.items()
    }


def _ranges(numbers: list[int]) -> str:
    """`3-5, 9` of ascending numbers."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)

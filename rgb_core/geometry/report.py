"""What a fit can say about itself without ground truth."""

import torch
from torch import Tensor

from . import losses
from .evidence import Evidence
from .rendering import draw_frames
from .result import Geometry
from .surface import Surface

_CHUNK = 8  # frames drawn at a time


def measure(before: Geometry, after: Geometry, evidence: Evidence, surface: Surface) -> dict[str, float]:
    """Silhouette overlap of the training frames before and after, focal scale, size of the offsets in mm."""
    moved = 1e3 * (after.head.vertices - before.head.vertices).norm(dim=1)
    outer, hairy = surface.surface_regions()
    return {
        "silhouette_iou_before": _overlap(before, evidence),
        "silhouette_iou": _overlap(after, evidence),
        "focal_scale": after.focal_scale,
        "offset_skin_mean_mm": _mean(moved[outer & ~hairy]),
        "offset_hair_mean_mm": _mean(moved[outer & hairy]),
        "offset_max_mm": float(moved.max()),
    }


def _overlap(geometry: Geometry, evidence: Evidence) -> float:
    """Mean intersection over union of mesh and matte over all training frames."""
    values = []
    for rows in torch.arange(len(evidence)).split(_CHUNK):
        mask = draw_frames(geometry, evidence, rows).fragments.face_id >= 0
        values.append(losses.intersection_over_union(mask, evidence.batch(rows)))
    return float(torch.cat(values).mean())


def _mean(values: Tensor) -> float:
    return float(values.mean()) if values.numel() else 0.0

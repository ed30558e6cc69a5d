"""What a fit can say about itself without ground truth."""

import torch
from torch import Tensor

from . import losses
from .evidence import Evidence
from .rendering import FRAMES_AT_ONCE, draw_frames
from .result import Geometry
from .surface import Surface


def measure(before: Geometry, after: Geometry, evidence: Evidence, surface: Surface) -> dict[str, float]:
    """Silhouette overlap of the training frames before and after, focal scale, size of the offsets in mm.

    Both geometries are on the evidence's device.
    """
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


def photometric_error(
    geometry: Geometry, evidence: Evidence, log_albedo: Tensor, light: Tensor, light_frame: str
) -> float:
    """Mean absolute difference of sRGB (0 to 1) between the shaded mesh and the pictures, as the fit weighs pixels."""
    error, total = 0.0, 0.0
    for rows in _parts(evidence):
        view, batch = draw_frames(geometry, evidence, rows), evidence.batch(rows)
        weight = batch.colour_weight * view.facing()
        difference = (view.colour(view.normals(light_frame), log_albedo, light) - batch.colour).abs().mean(-1)
        error += float((weight * difference).sum())
        total += float(weight.sum())
    return error / total if total else 0.0


def _overlap(geometry: Geometry, evidence: Evidence) -> float:
    """Mean intersection over union of mesh and matte over all training frames."""
    values = []
    for rows in _parts(evidence):
        mask = draw_frames(geometry, evidence, rows).fragments.face_id >= 0
        values.append(losses.intersection_over_union(mask, evidence.batch(rows)))
    return float(torch.cat(values).mean())


def _parts(evidence: Evidence) -> tuple[Tensor, ...]:
    return torch.arange(len(evidence), device=evidence.device).split(FRAMES_AT_ONCE)


def _mean(values: Tensor) -> float:
    return float(values.mean()) if values.numel() else 0.0

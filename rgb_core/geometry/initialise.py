"""First guesses made from the pictures: focal length, frames to leave out, where hair may rise, albedo and light."""

import torch
from torch import Tensor

from ..heads import HeadModel
from ..heads.regions import Region
from ..images import srgb_to_linear
from .evidence import Evidence
from .losses import intersection_over_union
from .rendering import FRAMES_AT_ONCE, draw_frames
from .result import Geometry
from .shading import Samples, estimate, gather
from .smoothing import Smoother

_FOCAL_VIEWS = 8
_FOCAL_RATIO, _FOCAL_POWERS = 1.03, range(-12, 13)  # 0.70 to 1.43
# A head of another shape, or hair that the model lacks, looks like a focal length that is off by less than this.
_FOCAL_DOUBT, _FOCAL_DOUBT_UNLABELLED = 0.08, 0.15
_MISPLACED = 0.6  # share of the usual overlap of head and matte below which one of them is wrong
_VIEWS = 24  # frames, spread over the clip, that a first guess looks at
FILL_LENGTH = 0.01  # metres over which unseen vertices take their neighbours' albedo


def spread_rows(count: int, wanted: int) -> Tensor:
    """Up to `wanted` of `count` rows, evenly spread."""
    return torch.linspace(0, count - 1, min(wanted, count)).round().long().unique()


def focal_factor(head: HeadModel, evidence: Evidence) -> float:
    """The factor on the focal lengths with which the unfitted head covers the mattes best; 1 if that is within doubt.

    Pixels of hair are left out where they are labelled.
    """
    rows = spread_rows(len(evidence), _FOCAL_VIEWS).to(evidence.device)
    batch, hair = evidence.batch(rows), evidence.hair(rows)
    counted = batch.mask_weight > 0 if hair is None else (batch.mask_weight > 0) & (hair == 0)
    true = (batch.alpha > 0.5) & counted
    overlaps = []
    for power in _FOCAL_POWERS:
        drawn = (draw_frames(Geometry(head, _FOCAL_RATIO**power), evidence, rows).fragments.face_id >= 0) & counted
        overlaps.append(float(((drawn & true).sum((1, 2)) / (drawn | true).sum((1, 2)).clamp_min(1)).mean()))
    best = _FOCAL_RATIO ** (_FOCAL_POWERS[0] + _peak(overlaps))
    doubt = _FOCAL_DOUBT_UNLABELLED if hair is None else _FOCAL_DOUBT
    return best if abs(best - 1) > doubt else 1.0


def _peak(values: list[float]) -> float:
    """Where the parabola through the largest of evenly spaced values and its neighbours is highest."""
    place = min(max(values.index(max(values)), 1), len(values) - 2)
    before, here, after = values[place - 1 : place + 2]
    curvature = before - 2 * here + after
    return place + ((before - after) / (2 * curvature) if curvature else 0.0)


def misplaced(head: HeadModel, focal: float, evidence: Evidence) -> dict[str, str]:
    """Frames, with the reason, whose matte and unfitted head overlap far less than is usual in the clip."""
    overlaps = torch.cat(
        [
            intersection_over_union(
                draw_frames(Geometry(head, focal), evidence, rows).fragments.face_id >= 0, evidence.batch(rows)
            )
            for rows in torch.arange(len(evidence), device=evidence.device).split(FRAMES_AT_ONCE)
        ]
    ).cpu()
    found = torch.nonzero(overlaps < _MISPLACED * overlaps.median()).flatten().tolist()
    reason = "its matte and the tracked head lie {:.0f} % over one another"
    return {evidence.frames[row].id: reason.format(100 * overlaps[row]) for row in found}


def hair_membership(head: HeadModel, evidence: Evidence, focal: float) -> Tensor | None:
    """[V] 1 where labels show hair on the unfitted head, or where a scalp vertex is not seen; None without labels."""
    seen, hairy = torch.zeros(2, head.vertex_count, device=evidence.device)
    for row in spread_rows(len(evidence), _VIEWS).to(evidence.device):
        rows = row[None]
        labels = evidence.hair(rows)
        if labels is None:
            return None
        fragments = draw_frames(Geometry(head, focal), evidence, rows).fragments
        pixels = torch.stack([torch.ones_like(labels), labels], dim=-1)
        votes = gather(fragments, head.faces, head.vertex_count, pixels)
        seen += votes[:, 0]
        hairy += votes[:, 1]
    voted = (hairy / seen.clamp_min(1e-6) > 0.5).float()
    return torch.where(seen > 0, voted, (head.region == Region.SCALP).float())


def first_light(geometry: Geometry, evidence: Evidence, smoother: Smoother, light_frame: str) -> tuple[Tensor, Tensor]:
    """Log albedo [V,3] and light [9,3] that best explain a selection of frames; `smoother` fills what none shows."""
    faces, count = geometry.head.faces, geometry.head.vertex_count
    normals, weights, colours = [], [], []
    for row in spread_rows(len(evidence), _VIEWS).to(evidence.device):
        rows = row[None]
        view = draw_frames(geometry, evidence, rows)
        batch = evidence.batch(rows)
        weight = (batch.colour_weight * view.facing())[..., None]
        seen = gather(view.fragments, faces, count, torch.cat([weight, weight * srgb_to_linear(batch.colour)], dim=-1))
        normals.append(view.normals(light_frame)[0])
        weights.append(seen[:, 0])
        colours.append(seen[:, 1:])
    samples = Samples(torch.stack(normals), torch.stack(weights), torch.stack(colours))
    return estimate(samples, smoother)

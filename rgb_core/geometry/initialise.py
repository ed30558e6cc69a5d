"""First guesses made from the pictures: where hair may rise, albedo and light."""

import torch
from torch import Tensor

from ..heads import HeadModel
from ..images import srgb_to_linear
from .evidence import Evidence
from .parts import SCALP
from .rendering import draw_frames
from .result import Geometry
from .shading import Samples, estimate, gather
from .smoothing import Smoother
from .topology import Laplacian

_VIEWS = 24  # frames, spread over the clip, that a first guess looks at
_FILL_LENGTH = 0.01  # metres over which unseen vertices take their neighbours' albedo


def spread_rows(count: int, wanted: int) -> Tensor:
    """Up to `wanted` of `count` rows, evenly spread."""
    return torch.linspace(0, count - 1, min(wanted, count)).round().long().unique()


def hair_membership(head: HeadModel, evidence: Evidence) -> Tensor | None:
    """[V] 1 where labels show hair on the unfitted head, or where a scalp vertex is not seen; None without labels."""
    seen, hairy = torch.zeros(head.vertex_count), torch.zeros(head.vertex_count)
    for row in spread_rows(len(evidence), _VIEWS):
        rows = row[None]
        labels = evidence.hair(rows)
        if labels is None:
            return None
        fragments = draw_frames(Geometry(head), evidence, rows).fragments
        pixels = torch.stack([torch.ones_like(labels), labels], dim=-1)
        votes = gather(fragments, head.faces, head.vertex_count, pixels)
        seen += votes[:, 0]
        hairy += votes[:, 1]
    voted = (hairy / seen.clamp_min(1e-6) > 0.5).float()
    return torch.where(seen > 0, voted, (head.region == SCALP).float())


def first_light(
    geometry: Geometry, evidence: Evidence, laplacian: Laplacian, light_frame: str
) -> tuple[Tensor, Tensor]:
    """Log albedo [V,3] and light [9,3] that best explain a selection of frames."""
    faces, count = geometry.head.faces, geometry.head.vertex_count
    normals, weights, colours = [], [], []
    for row in spread_rows(len(evidence), _VIEWS):
        rows = row[None]
        view = draw_frames(geometry, evidence, rows)
        batch = evidence.batch(rows)
        weight = (batch.colour_weight * view.facing())[..., None]
        seen = gather(view.fragments, faces, count, torch.cat([weight, weight * srgb_to_linear(batch.colour)], dim=-1))
        normals.append(view.normals(light_frame)[0])
        weights.append(seen[:, 0])
        colours.append(seen[:, 1:])
    samples = Samples(torch.stack(normals), torch.stack(weights), torch.stack(colours))
    return estimate(samples, Smoother(laplacian, _FILL_LENGTH))

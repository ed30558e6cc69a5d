"""Closest points on triangles as barycentrics, and the nearest triangle among those around given vertices."""

import torch
from kernel_runtime import ArgumentError
from torch import Tensor

# Candidate triangles examined at once by nearest_triangles, about 200 MB of temporaries.
_BATCH = 1 << 20


def closest_barycentric(triangles: Tensor, points: Tensor) -> Tensor:
    """Barycentrics [..., 3] of the point of each triangle [..., 3, 3] (corner, axis) closest to `points` [..., 3].

    Differentiable. Outside, the closest point lies on the edge whose own closest point is nearest; a coordinate that is
    clamped at a corner has no gradient. Degenerate triangles count as their edges.
    """
    origin, edge_s, edge_t = triangles[..., 0, :], triangles[..., 1, :], triangles[..., 2, :]
    edge_s, edge_t = edge_s - origin, edge_t - origin
    offset = points - origin
    aa, ab, bb = _dot(edge_s, edge_s), _dot(edge_s, edge_t), _dot(edge_t, edge_t)
    pa, pb = _dot(edge_s, offset), _dot(edge_t, offset)
    area = aa * bb - ab * ab
    s, t = _ratio(bb * pa - ab * pb, area), _ratio(aa * pb - ab * pa, area)
    inside = (area > 0) & (s >= 0) & (t >= 0) & (s + t <= 1)

    on_s = _ratio(pa, aa).clamp(0, 1)
    on_t = _ratio(pb, bb).clamp(0, 1)
    across = _ratio(aa - ab - pa + pb, aa - 2 * ab + bb).clamp(0, 1)
    zero = torch.zeros_like(on_s)
    edges = torch.stack(
        (torch.stack((on_s, zero), -1), torch.stack((zero, on_t), -1), torch.stack((1 - across, across), -1)), -2
    )
    places = edges[..., :1] * edge_s.unsqueeze(-2) + edges[..., 1:] * edge_t.unsqueeze(-2)
    nearest = (places - offset.unsqueeze(-2)).square().sum(-1).argmin(-1)
    edge = edges.gather(-2, nearest[..., None, None].expand(*nearest.shape, 1, 2)).squeeze(-2)
    st = torch.where(inside.unsqueeze(-1), torch.stack((s, t), -1), edge)
    return torch.cat((1 - st.sum(-1, keepdim=True), st), -1)


def nearest_triangles(
    ring_start: Tensor, ring_size: Tensor, ring_faces: Tensor, faces: Tensor, vertices: Tensor, points: Tensor,
    candidates: Tensor,
) -> Tensor:
    """For each point [P, 3] the nearest face [P] among those around its candidate vertices [P, K] (negative: none).

    The faces around vertex v are ring_faces[ring_start[v] : ring_start[v] + ring_size[v]]; `faces` is [F, 3].
    Of equally near faces the first found wins.

    Raises:
        ArgumentError: a point has no face to choose from.
    """
    nearest = torch.empty(len(points), dtype=torch.int64, device=points.device)
    widest = int(ring_size.max()) if len(ring_size) else 0
    slots = torch.arange(widest, device=points.device)
    batch = max(1, _BATCH // max(1, widest * candidates.shape[1]))
    for start in range(0, len(points), batch):
        some = candidates[start : start + batch]
        vertex = some.clamp(min=0)
        valid = ((some >= 0)[..., None] & (slots < ring_size[vertex][..., None])).flatten(1)
        if not bool(valid.any(dim=1).all()):
            lonely = start + int((~valid.any(dim=1)).nonzero()[0])
            raise ArgumentError(f"idxs: point {lonely} has no triangle around any of its candidate vertices")
        entry = torch.where(valid, (ring_start[vertex][..., None] + slots).flatten(1), 0)
        face = ring_faces[entry]
        triangles = vertices[faces[face]]
        query = points[start : start + batch, None, :]
        closest = (closest_barycentric(triangles, query).unsqueeze(-1) * triangles).sum(-2)
        distance = torch.where(valid, (closest - query).square().sum(-1), torch.inf)
        nearest[start : start + batch] = face.gather(1, distance.argmin(1, keepdim=True)).squeeze(1)
    return nearest


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum(-1)


def _ratio(numerator: Tensor, denominator: Tensor) -> Tensor:
    """The quotient, or 0 over a denominator that is not positive."""
    positive = denominator > 0
    return torch.where(positive, numerator, 0) / torch.where(positive, denominator, 1)

"""Closest points on triangles as barycentrics, differentiable."""

import torch
from kernel_runtime import ArgumentError, device_of
from torch import Tensor


def closest_barycentric(triangles: Tensor, points: Tensor) -> Tensor:
    """Barycentrics [..., 3] of the point of each triangle [..., 3, 3] (corner, axis) closest to `points` [..., 3].

    Differentiable. Outside, the closest point lies on the edge whose own closest point is nearest; a coordinate that is
    clamped at a corner has no gradient. Degenerate triangles count as their edges.

    Raises:
        ArgumentError: the shapes do not fit, or the tensors lie on several devices.
    """
    device_of("closest_barycentric", triangles, points)
    if triangles.shape != (*points.shape, 3) or points.shape[-1:] != (3,):
        shapes = f"{list(triangles.shape)} and {list(points.shape)}"
        raise ArgumentError(f"triangles, points: expected shapes [..., 3, 3] and [..., 3], got {shapes}")
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


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum(-1)


def _ratio(numerator: Tensor, denominator: Tensor) -> Tensor:
    """The quotient, or 0 over a denominator that is not positive."""
    positive = denominator > 0
    return torch.where(positive, numerator, 0) / torch.where(positive, denominator, 1)

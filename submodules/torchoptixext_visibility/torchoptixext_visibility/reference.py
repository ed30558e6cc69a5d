"""Plain torch over all pairs of rays or points and faces, in any float dtype: what the kernels are tested against.

Memory grows with the product of both; meant for small meshes.
"""

import torch
from kernel_runtime import texel_directions


def trace(
    vertices: torch.Tensor,
    faces: torch.Tensor,
    origins: torch.Tensor,
    directions: torch.Tensor,
    t_max: float = torch.inf,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(t [N] with inf = miss, face_id [N] with -1 = miss, barycentric [N,3]) of the nearest hits with 0 < t < t_max.

    Solves origin + t direction = a + v (b - a) + w (c - a) by Cramer's rule.
    """
    if len(faces) == 0:
        missed = torch.full((len(origins),), -1, dtype=torch.int64)
        return origins.new_full((len(origins),), torch.inf), missed, torch.zeros_like(origins)
    a, b, c = vertices[faces.long()].unbind(1)
    ab, ac, way = (b - a)[None], (c - a)[None], directions[:, None]
    from_a = origins[:, None] - a[None]
    across, around = torch.linalg.cross(way, ac), torch.linalg.cross(from_a, ab.expand_as(from_a))
    determinant = (ab * across).sum(-1)
    v = (from_a * across).sum(-1) / determinant
    w = (way * around).sum(-1) / determinant
    t = (ac * around).sum(-1) / determinant
    hit = (determinant != 0) & (v >= 0) & (w >= 0) & (v + w <= 1) & (t > 0) & (t < t_max)
    nearest, face = torch.where(hit, t, torch.inf).min(1)
    missed = nearest.isinf()
    v, w = v.gather(1, face[:, None])[:, 0], w.gather(1, face[:, None])[:, 0]
    barycentric = torch.stack([1 - v - w, v, w], -1).masked_fill(missed[:, None], 0)
    return nearest, face.masked_fill(missed, -1), barycentric


def visibility(
    vertices: torch.Tensor,
    faces: torch.Tensor,
    points: torch.Tensor,
    normals: torch.Tensor,
    height: int,
    width: int,
    light_to_world: torch.Tensor | None = None,
    offset: float = 1e-5,
) -> torch.Tensor:
    """bool [P, height * width]: the bits of `MeshBvh.visibility` unpacked, one traced ray each."""
    directions = torch.from_numpy(texel_directions(height, width)).to(points.dtype)
    if light_to_world is not None:
        directions = directions @ light_to_world.T
    origins = points + offset * normals
    clear = [trace(vertices, faces, origin.expand_as(directions), directions)[0].isinf() for origin in origins]
    above = normals @ directions.T >= 0
    return torch.stack(clear) & above if clear else above


def closest_point(
    vertices: torch.Tensor, faces: torch.Tensor, points: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(face_id [N], barycentric [N,3], squared_distance [N]) of the nearest surface points over all faces."""
    corners = vertices[faces.long()]
    from_point = corners[None] - points[:, None, None]
    candidates = [_foot(from_point), *(_on_edge(from_point, k) for k in range(3))]
    barycentric = torch.stack(candidates, 2)  # [N,F,4,3]
    distance2 = torch.einsum("nfek,nfkx->nfex", barycentric, from_point).square().sum(-1)
    distance2 = torch.where(barycentric.isnan().any(-1), torch.inf, distance2)
    best, index = distance2.flatten(1).min(1)
    rows = torch.arange(len(points))
    return index // 4, barycentric.flatten(1, 2)[rows, index], best


def _foot(corners: torch.Tensor) -> torch.Tensor:
    """Barycentrics of the perpendicular's foot from the origin to triangles [...,3,3]; NaN where it falls outside."""
    a = corners[..., 0, :]
    edges = corners[..., 1:, :] - a[..., None, :]
    gram = edges @ edges.transpose(-1, -2)
    right = -(edges * a[..., None, :]).sum(-1)
    determinant = gram[..., 0, 0] * gram[..., 1, 1] - gram[..., 0, 1] ** 2
    v = (right[..., 0] * gram[..., 1, 1] - right[..., 1] * gram[..., 0, 1]) / determinant
    w = (right[..., 1] * gram[..., 0, 0] - right[..., 0] * gram[..., 0, 1]) / determinant
    barycentric = torch.stack([1 - v - w, v, w], -1)
    inside = (barycentric >= 0).all(-1) & barycentric.isfinite().all(-1)
    return torch.where(inside[..., None], barycentric, torch.nan)


def _on_edge(corners: torch.Tensor, first: int) -> torch.Tensor:
    """Barycentrics of the point nearest to the origin on the edge from corner `first` to the next one."""
    second = (first + 1) % 3
    a, edge = corners[..., first, :], corners[..., second, :] - corners[..., first, :]
    length2 = edge.square().sum(-1)
    share = torch.where(length2 > 0, -(a * edge).sum(-1) / length2, 0).clamp(0, 1)
    barycentric = torch.zeros_like(corners[..., 0])
    barycentric[..., first], barycentric[..., second] = 1 - share, share
    return barycentric

"""Which point of the neutral mesh every Gaussian belongs to: found by walking over edges, never by jumping.

A search over all triangles would tie the inside of the lower lip to the upper one wherever the neutral mouth is shut. A
Gaussian therefore starts on the triangle it was born on and moves to a neighbour across an edge while that is closer.
"""

from dataclasses import dataclass

import torch
from diff_envshade import closest_barycentric


@dataclass(frozen=True)
class Attachment:
    """A point on a mesh for each Gaussian."""

    face_id: torch.Tensor
    """[P] int64."""
    barycentric: torch.Tensor
    """[P, 3]."""

    def interpolate(self, values: torch.Tensor, faces: torch.Tensor) -> torch.Tensor:
        """Per-vertex `values` [V, C] at the attached points, [P, C]."""
        return (self.barycentric[:, :, None] * values[faces[self.face_id]]).sum(1)

    def select(self, index: torch.Tensor) -> "Attachment":
        """The attachments of the Gaussians `index`."""
        return Attachment(self.face_id[index], self.barycentric[index])


def edge_neighbours(faces: torch.Tensor) -> torch.Tensor:
    """Faces across the three edges of every face, [F, 3] int64; a border edge leads back to the face itself."""
    count = len(faces)
    edges = torch.stack([faces, faces.roll(-1, 1)], dim=2).sort(dim=2).values.reshape(-1, 2)
    key = edges[:, 0] * (int(faces.max()) + 1) + edges[:, 1]
    order = torch.argsort(key, stable=True)
    same = key[order][1:] == key[order][:-1]
    neighbour = torch.arange(count, device=faces.device).repeat_interleave(3)
    left, right = order[:-1][same], order[1:][same]
    neighbour[left] = right // 3
    neighbour[right] = left // 3
    return neighbour.reshape(count, 3)


def walk(
    attachment: Attachment,
    points: torch.Tensor,  # [P, 3]
    vertices: torch.Tensor,  # [V, 3]
    faces: torch.Tensor,  # [F, 3]
    neighbours: torch.Tensor,  # [F, 3]
    steps: int = 2,
) -> Attachment:
    """The attachment after at most `steps` moves across an edge towards the surface point closest to each Gaussian."""
    face_id, points = attachment.face_id, points.detach()
    for _ in range(steps):
        candidates = torch.cat([face_id[:, None], neighbours[face_id]], dim=1)
        triangles = vertices[faces[candidates]].reshape(-1, 3, 3)
        queries = points.repeat_interleave(4, dim=0)
        barycentric = closest_barycentric(triangles, queries)
        offset = torch.einsum("pk,pkc->pc", barycentric, triangles) - queries
        best = offset.square().sum(1).reshape(-1, 4).argmin(1, keepdim=True)
        face_id = candidates.gather(1, best)[:, 0]
        chosen = barycentric.reshape(-1, 4, 3).gather(1, best[:, :, None].expand(-1, -1, 3))[:, 0]
    return Attachment(face_id, chosen)

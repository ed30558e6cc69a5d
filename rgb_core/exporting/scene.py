"""What an avatar looks like in one frame, as plain arrays that every exporter can write."""

import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor

from ..rotations import quaternion_rotate

UP_AXES = {"y": (1.0, 0.0, 0.0, 0.0), "-y": (0.0, 1.0, 0.0, 0.0), "z": (0.5**0.5, 0.5**0.5, 0.0, 0.0)}
"""The axis that points up in a file -> the rotation to it from ours, where y is up, as a quaternion; x stays."""


@dataclass(frozen=True)
class GaussianCloud:
    """P posed and lit Gaussians in world space."""

    means: Tensor
    """[P, 3] metres."""
    rotations: Tensor
    """[P, 4] unit quaternions (w, x, y, z)."""
    scales: Tensor
    """[P, 3] standard deviations, metres."""
    opacities: Tensor
    """[P, 1] in (0, 1)."""
    radiance: Tensor
    """[P, 3] linear light towards the camera that the frame was lit for."""


@dataclass(frozen=True)
class TriangleMesh:
    """V vertices and F triangles, counter-clockwise seen from outside."""

    vertices: Tensor
    """[V, 3] metres."""
    normals: Tensor
    """[V, 3] unit."""
    faces: Tensor
    """[F, 3] int64."""
    colors: Tensor | None = None
    """[V, 3] linear."""
    uv: Tensor | None = None
    """[T, 2], v up."""
    uv_faces: Tensor | None = None
    """[F, 3] int64 into uv, corner by corner with `faces`."""


@dataclass(frozen=True)
class ExportScene:
    """One frame of an avatar: its Gaussians under one light, and its mesh."""

    name: str
    gaussians: GaussianCloud
    mesh: TriangleMesh

    def turned(self, quaternion: tuple[float, float, float, float]) -> "ExportScene":
        """The scene turned about the origin by a unit quaternion (w, x, y, z)."""
        turn = torch.tensor(quaternion)

        def turned(vectors: Tensor) -> Tensor:
            return quaternion_rotate(turn.expand(*vectors.shape[:-1], 4), vectors)

        cloud, mesh = self.gaussians, self.mesh
        rotations = _multiply(turn.expand_as(cloud.rotations), cloud.rotations)
        return dataclasses.replace(
            self,
            gaussians=dataclasses.replace(cloud, means=turned(cloud.means), rotations=rotations),
            mesh=dataclasses.replace(mesh, vertices=turned(mesh.vertices), normals=turned(mesh.normals)),
        )


def _multiply(outer: Tensor, inner: Tensor) -> Tensor:
    """Quaternions [N, 4] (w, x, y, z) of the rotations `inner` followed by `outer`."""
    (w, u), (s, v) = (q.split([1, 3], dim=1) for q in (outer, inner))
    return torch.cat([w * s - (u * v).sum(1, keepdim=True), w * v + s * u + torch.linalg.cross(u, v)], dim=1)

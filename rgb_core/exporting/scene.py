"""What an avatar looks like in one frame, as plain arrays that every exporter can write."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class GaussianCloud:
    """P posed and lit Gaussians in world space."""

    means: Tensor  # [P, 3] metres
    rotations: Tensor  # [P, 4] unit quaternions (w, x, y, z)
    scales: Tensor  # [P, 3] standard deviations, metres
    opacities: Tensor  # [P, 1] in (0, 1)
    radiance: Tensor  # [P, 3] linear light towards the camera that the frame was lit for


@dataclass(frozen=True)
class TriangleMesh:
    """V vertices and F triangles, counter-clockwise seen from outside."""

    vertices: Tensor  # [V, 3] metres
    normals: Tensor  # [V, 3] unit
    faces: Tensor  # [F, 3] int64
    colors: Tensor | None = None  # [V, 3] linear
    uv: Tensor | None = None  # [T, 2], v up
    uv_faces: Tensor | None = None  # [F, 3] int64 into uv, corner by corner with `faces`


@dataclass(frozen=True)
class ExpressionTargets:
    """E expressions as offsets of the mesh's vertices, in the axes of the mesh."""

    names: tuple[str, ...]
    offsets: Tensor  # [E, V, 3] metres per unit coefficient


@dataclass(frozen=True)
class ExportScene:
    """One frame of an avatar: its Gaussians under one light, its mesh, and how expressions would move the mesh."""

    name: str
    gaussians: GaussianCloud
    mesh: TriangleMesh
    expressions: ExpressionTargets | None = None

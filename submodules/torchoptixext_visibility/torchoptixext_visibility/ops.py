"""A triangle mesh prepared for ray casting, visibility bitfields and nearest surface points."""

from typing import NamedTuple

import torch
from kernel_runtime import ArgumentError, check_tensor, device_of

from .cpu import CpuTree
from .cuda import CudaTree


class Hits(NamedTuple):
    """Nearest ray hits."""

    t: torch.Tensor  # [N] float32, in lengths of the direction; inf = miss
    face_id: torch.Tensor  # [N] int64; -1 = miss
    barycentric: torch.Tensor  # [N,3] float32; zeros = miss


class Closest(NamedTuple):
    """Nearest surface points."""

    face_id: torch.Tensor  # [N] int64
    barycentric: torch.Tensor  # [N,3] float32, each in [0,1]
    squared_distance: torch.Tensor  # [N] float32


class MeshBvh:
    """Bounding volume hierarchy over a triangle mesh, on the device of its vertices.

    Surfaces are two-sided. Triangles without area are never hit by a ray, yet count as surface for `closest_point`.
    No result carries a gradient. On a CUDA device construction waits for the device; `refit` and all queries do not,
    and so leave it to the caller that coordinates are finite: what is not is neither hit nor near anything.

    Args:
        vertices: [V,3] float32, finite.
        faces: [F,3] int32 or int64 vertex numbers; F may be 0.

    Raises:
        ArgumentError: a wrong shape, dtype or device, a vertex number outside 0..V-1, a coordinate that is not finite.
    """

    def __init__(self, vertices: torch.Tensor, faces: torch.Tensor):
        kind = device_of("MeshBvh", vertices, faces)
        if faces.dtype not in (torch.int32, torch.int64):
            raise ArgumentError(f"faces: expected int32 or int64, got {faces.dtype}")
        faces = check_tensor("faces", faces, (None, 3), faces.dtype)
        corners = _finite("vertices", check_tensor("vertices", vertices, (None, 3)).detach())
        if len(faces) and (int(faces.min()) < 0 or int(faces.max()) >= len(vertices)):
            raise ArgumentError(
                f"faces: vertex numbers must lie in 0..{len(vertices) - 1}, got {int(faces.min())}..{int(faces.max())}"
            )
        self._vertex_count, self._face_count, self._device = len(vertices), len(faces), vertices.device
        self._tree = (CpuTree if kind == "cpu" else CudaTree)(corners, faces.int())

    def refit(self, vertices: torch.Tensor) -> None:
        """Move the vertices [V,3] and keep the faces; the tree's shape stays, so that large motion slows queries."""
        self._tree.refit(self._floats("vertices", vertices, (self._vertex_count, 3), finite=True))

    def trace(self, origins: torch.Tensor, directions: torch.Tensor, t_max: float = torch.inf) -> Hits:
        """Nearest hit with 0 < t < t_max of the rays origins + t directions, both [N,3], directions of any length."""
        return Hits(*self._tree.trace(*self._rays(origins, directions), t_max))

    def occluded(
        self, origins: torch.Tensor, directions: torch.Tensor, t_min: float = 0.0, t_max: float = torch.inf
    ) -> torch.Tensor:
        """Whether anything lies at t_min < t < t_max on the rays origins + t directions, both [N,3]; bool [N]."""
        return self._tree.occluded(*self._rays(origins, directions), t_min, t_max)

    def closest_point(self, points: torch.Tensor) -> Closest:
        """The surface points nearest to points [N,3], exact over all faces; of equally near faces the first.

        Raises:
            ArgumentError: the mesh has no faces although there are points.
        """
        queries = self._floats("points", points, (None, 3), finite=True)
        if len(queries) and not self._face_count:
            raise ArgumentError("closest_point: the mesh has no faces")
        return Closest(*self._tree.closest_point(queries))

    def visibility(
        self,
        points: torch.Tensor,
        normals: torch.Tensor | None,
        height: int,
        width: int,
        light_to_world: torch.Tensor | None = None,
        offset: float = 1e-5,
    ) -> torch.Tensor:
        """Which texels of a latitude-longitude light map the mesh leaves visible from each point.

        Bit t % 32 (bit 0 lowest) of word t // 32 belongs to texel t = row * width + column, in direction
        light_to_world @ d_t (`texel_directions`). It is 1 where dot(direction, normal) >= 0 and the ray from
        points + offset * normals meets no triangle; bits past the last texel are 0.

        Args:
            points: [P,3] float32.
            normals: [P,3] float32, need not be unit; None means points in free space: no culling, no offset.
            height, width: texels of the light map.
            light_to_world: [3,3] float32 rotation; identity if None.
            offset: in scene units along the normal as given, to leave the surface the point lies on.

        Returns:
            [P,S] int32 bit patterns, S = ceil(height * width / 32).
        """
        points = self._floats("points", points, (None, 3))
        upward = torch.zeros_like(points) if normals is None else normals
        upward = self._floats("normals", upward, (len(points), 3))
        if height < 1 or width < 1:
            raise ArgumentError(f"height, width: must be at least 1, got {height}, {width}")
        rotation = torch.eye(3, device=points.device) if light_to_world is None else light_to_world
        rotation = self._floats("light_to_world", rotation, (3, 3))
        return self._tree.visibility(points, upward, height, width, rotation, offset)

    def _rays(self, origins: torch.Tensor, directions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        origins = self._floats("origins", origins, (None, 3))
        return origins, self._floats("directions", directions, (len(origins), 3))

    def _floats(
        self, name: str, tensor: torch.Tensor, shape: tuple[int | None, ...], finite: bool = False
    ) -> torch.Tensor:
        """The tensor, checked and contiguous; `finite` is checked where it costs no waiting for a device."""
        checked = check_tensor(name, tensor, shape, device=self._device).detach()
        return _finite(name, checked) if finite and self._device.type == "cpu" else checked


def _finite(name: str, tensor: torch.Tensor) -> torch.Tensor:
    if not torch.isfinite(tensor).all():
        raise ArgumentError(f"{name}: holds values that are not finite")
    return tensor

"""A triangle mesh prepared for ray casting, visibility bitfields and nearest surface points."""

from typing import NamedTuple

import numpy as np
import torch
from kernel_runtime import ArgumentError, as_numpy, check_tensor, require_cpu

from . import cpu_bvh, cpu_closest, cpu_rays, cpu_visibility


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
    """Bounding volume hierarchy over a triangle mesh.

    Surfaces are two-sided. Triangles without area are never hit by a ray, yet count as surface for `closest_point`.
    No result carries a gradient.

    Args:
        vertices: [V,3] float32, finite.
        faces: [F,3] int32 or int64 vertex numbers; F may be 0.

    Raises:
        ArgumentError: a wrong shape or dtype, a vertex number outside 0..V-1, a coordinate that is not finite.
    """

    def __init__(self, vertices: torch.Tensor, faces: torch.Tensor):
        require_cpu("MeshBvh", vertices, faces)
        if faces.dtype not in (torch.int32, torch.int64):
            raise ArgumentError(f"faces: expected int32 or int64, got {faces.dtype}")
        faces = check_tensor("faces", faces, (None, 3), faces.dtype)
        corners = _finite("vertices", check_tensor("vertices", vertices, (None, 3)))
        if len(faces) and (int(faces.min()) < 0 or int(faces.max()) >= len(vertices)):
            raise ArgumentError(
                f"faces: vertex numbers must lie in 0..{len(vertices) - 1}, "
                f"got {int(faces.min())}..{int(faces.max())}"
            )
        self._faces = as_numpy(faces).astype(np.int32)
        self._vertex_count = len(vertices)
        self._links, self._order, self._depth = cpu_bvh.build(corners, self._faces)
        self._triangles = np.empty((len(faces), 3, 3), np.float32)
        self._bounds = np.empty((len(self._links), 6), np.float32)
        cpu_bvh.refit(corners, self._faces, self._links, self._order, self._triangles, self._bounds)

    def refit(self, vertices: torch.Tensor) -> None:
        """Move the vertices [V,3] and keep the faces; the tree's shape stays, so that large motion slows queries."""
        require_cpu("MeshBvh.refit", vertices)
        corners = _finite("vertices", check_tensor("vertices", vertices, (self._vertex_count, 3)))
        cpu_bvh.refit(corners, self._faces, self._links, self._order, self._triangles, self._bounds)

    def trace(self, origins: torch.Tensor, directions: torch.Tensor, t_max: float = np.inf) -> Hits:
        """Nearest hit with 0 < t < t_max of the rays origins + t directions, both [N,3], directions of any length."""
        return self._cast("MeshBvh.trace", origins, directions, 0.0, t_max, any_hit=False)

    def occluded(
        self, origins: torch.Tensor, directions: torch.Tensor, t_min: float = 0.0, t_max: float = np.inf
    ) -> torch.Tensor:
        """Whether anything lies at t_min < t < t_max on the rays origins + t directions, both [N,3]; bool [N]."""
        return self._cast("MeshBvh.occluded", origins, directions, t_min, t_max, any_hit=True).face_id >= 0

    def closest_point(self, points: torch.Tensor) -> Closest:
        """The surface points nearest to points [N,3], exact over all faces; of equally near faces the first.

        Raises:
            ArgumentError: the mesh has no faces although there are points.
        """
        require_cpu("MeshBvh.closest_point", points)
        queries = _finite("points", check_tensor("points", points, (None, 3)))
        if len(queries) and not len(self._faces):
            raise ArgumentError("closest_point: the mesh has no faces")
        face = np.empty(len(queries), np.int64)
        barycentric = np.empty((len(queries), 3), np.float32)
        distance2 = np.empty(len(queries), np.float32)
        cpu_closest.closest_points(
            self._bounds, self._links, self._triangles, self._order, self._depth, queries, face, barycentric, distance2
        )
        return Closest(torch.from_numpy(face), torch.from_numpy(barycentric), torch.from_numpy(distance2))

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
        require_cpu("MeshBvh.visibility", points, normals, light_to_world)
        origins = as_numpy(check_tensor("points", points, (None, 3)))
        if normals is None:
            normals = torch.zeros_like(points)
        upward = as_numpy(check_tensor("normals", normals, (len(points), 3)))
        if height < 1 or width < 1:
            raise ArgumentError(f"height, width: must be at least 1, got {height}, {width}")
        rotation = torch.eye(3) if light_to_world is None else light_to_world
        rotation = as_numpy(check_tensor("light_to_world", rotation, (3, 3)))
        lights = cpu_visibility.direction_set(height, width, rotation)
        words = np.empty((len(origins), len(lights.slot) // cpu_visibility.WORD), np.uint32)
        cpu_visibility.visibility(
            self._bounds, self._links, self._triangles, self._depth, origins, upward, np.float32(offset),
            lights.directions, lights.groups, lights.slot, words,
        )  # fmt: skip
        return torch.from_numpy(words.view(np.int32))

    def _cast(
        self, operation: str, origins: torch.Tensor, directions: torch.Tensor, t_min: float, t_max: float, any_hit: bool
    ) -> Hits:
        require_cpu(operation, origins, directions)
        starts = as_numpy(check_tensor("origins", origins, (None, 3)))
        ways = as_numpy(check_tensor("directions", directions, (len(starts), 3)))
        t = np.full(len(starts), np.inf, np.float32)
        face = np.full(len(starts), -1, np.int64)
        barycentric = np.zeros((len(starts), 3), np.float32)
        if len(self._faces):
            cpu_rays.cast_rays(
                self._bounds, self._links, self._triangles, self._order, self._depth, starts, ways,
                np.float32(t_min), np.float32(t_max), any_hit, t, face, barycentric,
            )  # fmt: skip
        return Hits(torch.from_numpy(t), torch.from_numpy(face), torch.from_numpy(barycentric))


def _finite(name: str, tensor: torch.Tensor) -> np.ndarray:
    values = as_numpy(tensor)
    if not np.isfinite(values).all():
        raise ArgumentError(f"{name}: holds values that are not finite")
    return values

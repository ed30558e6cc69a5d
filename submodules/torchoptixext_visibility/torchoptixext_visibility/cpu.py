"""The triangle tree in the memory of the CPU and its queries, on tensors already checked."""

import numpy as np
import torch
from kernel_runtime import as_numpy

from . import cpu_bvh, cpu_closest, cpu_rays, cpu_visibility, cpu_wide
from .cpu_wide import WideNodes


class CpuTree:
    """A tree over vertices [V,3] float32 and faces [F,3] int32; queries as those of `MeshBvh`."""

    def __init__(self, vertices: torch.Tensor, faces: torch.Tensor):
        self._faces = as_numpy(faces)
        self._links, self._order, self._depth = cpu_bvh.build(as_numpy(vertices), self._faces)
        self._triangles = np.empty((len(faces), 3, 3), np.float32)
        self._bounds = np.empty((len(self._links), 6), np.float32)
        self.refit(vertices)

    def refit(self, vertices: torch.Tensor) -> None:
        cpu_bvh.refit(as_numpy(vertices), self._faces, self._links, self._order, self._triangles, self._bounds)
        self._wide: WideNodes | None = None  # made by the first query that needs it

    def trace(
        self, origins: torch.Tensor, directions: torch.Tensor, t_max: float
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(t, face, barycentric)."""
        t = torch.full((len(origins),), torch.inf)
        face = torch.full((len(origins),), -1, dtype=torch.int64)
        barycentric = torch.zeros(len(origins), 3)
        if len(self._faces):
            cpu_rays.cast_rays(
                self._bounds, self._links, self._triangles, self._order, self._depth, as_numpy(origins),
                as_numpy(directions), np.float32(t_max), t.numpy(), face.numpy(), barycentric.numpy(),
            )  # fmt: skip
        return t, face, barycentric

    def occluded(self, origins: torch.Tensor, directions: torch.Tensor, t_min: float, t_max: float) -> torch.Tensor:
        hidden = torch.zeros(len(origins), dtype=torch.bool)
        if len(self._faces):
            self._wide = wide = self._wide or WideNodes(self._links, self._bounds, self._depth)
            cpu_wide.any_hits(
                wide.boxes, wide.links, wide.depth, self._triangles, as_numpy(origins), as_numpy(directions),
                np.float32(t_min), np.float32(t_max), hidden.numpy(),
            )  # fmt: skip
        return hidden

    def closest_point(self, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(face, barycentric, squared distance)."""
        face = torch.empty(len(points), dtype=torch.int64)
        barycentric, distance2 = torch.empty(len(points), 3), torch.empty(len(points))
        cpu_closest.closest_points(
            self._bounds, self._links, self._triangles, self._order, self._depth, as_numpy(points), face.numpy(),
            barycentric.numpy(), distance2.numpy(),
        )  # fmt: skip
        return face, barycentric, distance2

    def visibility(
        self,
        points: torch.Tensor,
        normals: torch.Tensor,
        height: int,
        width: int,
        light_to_world: torch.Tensor,
        offset: float,
    ) -> torch.Tensor:
        lights = cpu_visibility.direction_set(height, width, as_numpy(light_to_world))
        words = np.empty((len(points), len(lights.slot) // cpu_visibility.WORD), np.uint32)
        cpu_visibility.visibility(
            self._bounds, self._links, self._triangles, self._depth, as_numpy(points), as_numpy(normals),
            np.float32(offset), lights.directions, lights.groups, lights.slot, words,
        )  # fmt: skip
        return torch.from_numpy(words.view(np.int32))

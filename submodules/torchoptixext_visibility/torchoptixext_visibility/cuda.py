"""The triangle tree in the memory of a CUDA device and its queries, on tensors already checked.

The tree's shape comes from the CPU's build, once per mesh. Moving the vertices and all queries run on torch's current
stream without waiting for the device, so that they may be captured in a CUDA graph once they have run outside of one.
"""

from functools import lru_cache

import numpy as np
import torch
from kernel_runtime import as_numpy, texel_directions
from kernel_runtime.cuda import CudaModule

from . import cpu_bvh
from .cone_table import cone_table
from .grouping import grouped_texels, positions

_PACKAGE, _HEADERS = "torchoptixext_visibility", ("tree.cuh",)
_REFIT = CudaModule(_PACKAGE, "refit.cu", _HEADERS).kernel("refit")
_VISIBILITY_SOURCE = CudaModule(_PACKAGE, "visibility.cu", ("directions.cuh", *_HEADERS))
_ROTATE = _VISIBILITY_SOURCE.kernel("rotate_directions")
_VISIBILITY = _VISIBILITY_SOURCE.kernel("visibility")
# Without fast maths: a box must not be missed by the rounding of a reciprocal, nor barycentrics blurred by it.
_RAYS = CudaModule(_PACKAGE, "rays.cu", _HEADERS, fast_math=False)
_TRACE, _OCCLUDED = _RAYS.kernel("trace"), _RAYS.kernel("occluded")
_CLOSEST = CudaModule(_PACKAGE, "closest.cu", _HEADERS, fast_math=False).kernel("closest_points")

_THREADS = 128  # per block
# As in visibility.cu and directions.cuh:
_WARPS_PER_BLOCK, _LANES = 4, 32  # one point per warp
_GROUP = 16  # directions
_DIRECTIONS_PER_WARP = 512
_REMEMBERED = 256  # triangles that occluded something of a point's directions
_MOST_MEMORIES = 4  # numbers of points and of directions for which they are kept


class CudaTree:
    """A tree over vertices [V,3] float32 and faces [F,3] int32 of one device; queries as those of `MeshBvh`."""

    def __init__(self, vertices: torch.Tensor, faces: torch.Tensor):
        device = vertices.device
        host_faces = as_numpy(faces.cpu())
        links, order, _ = cpu_bvh.build(as_numpy(vertices.cpu()), host_faces)
        parents = np.zeros(len(links), np.int32)
        inner = np.flatnonzero(links[:, 1] == 0)
        parents[inner + 1], parents[links[inner, 0]] = inner, inner
        leaves = np.flatnonzero(links[:, 1]).astype(np.int32)
        self._faces, self._face_numbers, self._links, self._parents, self._leaves, self._roots = (
            torch.from_numpy(array).to(device)
            for array in (host_faces[order], order, links, parents, leaves, _first_nodes(links))
        )
        self._arrivals = torch.zeros(len(links), dtype=torch.int32, device=device)
        self._triangles = torch.empty(len(faces), 3, 4, device=device)
        self._nodes = torch.empty(len(links), 2, 4, device=device)
        self._boxes = torch.empty_like(self._nodes)
        self._occluders: dict[tuple[int, int], torch.Tensor] = {}
        self.refit(vertices)

    def refit(self, vertices: torch.Tensor) -> None:
        _REFIT.launch(
            _blocks(len(self._leaves)), _THREADS,
            (vertices, self._faces, self._face_numbers, self._links, self._parents, self._leaves, len(self._leaves),
             self._arrivals, self._triangles, self._nodes, self._boxes),
        )  # fmt: skip

    def trace(
        self, origins: torch.Tensor, directions: torch.Tensor, t_max: float
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(t, face, barycentric)."""
        t = torch.full_like(origins[:, 0], torch.inf)
        face = torch.full_like(t, -1, dtype=torch.int64)
        barycentric = torch.zeros_like(origins)
        if len(self._faces):
            _TRACE.launch(
                _blocks(len(origins)), _THREADS,
                (self._nodes, self._triangles, origins, directions, len(origins), float(t_max), t, face, barycentric),
            )  # fmt: skip
        return t, face, barycentric

    def occluded(self, origins: torch.Tensor, directions: torch.Tensor, t_min: float, t_max: float) -> torch.Tensor:
        hidden = torch.zeros_like(origins[:, 0], dtype=torch.bool)
        if len(self._faces):
            _OCCLUDED.launch(
                _blocks(len(origins)), _THREADS,
                (self._nodes, self._triangles, origins, directions, len(origins), float(t_min), float(t_max), hidden),
            )  # fmt: skip
        return hidden

    def closest_point(self, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(face, barycentric, squared distance)."""
        distance2 = torch.empty_like(points[:, 0])
        face = torch.empty_like(distance2, dtype=torch.int64)
        barycentric = torch.empty_like(points)
        _CLOSEST.launch(
            _blocks(len(points)), _THREADS,
            (self._nodes, self._triangles, points, len(points), face, barycentric, distance2),
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
        texels, slot, cones = _light_tables(height, width, points.device)
        directions = torch.empty(len(texels), 4, device=points.device)
        parts = len(texels) // _DIRECTIONS_PER_WARP
        _ROTATE.launch(parts, _DIRECTIONS_PER_WARP, (texels, light_to_world, directions))
        words = torch.zeros(len(points), len(slot) // 32, dtype=torch.int32, device=points.device)
        _VISIBILITY.launch(
            (-(-len(points) // _WARPS_PER_BLOCK), parts), (_LANES, _WARPS_PER_BLOCK),
            (points, normals, float(offset), len(points), self._roots, len(self._roots), self._nodes, self._triangles,
             directions, light_to_world, cones, slot, words.shape[1], words, self._remembered(len(points), parts)),
        )  # fmt: skip
        return words

    def _remembered(self, points: int, parts: int) -> torch.Tensor:
        """What occluded as many points and directions the last time: most likely the same points, a frame ago."""
        if (points, parts) not in self._occluders:
            while len(self._occluders) >= _MOST_MEMORIES:
                self._occluders.pop(next(iter(self._occluders)))
            none = torch.full((points, parts, _REMEMBERED), -1, dtype=torch.int32, device=self._nodes.device)
            self._occluders[points, parts] = none
        return self._occluders[points, parts]


def _first_nodes(links: np.ndarray) -> np.ndarray:
    """Up to 32 nodes that hold all triangles, where visibility starts: the deepest level that has no more."""
    level = np.zeros(min(len(links), 1), np.int32)
    while True:
        inner = level[links[level, 1] == 0]
        below = np.concatenate([level[links[level, 1] > 0], inner + 1, links[inner, 0]])
        if len(below) > _LANES or len(inner) == 0:
            return level
        level = below


def _blocks(threads: int) -> int:
    return -(-threads // _THREADS)


@lru_cache(maxsize=16)
def _light_tables(height: int, width: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Texel directions [n,3] float64 in grouped order, zero where there is none, the slots of `grouping`, the cones."""
    order = grouped_texels(height, width, _GROUP)
    directions = texel_directions(height, width)[order]
    directions[order < 0] = 0
    texels = torch.from_numpy(directions).to(device)
    slot, cones = torch.from_numpy(positions(order, height * width)).to(device), cone_table(texels, _GROUP)
    torch.cuda.current_stream(device).synchronize()  # later calls may come from other streams
    return texels, slot, cones

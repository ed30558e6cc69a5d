"""What the posed mesh knows for shading: normals, which light directions every vertex sees, and how open it is."""

from dataclasses import dataclass

import torch
from diff_envshade import PointVisibility, shade
from torchoptixext_visibility import MeshBvh

from ..heads import vertex_normals

# Rays start this far above the surface, in metres, so that a vertex does not hit its own triangles.
RAY_OFFSET = 1e-4


@dataclass(frozen=True)
class Surface:
    """One posed mesh, ready to shade what is attached to it."""

    normals: torch.Tensor  # [V, 3] unit, world space
    visibility: torch.Tensor | None  # [V, S] int32 words, bit = light direction seen
    occlusion: torch.Tensor | None  # [V, 1] cosine-weighted share of the hemisphere that the head itself blocks


class SurfaceTracer:
    """Traces the posed meshes of one head against the directions of an environment map.

    Args:
        faces: [F, 3] int64.
        needed: [V] bool, the vertices something is attached to; the others get no visibility.
        light_size: height and width of the environment map.
    """

    def __init__(self, faces: torch.Tensor, needed: torch.Tensor, light_size: tuple[int, int]):
        self.faces = faces
        self.faces32 = faces.to(torch.int32)
        self.light_size = light_size
        self._needed = needed.nonzero()[:, 0]
        self._bvh: MeshBvh | None = None

    def trace(
        self, vertices: torch.Tensor, visibility: bool = True, light_to_world: torch.Tensor | None = None
    ) -> Surface:
        """The surface of posed `vertices` [V, 3]; without `visibility` only its normals.

        Args:
            light_to_world: [3, 3] rotation from the environment map to the world, identity where None.
        """
        normals = vertex_normals(vertices, self.faces)
        if not visibility:
            return Surface(normals, None, None)
        if self._bvh is None:
            self._bvh = MeshBvh(vertices, self.faces32)
        else:
            self._bvh.refit(vertices)
        height, width = self.light_size
        seen = self._bvh.visibility(
            vertices[self._needed], normals[self._needed], height, width, light_to_world, offset=RAY_OFFSET
        )
        words = torch.zeros(len(vertices), seen.shape[1], dtype=torch.int32)
        words[self._needed] = seen
        occlusion = torch.zeros(len(vertices), 1)
        occlusion[self._needed] = self._occlusion(normals[self._needed], seen, light_to_world)
        return Surface(normals, words, occlusion)

    def _occlusion(
        self, normals: torch.Tensor, words: torch.Tensor, light_to_world: torch.Tensor | None
    ) -> torch.Tensor:
        """Blocked share [N, 1] of the irradiance of a white environment."""
        count = len(normals)
        index = torch.arange(count)
        itself = PointVisibility(
            words, index.to(torch.int32)[:, None].expand(-1, 3).contiguous(), index, torch.eye(3)[0].expand(count, 3)
        )
        white = torch.ones(3, *self.light_size)
        unused = torch.zeros(count, 3)
        seen, whole = (
            shade(
                normals, normals, unused, unused, unused[:, :1], white, bits, light_to_world, enable_specular=False
            ).irradiance[:, :1]
            for bits in (itself, None)
        )
        return (1 - seen / whole.clamp_min(1e-6)).clamp(0, 1)

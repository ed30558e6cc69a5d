"""What the posed mesh knows for shading: normals, which light directions every vertex sees, and how open it is."""

from dataclasses import dataclass

import torch
from diff_envshade import occlusion
from gaussian_blendshapes import FaceRings, vertex_normals
from torchoptixext_visibility import MeshBvh

# Rays start this far above the surface, in metres, so that a vertex does not hit its own triangles.
RAY_OFFSET = 1e-4


@dataclass(frozen=True)
class Surface:
    """One posed mesh, ready to shade what is attached to it."""

    normals: torch.Tensor
    """[V, 3] unit, world space."""
    visibility: torch.Tensor | None
    """[V, S] int32 words, bit = light direction seen."""
    occlusion: torch.Tensor | None
    """[V, 1] cosine-weighted share of the hemisphere that the head itself blocks."""

    @property
    def nbytes(self) -> int:
        """Memory that it takes."""
        return sum(tensor.nbytes for tensor in (self.normals, self.visibility, self.occlusion) if tensor is not None)


class SurfaceTracer:
    """Traces the posed meshes of one head against the directions of an environment map.

    On a CUDA device only the first trace with visibility waits for the device.

    Args:
        faces: [F, 3] int64.
        needed: [V] bool, the vertices something is attached to; the others get no visibility.
        light_size: height and width of the environment map.
    """

    def __init__(self, faces: torch.Tensor, needed: torch.Tensor, light_size: tuple[int, int]):
        self.light_size = light_size
        self._rings = FaceRings.of(faces, len(needed))
        self._needed = needed.nonzero()[:, 0]
        self._bvh: MeshBvh | None = None

    def trace(
        self, vertices: torch.Tensor, visibility: bool = True, light_to_world: torch.Tensor | None = None
    ) -> Surface:
        """The surface of posed `vertices` [V, 3]; without `visibility` only its normals.

        Args:
            light_to_world: [3, 3] rotation from the environment map to the world, identity where None.
        """
        normals = vertex_normals(vertices, self._rings)
        if not visibility:
            return Surface(normals, None, None)
        return Surface(normals, *self.visibility(vertices, normals, light_to_world))

    def visibility(
        self, vertices: torch.Tensor, normals: torch.Tensor, light_to_world: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Visibility words [V, S] and occlusion [V, 1] of posed vertices and their normals."""
        if self._bvh is None:
            self._bvh = MeshBvh(vertices, self._rings.faces)
        else:
            self._bvh.refit(vertices)
        points, upward = vertices[self._needed], normals[self._needed]
        seen = self._bvh.visibility(points, upward, *self.light_size, light_to_world, offset=RAY_OFFSET)
        hidden = occlusion(upward, seen, *self.light_size, light_to_world)
        words = seen.new_zeros(len(vertices), seen.shape[1]).index_copy_(0, self._needed, seen)
        return words, hidden.new_zeros(len(vertices), 1).index_copy_(0, self._needed, hidden)

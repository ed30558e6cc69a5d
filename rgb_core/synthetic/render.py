"""Pictures of a mesh by casting rays: supersampled visibility, shading under an environment map, shadow rays.

The shading without shadows has no noise. It is multiplied by the share of it that the mesh lets through, estimated
for each pixel from drawn directions as visible over drawn light (Heitz, Hill and McGuire 2018, analytic illumination
with stochastic shadows). So neither a lit nor a fully shadowed pixel is noisy. Within a texel of the light the
reflection is evaluated at the texel's centre and the occlusion at the drawn direction, as the shading does.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from diff_envshade import shade
from diff_envshade.reference import specular_lobe
from torch import Tensor
from torchoptixext_visibility import MeshBvh

from ..scene import Camera
from ..scene.labels import Label
from .lighting import SampledLight

_CHUNK = 1 << 15  # surface samples whose shadow rays are traced together; bounds the memory
_SURFACE_OFFSET = 5e-5  # metres by which shadow rays start above the surface


@dataclass(frozen=True)
class Material:
    """What the surface is made of at N points: `albedo`, `specular_albedo` [N,3], `roughness` [N,1], `label` [N]."""

    albedo: Tensor
    specular_albedo: Tensor
    roughness: Tensor
    label: Tensor


Painter = Callable[[Tensor, Tensor], Material]
"""Gives the material at `face_id` [N], `barycentric` [N,3]."""


@dataclass(frozen=True)
class PosedMesh:
    """A surface in the world: `vertices`, unit `normals` [V,3], `faces` [F,3] int64, and a `bvh` fitted to it."""

    vertices: Tensor
    normals: Tensor
    faces: Tensor
    bvh: MeshBvh


@dataclass(frozen=True)
class SurfaceSamples:
    """The N points of a surface that camera rays met, `samples` of which went through every pixel."""

    camera: Camera
    samples: int
    pixel: Tensor
    """[N] row-major index of the ray's pixel."""
    sample: Tensor
    """[N] which of its pixel's rays it is."""
    origin: Tensor
    """[N,3] where shadow rays start, just above the surface."""
    normal: Tensor
    """[N,3] unit vectors on the viewer's side."""
    view: Tensor
    """[N,3] unit vectors to the camera."""
    material: Material

    def resolve(self, values: Tensor) -> Tensor:
        """Box-filtered picture [H,W,C] on black of values [N,C]: a pixel's sum over its hits by its number of rays."""
        pixels = self.camera.width * self.camera.height
        columns = values.double().T.contiguous().numpy()
        channels = [np.bincount(self.pixel.numpy(), column, pixels) for column in columns]
        picture = torch.from_numpy(np.stack(channels, -1) / self.samples).float()
        return picture.view(self.camera.height, self.camera.width, -1)

    def coverage(self) -> Tensor:
        """Alpha [H,W,1]: the share of a pixel's rays that met the surface."""
        return self.resolve(torch.ones(len(self.pixel), 1))

    def labels(self) -> Tensor:
        """Most frequent label [H,W] uint8 of each pixel's rays; label 0 counts the rays that met nothing."""
        pixels = self.camera.width * self.camera.height
        votes = np.bincount((self.pixel * len(Label) + self.material.label).numpy(), minlength=pixels * len(Label))
        votes = votes.reshape(pixels, len(Label))
        votes[:, 0] = self.samples - votes[:, 1:].sum(1)
        return torch.from_numpy(votes.argmax(1).astype(np.uint8)).view(self.camera.height, self.camera.width)


def sample_surface(
    mesh: PosedMesh, camera: Camera, paint: Painter, samples: int, rng: np.random.Generator
) -> SurfaceSamples:
    """Cast `samples` jittered rays through every pixel and collect what they meet."""
    direction = _camera_rays(camera, samples, rng)
    origins = camera.center.expand_as(direction).contiguous()
    hits = mesh.bvh.trace(origins, direction)
    hit = hits.face_id >= 0
    face_id, barycentric, view = hits.face_id[hit], hits.barycentric[hit], -direction[hit]
    corners = mesh.faces[face_id]
    vertices, normals = mesh.vertices[corners], mesh.normals[corners]
    # The mesh is two-sided: seen from behind, its normals point to the viewer as well.
    face_normal = torch.linalg.cross(vertices[:, 1] - vertices[:, 0], vertices[:, 2] - vertices[:, 0])
    normals = normals * torch.where((face_normal * view).sum(1) < 0, -1.0, 1.0)[:, None, None]
    normal = torch.nn.functional.normalize(_interpolate(barycentric, normals), dim=1)
    origin = _smooth_position(barycentric, vertices, normals) + _SURFACE_OFFSET * normal
    ray = hit.nonzero()[:, 0]
    return SurfaceSamples(
        camera, samples, ray // samples, ray % samples, origin, normal, view, paint(face_id, barycentric)
    )


def light_picture(
    surface: SurfaceSamples, light: SampledLight, bvh: MeshBvh, shadow_rays: int, rng: np.random.Generator
) -> Tensor:
    """Linear premultiplied radiance [H,W,3] of the surface under `light`.

    Each sample sends `shadow_rays` rays, an even number; their share of visible light is pooled over the pixel.
    """
    material = surface.material
    unshadowed = shade(
        surface.normal, surface.view, material.albedo, material.specular_albedo, material.roughness, light.envmap
    ).radiance
    shift = torch.from_numpy(rng.random((surface.camera.width * surface.camera.height, 2), dtype=np.float32))
    visible, drawn = torch.zeros_like(unshadowed), torch.zeros_like(unshadowed)
    for start in range(0, len(unshadowed), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        visible[chunk], drawn[chunk] = _drawn_light(surface, chunk, light, bvh, shadow_rays, shift, rng)
    visible, drawn = surface.resolve(visible), surface.resolve(drawn)
    return surface.resolve(unshadowed) * torch.where(drawn > 0, visible / drawn, 1.0)


def _camera_rays(camera: Camera, samples: int, rng: np.random.Generator) -> Tensor:
    """Unit directions [H W samples, 3], pixel by pixel, of rays that fill a random Latin square in every pixel."""
    pixels = camera.width * camera.height
    strata = np.stack([np.tile(np.arange(samples, dtype=np.float32), (pixels, 1)) for _ in range(2)])
    strata[1] = rng.permuted(strata[1], axis=1)
    inside = torch.from_numpy((strata + rng.random(strata.shape, dtype=np.float32)) / samples)
    pixel = torch.arange(pixels)
    fx, fy, cx, cy = camera.intrinsics
    x = ((pixel % camera.width)[:, None] + inside[0] - cx) / fx
    y = ((pixel // camera.width)[:, None] + inside[1] - cy) / fy
    in_camera = torch.stack([x, y, torch.ones_like(x)], -1).reshape(-1, 3)
    return torch.nn.functional.normalize(in_camera @ camera.world_to_camera[:, :3], dim=1).contiguous()


def _drawn_light(
    surface: SurfaceSamples,
    chunk: slice,
    light: SampledLight,
    bvh: MeshBvh,
    count: int,
    shift: Tensor,
    rng: np.random.Generator,
) -> tuple[Tensor, Tensor]:
    """Estimates [n,3] of the reflected light with shadows and without, from the same drawn directions."""
    normal, view, material = surface.normal[chunk], surface.view[chunk], surface.material
    index = torch.arange(count // 2) * surface.samples + surface.sample[chunk, None]
    drawn = light.draw(normal, index, count // 2 * surface.samples, shift[surface.pixel[chunk]], rng)
    centre = light.texel_direction[drawn.texel]
    n_dot_l, l_dot_v = _dot(centre, normal), _dot(centre, view)
    above = (_dot(drawn.direction, normal) > 0) & (n_dot_l > 0)
    point, _ = above.nonzero(as_tuple=True)
    occluded = bvh.occluded(surface.origin[chunk][point], drawn.direction[above])

    one = torch.ones(())
    n_dot_v = (normal * view).sum(1, keepdim=True)
    lobe = specular_lobe(n_dot_l, n_dot_v, l_dot_v, one, one, material.roughness[chunk])
    sent = light.texel_radiance[drawn.texel] / (count * drawn.density)[..., None]

    def reflected(counted: Tensor) -> Tensor:
        diffuse = torch.einsum("nk,nkc->nc", counted * n_dot_l / math.pi, sent)
        specular = torch.einsum("nk,nkc->nc", counted * lobe, sent)
        return material.albedo[chunk] * diffuse + material.specular_albedo[chunk] * specular

    visible = above.masked_scatter(above, ~occluded)
    return reflected(visible.float()), reflected(above.float())


def _dot(directions: Tensor, vectors: Tensor) -> Tensor:
    """Products [N,K] of directions [N,K,3] with one vector [N,3] each."""
    return torch.einsum("nkc,nc->nk", directions, vectors)


def _interpolate(barycentric: Tensor, corners: Tensor) -> Tensor:
    """Values [N,C] at `barycentric` [N,3] between `corners` [N,3,C]."""
    return (barycentric[..., None] * corners).sum(1)


def _smooth_position(barycentric: Tensor, vertices: Tensor, normals: Tensor) -> Tensor:
    """Points [N,3] lifted from flat triangles to the surface their vertex normals describe.

    Without it the edge of a shadow on a curved surface shows the triangles (Hanika, Ray Tracing Gems II, ch. 4).
    """
    flat = _interpolate(barycentric, vertices)
    above = ((flat[:, None] - vertices) * normals).sum(-1, keepdim=True).clamp(max=0)
    return flat - _interpolate(barycentric, above * normals)

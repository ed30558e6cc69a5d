"""From an avatar to a picture in pure functions: pose, attach, light, splat.

The same stages work on two kinds of tables. The learned ones are the avatar's own tensors, through which gradients
flow; training uses them. The packed ones hold the same numbers in the layout and precision that draws a frame fastest.
"""

from collections.abc import Callable, Sequence
from enum import Enum
from typing import NamedTuple

import gaussian_blendshapes
import torch
from diff_envshade import PointVisibility
from diff_gaussian_rasterization import Rasterization, rasterize
from gaussian_blendshapes import Anchors, GaussianTable, PosedMesh
from torch import Tensor

from ..avatar import Avatar, PosedGaussians
from ..avatar.attachment import Attachment
from ..scene import Lens
from ..shading import AttachedSurface, Bounce, Lit, Surface


class Shows(Enum):
    """What the values of a layer are, which says how a screen shows them."""

    LIGHT = "light"
    """Linear light; grows with the exposure."""
    COLOUR = "colour"
    """Linear reflectance."""
    DIRECTION = "direction"
    """Unit vectors in world space."""
    NUMBER = "number"
    """One number from 0 to 1."""

    @property
    def channels(self) -> int:
        """Values a pixel."""
        return 1 if self is Shows.NUMBER else 3


class Layer(NamedTuple):
    """Something that can be drawn beside the colour."""

    shows: Shows
    of: Callable[[PosedGaussians, AttachedSurface, Lit], Tensor]
    """Its values [P, C] at every Gaussian."""


LAYERS: dict[str, Layer] = {
    "albedo": Layer(Shows.COLOUR, lambda gaussians, surface, lit: gaussians.albedo),
    "normal": Layer(Shows.DIRECTION, lambda gaussians, surface, lit: surface.normals),
    "roughness": Layer(Shows.NUMBER, lambda gaussians, surface, lit: gaussians.roughness),
    "specular_albedo": Layer(Shows.NUMBER, lambda gaussians, surface, lit: gaussians.specular_albedo[:, :1]),
    "diffuse": Layer(Shows.LIGHT, lambda gaussians, surface, lit: lit.diffuse),
    "specular": Layer(Shows.LIGHT, lambda gaussians, surface, lit: lit.specular),
    "irradiance": Layer(Shows.LIGHT, lambda gaussians, surface, lit: lit.irradiance),
    "occlusion": Layer(Shows.NUMBER, lambda gaussians, surface, lit: _occlusion(surface)),
}
"""What can be drawn beside the colour. Occlusion is the cosine-weighted share of the hemisphere that the head itself
blocks, 0 without visibility."""


def _occlusion(surface: AttachedSurface) -> Tensor:
    return torch.zeros_like(surface.normals[:, :1]) if surface.occlusion is None else surface.occlusion


def pose_packed(table: GaussianTable, mesh: PosedMesh) -> PosedGaussians:
    """The Gaussians of a packed avatar on its posed mesh."""
    posed = gaussian_blendshapes.pose_gaussians(table, mesh.weights, mesh.transforms)._asdict()
    specular = posed.pop("specular")
    return PosedGaussians(specular_albedo=specular.expand(-1, 3), **posed)


def attach_learned(
    avatar: Avatar,
    means: Tensor,  # [P, 3]
    rotations: Tensor,  # [P, 4] of the axes in which normals lean from the mesh's
    surface: Surface,
    world_to_camera: Tensor,  # [3, 4]
) -> AttachedSurface:
    """The surface points of an avatar's Gaussians, differentiable in their means and normal offsets."""
    anchors = Anchors(avatar.head.faces[avatar.attachment.face_id].int(), avatar.attachment.barycentric)
    offset = avatar.neutral["normal_offset"]
    return _attached(anchors, surface.normals, surface.occlusion, offset, means, rotations, world_to_camera)


def attach_packed(
    table: GaussianTable,
    gaussians: PosedGaussians,
    mesh: PosedMesh,
    occlusion: Tensor | None,  # [V, 1]
    world_to_camera: Tensor,  # [3, 4]
) -> AttachedSurface:
    """The surface points of a packed avatar's Gaussians, in one launch."""
    means, rotations = gaussians.means, gaussians.rotations
    return _attached(table.anchors, mesh.normals, occlusion, table.normal_offset, means, rotations, world_to_camera)


def _attached(
    anchors: Anchors,
    normals: Tensor,  # [V, 3]
    occlusion: Tensor | None,  # [V, 1]
    normal_offset: Tensor,
    means: Tensor,
    rotations: Tensor,
    world_to_camera: Tensor,
) -> AttachedSurface:
    of_vertices = None if occlusion is None else occlusion[:, 0]
    attached = gaussian_blendshapes.attach(
        anchors, normals, of_vertices, normal_offset, means, rotations, world_to_camera
    )
    return AttachedSurface(attached.normals, attached.views, None if occlusion is None else attached.occlusion)


def visible_to(attachment: Attachment, faces: Tensor, words: Tensor | None) -> PointVisibility | None:
    """What every Gaussian sees of the light: the visibility words [V, S] of the mesh at its surface point.

    Args:
        faces: [F, 3] int32.
    """
    if words is None:
        return None
    return PointVisibility(words, faces, attachment.face_id, attachment.barycentric)


def light_from_head(
    bounce: Bounce | None,
    avatar: Avatar,
    gaussians: PosedGaussians,
    surface: Surface,
    envmap: Tensor,
    light_to_world: Tensor | None,
) -> Tensor | None:
    """What every Gaussian receives from the head itself, [P, 3] irradiance over pi; None without `bounce`."""
    if bounce is None:
        return None
    of_vertices = bounce.irradiance(surface, gaussians.albedo, avatar.region(), envmap, light_to_world)
    return avatar.attachment.interpolate(of_vertices, avatar.head.faces)


def layers_of(names: Sequence[str], gaussians: PosedGaussians, surface: AttachedSurface, lit: Lit) -> Tensor:
    """The radiance and the layers called `names`, side by side, [P, 3 + C]."""
    return torch.cat([lit.radiance, *(LAYERS[name].of(gaussians, surface, lit) for name in names)], dim=1)


def splat(
    gaussians: PosedGaussians,
    features: Tensor,  # [P, C]
    world_to_camera: Tensor,  # [3, 4]
    lens: Lens,
    antialias: bool,
    screen_points: Tensor | None = None,
    capacity: int | None = None,
) -> Rasterization:
    """Composite any per-Gaussian features.

    Args:
        lens: intrinsics in pixels, width and height of the picture.
        antialias: as the avatar was fitted.
        screen_points: [P, 2] zeros that collect the gradient that density control reads.
        capacity: room for pairs of a Gaussian and a tile, for CUDA graphs; see `diff_gaussian_rasterization.rasterize`.
    """
    return rasterize(
        gaussians.means,
        gaussians.rotations,
        gaussians.scales,
        gaussians.opacities,
        features,
        world_to_camera,
        *lens,
        screen_points=screen_points,
        capacity=capacity,
        antialias=antialias,
    )

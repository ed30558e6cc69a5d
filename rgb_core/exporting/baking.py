"""Materials of the Gaussians as textures on the mesh's UV layout."""

import io
from dataclasses import dataclass

import numpy as np
import torch
from mesh_rasterizer import rasterize
from PIL import Image
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree

from ..avatar import Avatar
from ..avatar.materials import MIN_ROUGHNESS
from ..heads import HeadModel, vertex_normals
from ..images import linear_to_srgb
from ..rotations import quaternion_rotate
from .parts import PARTS, part_of

SIZE = 1024  # texels a side
_NEIGHBOURS = 8  # Gaussians that a texel mixes
_LEAST_SPREAD = 4e-4  # metres: Gaussians thinner than this still reach the texels around them


@dataclass(frozen=True)
class Textures:
    """PNG pictures by what glTF calls them, and the mean specular albedo."""

    base_color: bytes
    metallic_roughness: bytes
    normal: bytes
    specular: float


def bake(avatar: Avatar) -> Textures | None:
    """The textures of the neutral avatar; None where the head has no UV layout.

    Every texel mixes the Gaussians nearest to its point of the surface that belong to the same part of the head, so
    that lids do not paint the eyes nor lips the teeth.
    """
    head = avatar.head
    if head.uv is None or head.uv_faces is None:
        return None
    face, barycentric, texel = _layout(head.uv, head.uv_faces)
    corners = head.faces[face]
    points = (barycentric[:, :, None] * head.vertices[corners]).sum(1)
    normals = _unit((barycentric[:, :, None] * vertex_normals(head.vertices, head.faces)[corners]).sum(1))
    values = _gaussian_values(avatar)
    mixed = torch.zeros(len(points), values.shape[1])
    texel_part = part_of(head.region[corners[:, 0]])
    gaussian_part = part_of(avatar.region())
    for part in range(len(PARTS)):
        here, own = (texel_part == part).nonzero()[:, 0], (gaussian_part == part).nonzero()[:, 0]
        if len(here):
            own = own if len(own) else torch.arange(avatar.count)
            mixed[here] = _mix(avatar, own, points[here], values[own])
    albedo, roughness, specular, lean = mixed.split([3, 1, 1, 3], dim=1)
    tangents = corner_tangents(head, head.uv, head.uv_faces)[head.uv_faces[face]]
    tangent = _tangent_space((barycentric[:, :, None] * tangents).sum(1), normals, _unit(normals + lean))
    return Textures(
        base_color=_png(linear_to_srgb(albedo), texel),
        metallic_roughness=_png(
            torch.cat([torch.ones_like(roughness), roughness, torch.zeros_like(roughness)], 1), texel
        ),
        normal=_png(0.5 + 0.5 * tangent, texel),
        specular=float(specular.mean()),
    )


def _layout(uv: torch.Tensor, uv_faces: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Of every covered texel its face [N], barycentric coordinates [N, 3], and row and column [N, 2]."""
    flat = torch.stack(
        [uv[:, 0], 1 - uv[:, 1], torch.ones(len(uv))], dim=1
    )  # a metre before a camera, row 0 at the top
    lens = torch.tensor([[float(SIZE), float(SIZE), 0.0, 0.0]])
    drawn = rasterize(flat[None].contiguous(), uv_faces, lens, SIZE, SIZE)
    texel = (drawn.face_id[0] >= 0).nonzero()
    return drawn.face_id[0][texel[:, 0], texel[:, 1]], drawn.barycentric[0][texel[:, 0], texel[:, 1]], texel


def _gaussian_values(avatar: Avatar) -> torch.Tensor:
    """Albedo, roughness, specular albedo and the lean of the normal from the mesh's [P, 8] on the neutral face."""
    neutral = avatar.neutral
    roughness = MIN_ROUGHNESS + (1 - MIN_ROUGHNESS) * torch.sigmoid(neutral["roughness"])
    lean = quaternion_rotate(_unit(neutral["rotation"]), neutral["normal_offset"])
    parts = [torch.sigmoid(neutral["albedo"]), roughness, torch.sigmoid(neutral["specular"]), lean]
    return torch.cat(parts, dim=1).detach().cpu()


def _mix(avatar: Avatar, own: torch.Tensor, points: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Values [N, C] at points [N, 3]: of the nearest Gaussians, weighted by opacity and how far each reaches."""
    head = avatar.head
    anchors = avatar.attachment.interpolate(head.vertices, head.faces)[own].cpu()
    count = min(_NEIGHBOURS, len(own))
    distance, index = cKDTree(anchors.numpy()).query(points.numpy(), count)
    near = torch.from_numpy(np.asarray(index).reshape(len(points), count))
    away = torch.from_numpy(np.asarray(distance).reshape(len(points), count)).float()
    spread = avatar.neutral["log_scale"][own].exp().amax(1).clamp_min(_LEAST_SPREAD).cpu()
    opacity = torch.sigmoid(avatar.neutral["opacity"][own, 0]).cpu()
    power = -0.5 * (away / spread[near]).square()
    weight = opacity[near] * torch.exp(power - power.amax(1, keepdim=True))  # far from all, the nearest one counts
    return (weight[:, :, None] * values[near]).sum(1) / weight.sum(1, keepdim=True)


def corner_tangents(head: HeadModel, uv: torch.Tensor, uv_faces: torch.Tensor) -> torch.Tensor:
    """Where u grows along the surface, at the corners of the UV layout [T, 4]: a unit vector, and the sense of v.

    glTF's bitangent is the fourth number times normal x tangent. A corner takes the sum over the faces that share it.
    """
    triangle, flat = head.vertices[head.faces], uv[uv_faces]
    (e1, e2), (d1, d2) = ((values[:, 1] - values[:, 0], values[:, 2] - values[:, 0]) for values in (triangle, flat))
    sense = (d1[:, 0] * d2[:, 1] - d1[:, 1] * d2[:, 0]).sign()[:, None]
    along = (e1 * d2[:, 1:] - e2 * d1[:, 1:]) * sense
    vertex = torch.zeros(len(uv), dtype=torch.int64)
    total = torch.zeros(len(uv), 4)
    for corner in range(3):
        total.index_add_(0, uv_faces[:, corner], torch.cat([along, sense], dim=1))
        vertex[uv_faces[:, corner]] = head.faces[:, corner]
    normal = vertex_normals(head.vertices, head.faces)[vertex]
    tangent = total[:, :3] - (total[:, :3] * normal).sum(1, keepdim=True) * normal
    return torch.cat([_unit(tangent), torch.where(total[:, 3:] < 0, -1.0, 1.0)], dim=1)


def _tangent_space(tangents: torch.Tensor, normals: torch.Tensor, leaning: torch.Tensor) -> torch.Tensor:
    """Directions `leaning` [N, 3] along tangents [N, 4] as glTF has them, bitangents and normals."""
    tangent = _unit(tangents[:, :3] - (tangents[:, :3] * normals).sum(1, keepdim=True) * normals)
    bitangent = torch.linalg.cross(normals, tangent) * tangents[:, 3:].sign()
    return torch.stack([(leaning * axis).sum(1) for axis in (tangent, bitangent, normals)], dim=1)


def _png(values: torch.Tensor, texel: torch.Tensor) -> bytes:
    """A picture of values [N, 3] at their texels; what no triangle covers takes the nearest one's colour."""
    picture = np.zeros((SIZE, SIZE, 3), np.uint8)
    covered = np.zeros((SIZE, SIZE), bool)
    rows, columns = texel.T.numpy()
    picture[rows, columns] = (values.clamp(0, 1) * 255).round().numpy().astype(np.uint8)
    covered[rows, columns] = True
    _, (row, column) = distance_transform_edt(~covered, return_indices=True)
    file = io.BytesIO()
    Image.fromarray(picture[row, column]).save(file, "PNG")
    return file.getvalue()


def _unit(vectors: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.normalize(vectors, dim=1)

"""Which pixels lie in the cast shadow of a light that has one main direction."""

import math

import torch
from diff_envshade import texel_directions, texel_solid_angles
from torch import Tensor
from torchoptixext_visibility import MeshBvh

from ..scene import Camera

_LAMP_RADIUS = math.radians(10.0)  # around the brightest texel
_LEAST_SHARE = 0.3  # of all light that a lamp must send to count as the main one
_LEAVE_SURFACE = 5e-4  # metres from a surface point at which its shadow ray starts


def main_direction(envmap: Tensor) -> Tensor | None:
    """[3] unit, towards the one lamp of `envmap` [3, h, w]; None where no lamp sends a large share of the light."""
    height, width = envmap.shape[1:]
    directions = texel_directions(height, width)
    radiance = envmap.mean(0).flatten()
    energy = radiance * texel_solid_angles(height, width)
    near = directions @ directions[radiance.argmax()] > math.cos(_LAMP_RADIUS)
    if float(energy[near].sum()) < _LEAST_SHARE * float(energy.sum()):
        return None
    return torch.nn.functional.normalize((energy[near, None] * directions[near]).sum(0), dim=0)


def cast_shadow(vertices: Tensor, faces: Tensor, camera: Camera, direction: Tensor) -> Tensor:
    """bool [H, W]: pixels whose surface faces `direction` [3] but does not see it, since the mesh is in the way.

    Args:
        vertices: [V, 3] world metres; faces: [F, 3].
    """
    bvh = MeshBvh(vertices, faces)
    rays = camera.ray_directions().reshape(-1, 3)
    hits = bvh.trace(camera.center.expand_as(rays).contiguous(), rays)
    found = hits.face_id >= 0
    corners = vertices[faces[hits.face_id[found]].long()]
    normal = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normal = torch.nn.functional.normalize(normal, dim=1)
    normal = normal * -torch.sign((normal * rays[found]).sum(1, keepdim=True))
    start = camera.center + hits.t[found, None] * rays[found] + _LEAVE_SURFACE * normal
    hidden = bvh.occluded(start, direction.expand_as(start).contiguous())
    shadow = torch.zeros(len(rays), dtype=torch.bool)
    shadow[found] = hidden & (normal @ direction > 0)
    return shadow.view(camera.height, camera.width)

"""Which pixels lie in the cast shadow of a light that has one main direction."""

import torch
from torch import Tensor
from torchoptixext_visibility import MeshBvh

from ..scene import Camera

_LEAVE_SURFACE = 5e-4  # metres from a surface point at which its shadow ray starts


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

"""Light that one part of a head sends to another: one bounce between the vertices that see each other.

What blocks the light of a vertex is found once, on the neutral face, by rays of equal cosine-weighted shares; how much
it blocks, and how bright what blocks it is, follow from the posed mesh and the light of every frame.
"""

import math

import torch
from diff_envshade import PointVisibility, integrate
from torch import Tensor
from torchoptixext_visibility import MeshBvh

from ..avatar import Avatar
from ..heads import HeadModel, vertex_normals
from ..heads.regions import Region
from .lighting import one_bounce_gain
from .surface import RAY_OFFSET, Surface

_RAYS = 32
_GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))


class Bounce:
    """What the vertices of a head see of the head.

    Args:
        head: V vertices, in the neutral expression and the pose at rest.
    """

    def __init__(self, head: HeadModel):
        normals = vertex_normals(head.vertices, head.faces)
        directions = _cosine_weighted(normals)
        origins = (head.vertices + RAY_OFFSET * normals)[:, None].expand_as(directions)
        bvh = MeshBvh(head.vertices, head.faces)
        hits = bvh.trace(origins.reshape(-1, 3).contiguous(), directions.reshape(-1, 3).contiguous())
        corner = hits.barycentric.argmax(1, keepdim=True)
        nearest = head.faces[hits.face_id.clamp_min(0)].gather(1, corner).view(len(normals), _RAYS)
        blocked = (hits.face_id >= 0).view(len(normals), _RAYS)
        self._seen = torch.where(blocked, nearest, 0)
        self._share = (blocked / blocked.sum(1, keepdim=True).clamp_min(1))[..., None]
        self._region = head.region.long()
        index = torch.arange(len(normals), device=normals.device)
        self._themselves = index.to(torch.int32)[:, None].expand(-1, 3).contiguous(), index
        self._first = torch.eye(3, device=normals.device)[:1].expand(len(normals), 3).contiguous()

    @classmethod
    def of(cls, avatar: Avatar) -> "Bounce | None":
        """That of an avatar's head; None for one whose blocked light is filled in otherwise, or not at all."""
        wanted = avatar.traced_bounce and avatar.one_bounce and avatar.visibility
        return cls(avatar.head) if wanted else None

    @property
    def seen(self) -> Tensor:
        """bool [V]: the vertices that another sees."""
        seen = torch.zeros_like(self._region, dtype=torch.bool)
        seen[self._seen[self._share[..., 0] > 0]] = True
        return seen

    @torch.no_grad()
    def irradiance(
        self,
        surface: Surface,
        albedo: Tensor,  # [P, 3] of the Gaussians
        region: Tensor,  # [P] theirs
        envmap: Tensor,
        light_to_world: Tensor | None,
    ) -> Tensor:
        """[V, 3] irradiance over pi that vertices receive from the head, without gradients.

        Every part of the head has one albedo here, the mean of its Gaussians. Further bounces are taken to be between
        surfaces like the point's own, as `one_bounce_gain` takes the first.
        """
        assert surface.visibility is not None
        assert surface.occlusion is not None
        part = _mean_by_region(albedo, region)[self._region]
        visibility = PointVisibility(surface.visibility, *self._themselves, self._first)
        rough = torch.ones_like(surface.occlusion)
        normals = surface.normals
        direct, _ = integrate(normals, normals, rough, envmap, visibility, light_to_world, enable_specular=False)
        sent = (part * direct)[self._seen]
        received = surface.occlusion * (self._share * sent).sum(1)
        return one_bounce_gain(received, part, surface.occlusion)


def _mean_by_region(values: Tensor, region: Tensor) -> Tensor:
    """Means [R, 3] of values [P, 3] by region code, 0 where a region has none; a product, whose sums have an order."""
    member = (region[:, None] == torch.arange(len(Region), device=region.device)).to(values)
    return (member.T @ values) / member.sum(0).clamp_min(1)[:, None]


def _cosine_weighted(normals: Tensor) -> Tensor:
    """Directions [V, _RAYS, 3] about normals [V, 3], each standing for the same cosine-weighted share."""
    index = torch.arange(_RAYS, device=normals.device) + 0.5
    radius, azimuth = (index / _RAYS).sqrt(), index * _GOLDEN_ANGLE
    helper = torch.where(normals[:, :1].abs() > 0.9, normals.new_tensor([0.0, 1, 0]), normals.new_tensor([1.0, 0, 0]))
    tangent = torch.nn.functional.normalize(torch.linalg.cross(helper, normals), dim=1)
    axes = torch.stack([tangent, torch.linalg.cross(normals, tangent), normals], dim=1)
    local = torch.stack([radius * azimuth.cos(), radius * azimuth.sin(), (1 - radius.square()).sqrt()], dim=1)
    return torch.einsum("sk,vkc->vsc", local, axes)

"""Materials, surface and light to the radiance of every Gaussian."""

from typing import NamedTuple

import torch
from diff_envshade import PointVisibility, shade

from ..avatar.attachment import Attachment
from ..avatar.model import PosedGaussians
from .surface import Surface

MOST_BOUNCES = 20.0  # times that blocked light makes a point brighter


class Lit(NamedTuple):
    """Shaded Gaussians, linear light."""

    radiance: torch.Tensor  # [P, 3] towards the camera
    irradiance: torch.Tensor  # [P, 3] of a white diffuse surface over pi: what the albedo is multiplied by
    normals: torch.Tensor  # [P, 3] unit


def light_gaussians(
    gaussians: PosedGaussians,
    attachment: Attachment,
    faces: torch.Tensor,  # [F, 3]
    surface: Surface,
    eye: torch.Tensor,  # [3] camera centre, world
    envmap: torch.Tensor,  # [3, H, W] linear radiance
    light_to_world: torch.Tensor | None = None,
    one_bounce: bool = True,
) -> Lit:
    """Shade every Gaussian with its normal and the visibility of the surface point it is attached to.

    With `one_bounce`, light that the head blocks is replaced by what the blocking skin sends on, taken to be as
    bright and as coloured as the point itself: the diffuse part is multiplied by 1 / (1 - albedo * occlusion).
    """
    normals = torch.nn.functional.normalize(attachment.interpolate(surface.normals, faces), dim=1)
    normals = torch.nn.functional.normalize(normals + gaussians.normal_offset, dim=1)
    view = torch.nn.functional.normalize(eye - gaussians.means, dim=1)
    bits = None
    if surface.visibility is not None:
        bits = PointVisibility(surface.visibility, faces.to(torch.int32), attachment.face_id, attachment.barycentric)
    shading = shade(
        normals, view, gaussians.albedo, gaussians.specular_albedo, gaussians.roughness, envmap, bits, light_to_world
    )
    if not one_bounce or surface.occlusion is None:
        return Lit(shading.radiance, shading.irradiance, normals)
    occlusion = attachment.interpolate(surface.occlusion, faces)
    diffuse = one_bounce_gain(gaussians.albedo * shading.irradiance, gaussians.albedo, occlusion)
    return Lit(diffuse + gaussians.specular_albedo * shading.specular, shading.irradiance, normals)


def one_bounce_gain(diffuse: torch.Tensor, albedo: torch.Tensor, occlusion: torch.Tensor) -> torch.Tensor:
    """Diffuse radiance [P, 3] with the light that hidden directions send on: divided by 1 - albedo * occlusion.

    At most MOST_BOUNCES times as bright: deep in the mouth the quotient has no bound as the albedo nears 1.
    """
    return diffuse / (1 - albedo * occlusion).clamp_min(1 / MOST_BOUNCES)

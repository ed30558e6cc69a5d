"""Materials, surface and light to the radiance of every Gaussian."""

from typing import NamedTuple

from diff_envshade import PointVisibility, integrate
from torch import Tensor

from ..avatar.model import PosedGaussians

MOST_BOUNCES = 20.0  # times that blocked light makes a point brighter


class AttachedSurface(NamedTuple):
    """The surface point of every Gaussian."""

    normals: Tensor
    """[P, 3] unit."""
    views: Tensor
    """[P, 3] unit, towards the camera."""
    occlusion: Tensor | None
    """[P, 1] cosine-weighted share of the hemisphere that the head itself blocks; None without visibility."""


class Lit(NamedTuple):
    """Shaded Gaussians, linear light."""

    radiance: Tensor
    """[P, 3] towards the camera: diffuse + specular."""
    diffuse: Tensor
    """[P, 3] its part from below the surface."""
    specular: Tensor
    """[P, 3] its part from the surface."""
    irradiance: Tensor
    """[P, 3] of a white diffuse surface over pi: what the albedo is multiplied by."""


def light_gaussians(
    gaussians: PosedGaussians,
    surface: AttachedSurface,
    visibility: PointVisibility | None,
    envmap: Tensor,  # [3, H, W] linear radiance
    light_to_world: Tensor | None,  # [3, 3], identity where None
    one_bounce: bool,
    from_head: Tensor | None = None,  # [P, 3]
) -> Lit:
    """Shade every Gaussian with the normal and the visibility of the surface point it is attached to.

    With `one_bounce`, light that the head blocks is replaced by what the blocking skin sends on, taken to be as
    bright and as coloured as the point itself: the diffuse part is multiplied by 1 / (1 - albedo * occlusion). With
    `from_head`, what `Bounce` found at the points, it is replaced by that.
    """
    irradiance, reflection = integrate(
        surface.normals, surface.views, gaussians.roughness, envmap, visibility, light_to_world
    )
    diffuse = gaussians.albedo * (irradiance if from_head is None else irradiance + from_head)
    if one_bounce and from_head is None and surface.occlusion is not None:
        diffuse = one_bounce_gain(diffuse, gaussians.albedo, surface.occlusion)
    specular = gaussians.specular_albedo * reflection
    return Lit(diffuse + specular, diffuse, specular, irradiance)


def one_bounce_gain(diffuse: Tensor, albedo: Tensor, occlusion: Tensor) -> Tensor:
    """Diffuse radiance [P, 3] with the light that hidden directions send on: divided by 1 - albedo * occlusion.

    At most MOST_BOUNCES times as bright: deep in the mouth the quotient has no bound as the albedo nears 1.
    """
    return diffuse / (1 - albedo * occlusion).clamp_min(1 / MOST_BOUNCES)

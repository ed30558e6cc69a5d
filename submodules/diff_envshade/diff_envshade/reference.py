"""The shading integrals in plain torch: any float dtype, differentiable by autograd, dense in points x texels."""

import math

import torch
from torch import Tensor

from .envmap import texel_directions, texel_solid_angles
from .visibility import PointVisibility, visibility_weights

# Reflectance of a dielectric at normal incidence (refractive index 1.5).
FRESNEL_0 = 0.04
# Keeps the distribution finite at its peak; it bites below a roughness of about 0.065.
MIN_DISTRIBUTION_DENOMINATOR = 1e-9
# |l + v|^2 below which light comes from straight behind the surface seen, and
# the half vector is only rounding: such light is not reflected.
MIN_HALF_SQUARED = 1e-6


def fresnel(l_dot_h: Tensor) -> Tensor:
    """Schlick's approximation for a dielectric."""
    return FRESNEL_0 + (1 - FRESNEL_0) * (1 - l_dot_h.clamp(0, 1)) ** 5


def distribution(n_dot_h_squared: Tensor, alpha_squared: Tensor) -> Tensor:
    """GGX density of microfacet normals, 1 / sr."""
    u = n_dot_h_squared * (alpha_squared - 1) + 1
    return alpha_squared / (math.pi * u * u).clamp(min=MIN_DISTRIBUTION_DENOMINATOR)


def masking(n_dot_x: Tensor, k: Tensor) -> Tensor:
    """Smith's masking in Schlick's form, divided by n.x, for n.x >= 0."""
    return 1 / (n_dot_x * (1 - k) + k)


def specular_lobe(
    n_dot_l: Tensor, n_dot_v: Tensor, l_dot_v: Tensor, l_squared: Tensor, v_squared: Tensor, roughness: Tensor
) -> Tensor:
    """Specular BRDF times n.l, 1 / sr, from dot products alone; 0 for light below the horizon.

    With h = (l + v) / |l + v| and q = |l + v|^2: l.h = (|l|^2 + l.v) / sqrt(q), n.h = (n.l + n.v) / sqrt(q). The
    masking terms cancel the denominator 4 n.l n.v, so the lobe stays finite for surfaces that face away.
    """
    k = (roughness + 1) ** 2 / 8
    q = l_squared + v_squared + 2 * l_dot_v
    inverse_length = q.clamp(min=MIN_HALF_SQUARED).rsqrt()
    l_dot_h = (l_squared + l_dot_v) * inverse_length
    n_dot_h_squared = ((n_dot_l + n_dot_v) * inverse_length) ** 2
    lit, facing = torch.where(q > MIN_HALF_SQUARED, torch.relu(n_dot_l), 0), torch.relu(n_dot_v)
    geometry = lit * masking(lit, k) * masking(facing, k)
    return fresnel(l_dot_h) * geometry * distribution(n_dot_h_squared, roughness**4) / 4


def integrate(
    normal: Tensor,
    view_dir: Tensor,
    roughness: Tensor,
    envmap: Tensor,
    visibility: PointVisibility | None,
    light_to_world: Tensor,
    enable_specular: bool,
) -> tuple[Tensor, Tensor]:
    """Irradiance over pi E [P, 3] and specular reflection S [P, 3]; arguments as in `ops.integrate`."""
    height, width = envmap.shape[1:]
    light = texel_directions(height, width, envmap.dtype, envmap.device) @ light_to_world.T
    radiance = (envmap.flatten(1) * texel_solid_angles(height, width, envmap.dtype, envmap.device)).T
    n_dot_l = normal @ light.T
    weights = torch.ones_like(n_dot_l)
    if visibility is not None:
        weights = visibility_weights(visibility, height * width, envmap.dtype)
    irradiance = (weights * torch.relu(n_dot_l) / math.pi) @ radiance
    if not enable_specular:
        return irradiance, torch.zeros_like(irradiance)
    lobe = specular_lobe(
        n_dot_l,
        (normal * view_dir).sum(-1, keepdim=True),
        view_dir @ light.T,
        light.square().sum(-1),
        view_dir.square().sum(-1, keepdim=True),
        roughness,
    )
    return irradiance, (weights * lobe) @ radiance

"""Real spherical harmonics of degrees 0 to 2: what a light looks like to a diffuse surface."""

import math

import torch
from diff_envshade import texel_directions, texel_solid_angles
from torch import Tensor

# Share of the light of each function that a diffuse surface keeps, by degree (Ramamoorthi and Hanrahan 2001).
_COSINE_LOBE = (1.0, 2 / 3, 2 / 3, 2 / 3, 1 / 4, 1 / 4, 1 / 4, 1 / 4, 1 / 4)


def light_basis(normals: Tensor) -> Tensor:
    """[...,9] real spherical harmonics to order two of unit normals [...,3], orthonormal over the sphere."""
    x, y, z = normals.unbind(-1)
    first, second = math.sqrt(3 / (4 * math.pi)), math.sqrt(15 / (4 * math.pi))
    return torch.stack(
        [
            torch.full_like(x, math.sqrt(1 / (4 * math.pi))),
            first * x,
            first * y,
            first * z,
            second * x * y,
            second * y * z,
            second * z * x,
            second / 2 * (x * x - y * y),
            second / math.sqrt(12) * (3 * z * z - 1),
        ],
        dim=-1,
    )


def irradiance(envmap: Tensor, directions: Tensor) -> Tensor:
    """Irradiance over pi [N, 3] of unshadowed surfaces that face `directions` [N, 3], under a map [3, H, W].

    From degrees 0 to 2: what lies above is below 1 % of the irradiance (Ramamoorthi and Hanrahan 2001).
    """
    height, width = envmap.shape[1:]
    basis = light_basis(texel_directions(height, width, device=envmap.device))
    solid_angles = texel_solid_angles(height, width, device=envmap.device)
    light = (envmap.flatten(1) * solid_angles) @ basis  # [3, 9]
    return light_basis(directions) @ (light * light.new_tensor(_COSINE_LOBE)).T

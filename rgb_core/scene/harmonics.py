"""Real spherical harmonics: what a light looks like when only its coarse structure counts."""

import math

import torch
from diff_envshade import texel_directions, texel_solid_angles
from torch import Tensor

# Share of the light of degrees 0 to 2 that a diffuse surface keeps (Ramamoorthi and Hanrahan 2001).
_COSINE_LOBE = (1.0, 2 / 3, 1 / 4)


def degrees(degree: int) -> Tensor:
    """Degree [(degree + 1)^2] of every function that `harmonics` evaluates."""
    return torch.cat([torch.full((2 * at + 1,), at) for at in range(degree + 1)])


def harmonics(directions: Tensor, degree: int) -> Tensor:
    """The real orthonormal spherical harmonics [N, (degree + 1)^2] of unit `directions` [N, 3] about +y, degree by
    degree, order -l to l.

    Computed by the usual recurrence of the associated Legendre functions, scaled so that it never overflows.
    """
    z, x, up = directions.double().unbind(1)
    cosine, sine = [torch.ones_like(up)], [torch.zeros_like(up)]  # of m azimuths, times sin^m of the polar angle
    for _ in range(degree):
        cosine.append(cosine[-1] * x - sine[-1] * z)
        sine.append(sine[-1] * x + cosine[-2] * z)
    columns: dict[tuple[int, int], Tensor] = {}
    for m in range(degree + 1):
        legendre: dict[int, Tensor] = {}
        for at in range(m, degree + 1):
            legendre[at] = _legendre(at, m, up, legendre)
            if m == 0:
                columns[at, 0] = legendre[at]
            else:
                columns[at, m] = math.sqrt(2) * legendre[at] * cosine[m]
                columns[at, -m] = math.sqrt(2) * legendre[at] * sine[m]
    return torch.stack([columns[at, m] for at in range(degree + 1) for m in range(-at, at + 1)], 1).to(directions)


def _legendre(at: int, m: int, up: Tensor, lower: dict[int, Tensor]) -> Tensor:
    """The normalised associated Legendre function of degree `at` and order m over sin^m, from those of lower degree."""
    if at == m:
        product = math.prod((2 * k + 1) / (2 * k) for k in range(1, m + 1))
        return torch.full_like(up, math.sqrt(product / (4 * math.pi)))
    a = math.sqrt((4 * at**2 - 1) / (at**2 - m**2))
    if at == m + 1:
        return a * up * lower[m]
    b = math.sqrt(((at - 1) ** 2 - m**2) / (4 * (at - 1) ** 2 - 1))
    return a * (up * lower[at - 1] - b * lower[at - 2])


def project(envmap: Tensor, degree: int) -> Tensor:
    """Coefficients [3, (degree + 1)^2] of a map [3, H, W]."""
    height, width = envmap.shape[1:]
    basis = harmonics(texel_directions(height, width, device=envmap.device), degree)
    solid_angles = texel_solid_angles(height, width, device=envmap.device)
    return (envmap.flatten(1) * solid_angles) @ basis


def irradiance(envmap: Tensor, directions: Tensor) -> Tensor:
    """Irradiance over pi [N, 3] of unshadowed surfaces that face `directions` [N, 3], from harmonics of order 3.

    Degrees 0 to 2: what lies above is below 1 % of the irradiance (Ramamoorthi and Hanrahan 2001).
    """
    coefficients = project(envmap, 2) * torch.tensor(_COSINE_LOBE, device=envmap.device)[degrees(2).to(envmap.device)]
    return harmonics(directions, 2) @ coefficients.T

"""View-dependent colour from spherical harmonics of degree 0 to 3, with the signs of 3D Gaussian splatting."""

import math

import torch
from kernel_runtime import ArgumentError

MAX_DEGREE = 3
_OFFSET = 0.5  # colour of zero coefficients


def basis(degree: int, directions: torch.Tensor) -> torch.Tensor:
    """Real spherical harmonics of unit directions [P,3], with the Condon-Shortley phase, [P,(degree+1)^2]."""
    x, y, z = directions.unbind(1)
    terms = [torch.full_like(x, math.sqrt(1 / (4 * math.pi)))]
    if degree >= 1:
        k = math.sqrt(3 / (4 * math.pi))
        terms += [-k * y, k * z, -k * x]
    if degree >= 2:
        k = math.sqrt(15 / (4 * math.pi))
        zonal = math.sqrt(5 / (16 * math.pi)) * (2 * z * z - x * x - y * y)
        terms += [k * x * y, -k * y * z, zonal, -k * x * z, k / 2 * (x * x - y * y)]
    if degree >= 3:
        k1, k2, k3 = (math.sqrt(n / (32 * math.pi)) for n in (21, 210, 35))
        zonal = math.sqrt(7 / (16 * math.pi)) * z * (2 * z * z - 3 * x * x - 3 * y * y)
        ring = 4 * z * z - x * x - y * y
        terms += [
            -k3 * y * (3 * x * x - y * y),
            2 * k2 * x * y * z,
            -k1 * y * ring,
            zonal,
            -k1 * x * ring,
            k2 * z * (x * x - y * y),
            -k3 * x * (x * x - 3 * y * y),
        ]
    return torch.stack(terms, 1)


def colors(degree: int, coefficients: torch.Tensor, directions: torch.Tensor) -> torch.Tensor:
    """Colours [P,3], not below 0, of coefficients [P,M,3] seen along unit directions [P,3]."""
    count = (degree + 1) ** 2
    if not 0 <= degree <= MAX_DEGREE:
        raise ArgumentError(f"sh_degree: expected 0 to {MAX_DEGREE}, got {degree}")
    if coefficients.ndim != 3 or coefficients.shape[1] < count:
        raise ArgumentError(f"shs: expected shape [P, {count} or more, 3], got {list(coefficients.shape)}")
    return (torch.einsum("pm,pmc->pc", basis(degree, directions), coefficients[:, :count]) + _OFFSET).clamp_min(0)

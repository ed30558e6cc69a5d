"""The light of a clip, as the renderer uses it: an environment map made for shading and for drawing directions from."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from diff_envshade import integrate, texel_directions, texel_solid_angles
from torch import Tensor

from ..scene.light import resample

SHADING_HEIGHT = 32
"""Rows of the map that shades; twice the avatar's, so that the avatar's 16x32 grid is not built into its target."""

_GOLDEN = (math.sqrt(5) - 1) / 2
_FACE_IRRADIANCE = 1.3  # what the brightly lit tenth of the face receives ('white diffuse'), so that skin does not clip


@dataclass(frozen=True)
class Directions:
    """Drawn directions `direction` [N,K,3], the `texel` [N,K] each lies in, and their `density` [N,K] per steradian."""

    direction: Tensor
    texel: Tensor
    density: Tensor


class SampledLight:
    """An environment map [3, H, W] of linear radiance that is constant within each texel."""

    def __init__(self, envmap: Tensor) -> None:
        self.envmap = envmap.contiguous()
        self.height, self.width = envmap.shape[1:]
        self.texel_direction = texel_directions(self.height, self.width)
        self.texel_radiance = envmap.reshape(3, -1).T.contiguous()
        power = self.texel_radiance.mean(1).double() * texel_solid_angles(self.height, self.width).double()
        self._cumulative = (power.cumsum(0) / power.sum()).float()
        self._cumulative[-1] = 1.0
        self._density = (self.texel_radiance.mean(1).double() / power.sum()).float()

    def draw(self, normal: Tensor, index: Tensor, total: int, shift: Tensor, rng: np.random.Generator) -> Directions:
        """Directions for each normal [N,3]: half by the light's power, half by the cosine, as one mixture.

        Args:
            normal: [N,3] unit vectors.
            index: [N,K/2] which points of two lattices of `total` points each to use; normals whose directions are
                averaged share the lattices and take different points, so that they are stratified together.
            total: number of points of a lattice.
            shift: [N,2] in 0..1, by which the lattices are moved.
            rng: for the place within a texel.
        """
        powerful = self._by_power(torch.remainder(index / total + shift[:, :1], 1.0), rng)
        cosine = _by_cosine(normal, index, total, shift)
        direction = torch.cat([powerful, cosine], 1)
        texel = self._texel_of(direction)
        cosine_density = torch.einsum("nkc,nc->nk", direction, normal).clamp(min=0) / math.pi
        density = 0.5 * (self._density[texel] + cosine_density)
        return Directions(direction, texel, density.clamp(min=torch.finfo(density.dtype).tiny))

    def _by_power(self, position: Tensor, rng: np.random.Generator) -> Tensor:
        jitter = torch.from_numpy(rng.random((2, *position.shape), dtype=np.float32))
        texel = torch.searchsorted(self._cumulative, position, right=True).clamp(max=self.height * self.width - 1)
        row, column = texel // self.width, texel % self.width
        upper = torch.sin(math.pi * (0.5 - row / self.height))
        lower = torch.sin(math.pi * (0.5 - (row + 1) / self.height))
        return _direction(lower + (upper - lower) * jitter[0], (column + jitter[1]) * (2 * math.pi / self.width))

    def _texel_of(self, direction: Tensor) -> Tensor:
        latitude = torch.asin(direction[..., 1].clamp(-1, 1))
        azimuth = torch.remainder(torch.atan2(direction[..., 2], direction[..., 0]), 2 * math.pi)
        row = ((0.5 - latitude / math.pi) * self.height).long().clamp(0, self.height - 1)
        column = (azimuth * (self.width / (2 * math.pi))).long().clamp(0, self.width - 1)
        return row * self.width + column


def exposed(envmap: Tensor, towards_camera: Tensor) -> Tensor:
    """`envmap` scaled so that a face is well exposed.

    The 90th percentile of the irradiance of surfaces whose normals lie within 60 degrees of `towards_camera` [3]
    becomes the same for every light.
    """
    normals = texel_directions(16, 32)
    normals = normals[normals @ towards_camera > 0.5].contiguous()
    small = resample(envmap, 16, 32).contiguous()
    irradiance, _ = integrate(normals, normals, torch.ones(len(normals), 1), small, enable_specular=False)
    return envmap * (_FACE_IRRADIANCE / torch.quantile(irradiance.mean(1), 0.9))


def _by_cosine(normal: Tensor, index: Tensor, total: int, shift: Tensor) -> Tensor:
    """Directions [N,K,3] around each normal with density cos / pi: points `index` [N,K] of a Fibonacci lattice."""
    azimuth = 2 * math.pi * (index / total + shift[:, :1])
    squared_sine = torch.remainder(index * _GOLDEN + shift[:, 1:], 1.0)
    sine, cosine = squared_sine.sqrt(), (1 - squared_sine).sqrt()
    tangent, bitangent = _tangents(normal)
    return (
        (sine * torch.cos(azimuth))[..., None] * tangent[:, None]
        + (sine * torch.sin(azimuth))[..., None] * bitangent[:, None]
        + cosine[..., None] * normal[:, None]
    )


def _tangents(normal: Tensor) -> tuple[Tensor, Tensor]:
    """Two unit vectors that complete each unit normal [N,3] to a frame (Duff et al. 2017)."""
    x, y, z = normal.unbind(1)
    sign = torch.where(z >= 0, 1.0, -1.0)
    a = -1 / (sign + z)
    b = x * y * a
    return torch.stack([1 + sign * x * x * a, sign * b, -sign * x], 1), torch.stack([b, sign + y * y * a, -y], 1)


def _direction(height: Tensor, azimuth: Tensor) -> Tensor:
    """Unit vectors from the sine of the latitude and the azimuth, in the convention of environment maps."""
    radius = (1 - height * height).clamp(min=0).sqrt()
    return torch.stack([radius * torch.cos(azimuth), height, radius * torch.sin(azimuth)], -1)

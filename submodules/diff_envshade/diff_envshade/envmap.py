"""Latitude-longitude environment maps: where each texel points, how much of the sphere it covers, lookup and blur.

Convention: +y is up and row 0 is the top. Column 0 starts at +x and columns turn from +x towards +z, so texel (i, j) of
an [H, W] map has latitude pi (1/2 - (i + 1/2) / H) and azimuth 2 pi (j + 1/2) / W. Texels are numbered i * W + j.
"""

import math

import kernel_runtime
import torch
from kernel_runtime import ArgumentError
from torch import Tensor
from torch.nn.functional import normalize

# Directions that blur_envmap evaluates at once, about 100 MB of temporaries.
_BLUR_BATCH = 1 << 20
_GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))


def texel_directions(
    height: int, width: int, dtype: torch.dtype = torch.float32, device: torch.device | str | None = None
) -> Tensor:
    """Unit directions [H*W, 3] of the texel centres, computed in float64 and rounded once to `dtype`."""
    _check_size(height, width)
    return torch.from_numpy(kernel_runtime.texel_directions(height, width)).to(device, dtype)


def texel_solid_angles(
    height: int, width: int, dtype: torch.dtype = torch.float32, device: torch.device | str | None = None
) -> Tensor:
    """Solid angles [H*W] of the texels in steradians; they add up to 4 pi.

    A row's band between its upper and lower edge covers 4 pi cos(latitude) sin(pi / 2H), shared by W texels.
    """
    _check_size(height, width)
    rows = torch.arange(height, dtype=torch.float64, device=device)
    latitude = math.pi * (0.5 - (rows + 0.5) / height)
    texel = 4 * math.pi / width * torch.cos(latitude) * math.sin(math.pi / (2 * height))
    return texel.repeat_interleave(width).to(dtype)


def sample_envmap(envmap: Tensor, directions: Tensor) -> Tensor:
    """Bilinear lookup of `envmap` [C, H, W] along `directions` [N, 3] of any length, as [N, C].

    Columns wrap around, rows end at the poles. Exactly at a pole the azimuth counts as 0. Differentiable in `envmap`.
    """
    channels, height, width = envmap.shape
    x, y, z = normalize(directions, dim=-1).unbind(-1)
    column = torch.remainder(torch.atan2(z, x) / (2 * math.pi), 1.0) * width - 0.5
    row = ((0.5 - torch.asin(y.clamp(-1, 1)) / math.pi) * height - 0.5).clamp(0, height - 1)
    left, top = column.floor(), row.floor()
    across, down = (column - left)[:, None], (row - top)[:, None]
    left = left.long().remainder(width)
    right = (left + 1).remainder(width)
    top = top.long()
    bottom = (top + 1).clamp(max=height - 1)
    texels = envmap.reshape(channels, height * width).t()
    upper = texels[top * width + left].lerp(texels[top * width + right], across)
    lower = texels[bottom * width + left].lerp(texels[bottom * width + right], across)
    return upper.lerp(lower, down)


def blur_envmap(envmap: Tensor, height: int, width: int, samples: int, alpha: float) -> Tensor:
    """Resample `envmap` [C, H, W] to [C, height, width], averaging over a lobe around each target texel's centre.

    The lobe is D(theta) cos(theta) of a GGX distribution with width `alpha`: tan^2(theta) = alpha^2 xi / (1 - xi) for
    xi uniform in [0, 1). The integral is a fixed quadrature of `samples` directions, equally likely in xi and turned
    by the golden angle from one to the next, so that results are repeatable.
    """
    _check_size(height, width)
    if samples < 1:
        raise ArgumentError(f"samples: expected at least 1, got {samples}")
    centres = texel_directions(height, width, envmap.dtype, envmap.device)
    tangent, bitangent = _tangent_frames(centres)
    index = torch.arange(samples, dtype=torch.float64, device=envmap.device)
    xi = (index + 0.5) / samples
    theta = torch.atan(alpha * torch.sqrt(xi / (1 - xi)))
    azimuth = index * _GOLDEN_ANGLE
    around = torch.stack((theta.sin() * azimuth.cos(), theta.sin() * azimuth.sin(), theta.cos()), dim=-1)
    frames = torch.stack((tangent, bitangent, centres), dim=1)
    total = envmap.new_zeros(height * width, envmap.shape[0])
    for batch in around.to(envmap.dtype).split(max(1, _BLUR_BATCH // (height * width))):
        directions = torch.einsum("sk,tkc->tsc", batch, frames)
        radiance = sample_envmap(envmap, directions.reshape(-1, 3))
        total += radiance.reshape(height * width, len(batch), -1).sum(dim=1)
    return (total / samples).t().reshape(envmap.shape[0], height, width)


def _tangent_frames(axes: Tensor) -> tuple[Tensor, Tensor]:
    """Two unit vectors orthogonal to each axis [N, 3] and to each other."""
    steep = (axes[:, :1].abs() > 0.9).to(axes.dtype)
    helper = torch.cat((1 - steep, steep, torch.zeros_like(steep)), dim=1)
    tangent = normalize(torch.linalg.cross(helper, axes), dim=-1)
    return tangent, torch.linalg.cross(axes, tangent)


def _check_size(height: int, width: int) -> None:
    if height < 1 or width < 1:
        raise ArgumentError(f"environment map: expected at least one texel, got {height} x {width}")

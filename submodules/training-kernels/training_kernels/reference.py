"""In plain torch, any float dtype: the oracle of the tests, and the CPU's implementation of what has no other there."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

from .tables import Correction, Neighbours, Ranges

_LEAST_ENTROPY = 1e-4  # opacities count as at least this far from 0 and 1


def window_mean(images: Tensor, weights: tuple[float, ...]) -> Tensor:
    """[N, H, W, C]; see `window.window_mean`."""
    radius = len(weights) - 1
    padded = pad(images, (0, 0, radius, radius, radius, radius))
    return _along(1, _along(2, padded, weights), weights)


def _along(axis: int, padded: Tensor, weights: tuple[float, ...]) -> Tensor:
    """Weighted sums along `axis`, which loses its padding."""
    radius = len(weights) - 1
    size = padded.shape[axis] - 2 * radius
    result = padded.narrow(axis, radius, size) * weights[0]
    for distance, weight in enumerate(weights[1:], start=1):
        result.add_(padded.narrow(axis, radius - distance, size), alpha=weight)
        result.add_(padded.narrow(axis, radius + distance, size), alpha=weight)
    return result


def similarity(a: Tensor, b: Tensor, weights: tuple[float, ...], c1: float, c2: float) -> tuple[Tensor, ...]:
    """S and its slopes by the windowed means of a, ab and aa; see `similarity.similarity`."""
    mean_a, mean_b, aa, bb, ab = window_mean(torch.stack([a, b, a * a, b * b, a * b]), weights)
    squares = mean_a * mean_a + mean_b * mean_b
    products = mean_a * mean_b
    luminance = 2 * products + c1
    structure = 2 * (ab - products) + c2
    luminance_norm = squares + c1
    structure_norm = aa + bb - squares + c2
    norm = luminance_norm * structure_norm
    value = luminance * structure / norm
    by_product = 2 * (structure - luminance) / norm
    by_squares = value * (1 / structure_norm - 1 / luminance_norm)
    by_mean = by_product * mean_b + 2 * by_squares * mean_a
    return value, by_mean, 2 * luminance / norm, -value / structure_norm


def similarity_backward(
    a: Tensor, b: Tensor, slopes: Sequence[Tensor], gradient: Tensor, weights: tuple[float, ...]
) -> Tensor:
    """Gradient by a."""
    # The window is symmetric, so that the blur is its own adjoint.
    first, cross, second = window_mean(torch.stack(tuple(slopes)) * gradient, weights)
    return first + b * cross + 2 * a * second


def move(means: Tensor, rotations: Tensor, raw: Tensor, correction: Correction) -> tuple[Tensor, Tensor]:
    """See `moving.move_rigidly`."""
    frame, root, centre, radians, metres = correction
    own = (raw - raw.mean(0)).index_select(0, frame)[0]
    axes = root[:3, :3]
    pivot = root[:3, 3] + axes @ centre
    spin, slide = axes @ (radians * own[:3]), axes @ (metres * own[3:])
    moved = means + slide + (means - pivot) @ _cross(spin).T
    return moved, rotations @ _left_product(spin).T


def _cross(vector: Tensor) -> Tensor:
    """The matrix [3, 3] whose product with any w is `vector` [3] x w."""
    return torch.linalg.cross(vector.expand(3, 3), torch.eye(3).to(vector)).T


def _left_product(spin: Tensor) -> Tensor:
    """The matrix [4, 4] that turns quaternions (w, x, y, z) by a small rotation vector [3] and keeps their length."""
    half = 0.5 * spin
    rest = torch.cat([half[:, None], _cross(half)], dim=1)
    matrix = torch.eye(4).to(spin) + torch.cat([pad(-half, (1, 0))[None], rest])
    return matrix / (1 + half.square().sum()).sqrt()


def priors(gaussians: Sequence[Tensor], ranges: Ranges) -> Tensor:
    """[6]; see `priors.gaussian_priors`."""
    position, scales, roughness, specular, opacities, lean = gaussians
    beyond = ((position - ranges.surface).norm(dim=1) - ranges.reach).clamp_min(0) / ranges.unit
    too_large = (scales / ranges.unit - ranges.largest).clamp_min(0)
    rough = _outside(roughness[:, 0], ranges.bounds[:, 0], ranges.bounds[:, 1])
    shiny = _outside(specular[:, 0], ranges.bounds[:, 2], ranges.bounds[:, 3])
    lack = (ranges.floor - opacities[:, 0]).clamp_min(0)
    p = opacities.clamp(_LEAST_ENTROPY, 1 - _LEAST_ENTROPY)
    squares = [beyond, too_large, torch.stack([rough, shiny]), lack, lean]
    means = [excess.square().mean() for excess in squares]
    means[2] = 2 * means[2]
    return torch.stack([*means, -(p * p.log() + (1 - p) * (1 - p).log()).mean()])


def _outside(value: Tensor, least: Tensor, most: Tensor) -> Tensor:
    """By how much values are above or below bounds."""
    return (value - most).clamp_min(0) - (least - value).clamp_min(0)


def unevenness(albedo: Tensor, pairs: Neighbours, black: float, robust: float) -> Tensor:
    """[]; see `priors.unevenness`."""
    logarithm = torch.log(albedo + black)
    difference = logarithm.index_select(0, pairs.first) - logarithm.index_select(0, pairs.second)
    return (difference.square().sum(1) + robust**2).sqrt().mean() - robust

"""Inputs of the kernels of an optimisation step."""

import torch
from gaussian_blendshapes import Anchors
from torch import Tensor
from torch.nn.functional import normalize, pad
from training_kernels import Correction, Measure, Neighbours, Ranges, SummedRows

_HALF_WINDOW = [0.2660, 0.2130, 0.1090, 0.0360, 0.0076, 0.0010]
_TOTAL = 2 * sum(_HALF_WINDOW) - _HALF_WINDOW[0]
MEASURE = Measure(tuple(weight / _TOTAL for weight in _HALF_WINDOW), 0.01**2, 0.03**2)


def prior_sample(points: int) -> tuple[list[Tensor], Ranges]:
    """Gaussians on both sides of every bound."""
    g = torch.Generator().manual_seed(points)
    position = 0.01 * torch.randn(points, 3, generator=g)
    unit = [torch.rand(points, 1, generator=g) for _ in range(3)]
    scales = 1e-3 * (1 + 8 * torch.rand(points, 3, generator=g))
    lean = torch.randn(points, 3, generator=g)
    least = 0.5 * torch.rand(points, 2, generator=g)
    bounds = torch.stack([least[:, 0], least[:, 0] + 0.2, least[:, 1], least[:, 1] + 0.3], dim=1)
    surface, reach = torch.zeros(points, 3), 0.02 * torch.rand(points, generator=g)
    ranges = Ranges(surface, reach, bounds, torch.rand(points, generator=g), 1e-3, 5.0)
    return [position, scales, *unit, lean], ranges


def pairs_of(first: Tensor, second: Tensor, count: int) -> Neighbours:
    """Pairs of `count` Gaussians, `first` sorted."""

    def starts(index: Tensor) -> Tensor:
        return pad(torch.bincount(index, minlength=count).cumsum(0), (1, 0))

    return Neighbours(first, second, starts(first), torch.argsort(second, stable=True), starts(second))


def unevenness_sample() -> tuple[Tensor, Neighbours]:
    """500 albedos and 0 to 4 neighbours of each."""
    g = torch.Generator().manual_seed(2)
    first = torch.arange(500).repeat_interleave(torch.randint(0, 5, (500,), generator=g))
    second = torch.randint(0, 500, (len(first),), generator=g)
    return torch.rand(500, 3, generator=g), pairs_of(first, second, 500)


def moved_sample(points: int, frames: int) -> tuple[list[Tensor], Correction]:
    """Gaussians, and corrections large enough for their second order to show."""
    g = torch.Generator().manual_seed(points)
    means = 0.1 * torch.randn(points, 3, generator=g)
    rotations = normalize(torch.randn(points, 4, generator=g), dim=1)
    root = torch.eye(4)
    root[:3, :3] = torch.linalg.qr(torch.randn(3, 3, generator=g)).Q
    root[:3, 3] = torch.randn(3, generator=g)
    frame = torch.tensor([frames // 2])
    return [means, rotations, torch.randn(frames, 6, generator=g)], Correction(frame, root, means.mean(0), 0.1, 0.1)


def attached_sample(points: int) -> tuple[Anchors, list[Tensor], list[Tensor]]:
    """Anchors; normals, occlusion, rotations and camera; normal offsets and means."""
    g = torch.Generator().manual_seed(7)
    weights = torch.rand(points, 3, generator=g)
    corners = torch.randint(0, 40, (points, 3), generator=g).int()
    rotations = normalize(torch.randn(points, 4, generator=g), dim=1)
    camera = torch.cat([torch.linalg.qr(torch.randn(3, 3, generator=g)).Q, torch.randn(3, 1, generator=g)], dim=1)
    normals = normalize(torch.randn(40, 3, generator=g), dim=1)
    fixed = [normals, torch.rand(40, generator=g), rotations, camera]
    free = [0.3 * torch.randn(points, 3, generator=g), 0.1 * torch.randn(points, 3, generator=g)]
    return Anchors(corners, weights / weights.sum(1, keepdim=True)), fixed, free


def pictures(shape: tuple[int, ...]) -> list[Tensor]:
    """Two pictures that resemble each other."""
    g = torch.Generator().manual_seed(shape[0])
    first = torch.rand(shape, generator=g)
    return [first, (first + 0.3 * torch.rand(shape, generator=g)).clamp(0, 1)]


def row_sample(rows: int) -> tuple[Tensor, SummedRows, list[Tensor], Tensor]:
    """Rows of 16 numbers, summed into 20."""
    g = torch.Generator().manual_seed(rows)
    weights = torch.randn(rows, generator=g) * (torch.rand(rows, generator=g) < 0.7)
    gradient = SummedRows(
        torch.randn(20, 16, generator=g), torch.randint(0, 20, (rows,), generator=g).int(), weights, 1e-2
    )
    moments = [torch.randn(rows, 16, generator=g), torch.rand(rows, 16, generator=g)]
    return torch.randn(rows, 16, generator=g), gradient, moments, torch.tensor(0.01)

"""Mean squared distance to the three nearest neighbours: the contract, argument checks and dispatch by device."""

import torch
from kernel_runtime import ArgumentError, as_numpy, check_tensor, device_of

from . import cpu, cuda


def mean_squared_distance(points: torch.Tensor) -> torch.Tensor:
    """Mean squared distance [P] from each of points [P,3] float32 to its three nearest others.

    Points at one place count as neighbours of each other at distance 0. With fewer than three others the mean is over
    those there are, and 0 for a single point. The result carries no gradient.

    Raises:
        ArgumentError: a wrong shape or dtype, or a coordinate that is not finite.
    """
    kind = device_of("mean_squared_distance", points)
    positions = check_tensor("points", points, (None, 3)).detach()
    if not torch.isfinite(positions).all():
        raise ArgumentError("points: holds values that are not finite")
    mean = torch.zeros_like(positions[:, 0])
    if len(points) < 2:
        return mean
    if kind == "cuda":
        return cuda.mean_nearest_distance2(positions)
    cpu.mean_nearest_distance2(as_numpy(positions), mean.numpy())
    return mean

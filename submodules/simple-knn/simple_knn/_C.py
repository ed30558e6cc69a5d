"""The upstream module name: `distCUDA2`."""

import numpy as np
import torch
from kernel_runtime import ArgumentError, as_numpy, check_tensor, require_cpu

from . import cpu


def distCUDA2(points: torch.Tensor) -> torch.Tensor:
    """Mean squared distance [P] from each of points [P,3] float32 to its three nearest others.

    Points at one place count as neighbours of each other at distance 0. With fewer than three others the mean is over
    those there are, and 0 for a single point. The result carries no gradient.

    Raises:
        ArgumentError: a wrong shape or dtype, or a coordinate that is not finite.
    """
    require_cpu("distCUDA2", points)
    positions = as_numpy(check_tensor("points", points, (None, 3)))
    if not np.isfinite(positions).all():
        raise ArgumentError("points: holds values that are not finite")
    mean = np.zeros(len(points), np.float32)
    if len(points) > 1:
        cpu.mean_nearest_distance2(positions, mean)
    return torch.from_numpy(mean)

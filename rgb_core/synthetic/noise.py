"""Smooth random functions of position, the raw material of skin, hair and relief."""

import numpy as np
import torch
from torch.nn import functional

_LATTICE = 48
CHANNELS = 4


class NoiseVolume:
    """Independent channels of periodic value noise: uniform random values on a lattice, blended smoothly between."""

    def __init__(self, rng: np.random.Generator) -> None:
        lattice = torch.from_numpy(rng.random((CHANNELS, _LATTICE, _LATTICE, _LATTICE), dtype=np.float32))
        # The first layer of every axis is repeated behind the last, so that interpolation wraps.
        self._lattice = functional.pad(lattice[None], (0, 1, 0, 1, 0, 1), mode="circular")

    def __call__(self, points: torch.Tensor, wavelength: float) -> torch.Tensor:
        """Noise [N, CHANNELS] in 0..1, mean 0.5, at `points` [N, 3]; lattice points are `wavelength` metres apart."""
        lattice_points = torch.remainder(points / wavelength, _LATTICE)
        cell = lattice_points.floor()
        fraction = lattice_points - cell
        smooth = cell + fraction * fraction * (3 - 2 * fraction)
        grid = smooth * (2 / _LATTICE) - 1
        sampled = functional.grid_sample(self._lattice, grid.view(1, -1, 1, 1, 3), align_corners=True)
        return sampled.view(CHANNELS, -1).T

    def layered(self, points: torch.Tensor, wavelengths: tuple[float, ...]) -> torch.Tensor:
        """Mean of one noise per wavelength, each half as strong as the one before; [N, CHANNELS] in 0..1."""
        weights = [0.5**octave for octave in range(len(wavelengths))]
        layers = [weight * self(points, wavelength) for weight, wavelength in zip(weights, wavelengths, strict=True)]
        return torch.stack(layers).sum(0) / sum(weights)


def smoothstep(low: float, high: float, value: torch.Tensor) -> torch.Tensor:
    """0 below `low`, 1 above `high`, a cubic without kinks between."""
    t = ((value - low) / (high - low)).clamp(0, 1)
    return t * t * (3 - 2 * t)

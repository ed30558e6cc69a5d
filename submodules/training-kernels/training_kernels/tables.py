"""What the operations are given beside the tensors that they work on."""

from typing import NamedTuple

from torch import Tensor


class SummedRows(NamedTuple):
    """The gradient of N rows summed into P: weights[n] times that by sum owner[n], and decay times the row."""

    by_sums: Tensor
    """[P, C]."""
    owner: Tensor
    """[N] int32."""
    weights: Tensor
    """[N]."""
    decay: float


class Correction(NamedTuple):
    """Whose motion it is and what it is counted in."""

    frame: Tensor
    """[1] int64, the row of the corrections."""
    root: Tensor
    """[4, 4] from the head to the world."""
    centre: Tensor
    """[3] of the head, what it turns about."""
    radians: float
    """One unit of a turn."""
    metres: float
    """One unit of a shift."""


class Ranges(NamedTuple):
    """What P Gaussians may be for nothing."""

    surface: Tensor
    """[P, 3] points that they belong to."""
    reach: Tensor
    """[P] how far they may be from it."""
    bounds: Tensor
    """[P, 4] least and largest roughness, least and largest specular albedo."""
    floor: Tensor
    """[P] least opacity."""
    unit: float
    """What lengths beyond them are counted in."""
    largest: float
    """Longest axis, in that unit."""


class Neighbours(NamedTuple):
    """M pairs of P Gaussians, sorted by the first."""

    first: Tensor
    """[M] int64."""
    second: Tensor
    """[M] int64."""
    first_offsets: Tensor
    """[P + 1] int64: the pairs whose first is p."""
    by_second: Tensor
    """[M] int64: the pairs sorted by the second."""
    second_offsets: Tensor
    """[P + 1] int64: the places in `by_second` of those whose second is p."""


class Measure(NamedTuple):
    """What SSIM is measured with."""

    weights: tuple[float, ...]
    """Of the one-dimensional window at distance 0, 1, ..., radius."""
    c1: float
    c2: float

"""Pseudo-albedo pictures of training frames that guide the materials at first."""

from pathlib import Path

from torch import Tensor

from ..data import Dataset, FrameMaps
from ..images import downsample, linear_to_rgba, rgba_to_linear


def albedo_maps(folder: Path, dataset: Dataset) -> FrameMaps:
    """The diffuse albedo in sRGB, straight alpha; reduced in linear premultiplied light.

    Raises:
        InputError: when the folder does not exist or has no picture for any training frame.
    """
    return FrameMaps(folder, dataset, "albedo picture", _reduce)


def _reduce(stored: Tensor, size: tuple[int, int]) -> Tensor:
    return linear_to_rgba(downsample(rgba_to_linear(stored), *size))

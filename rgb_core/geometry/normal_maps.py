"""Normal maps of training frames that supervise the mesh."""

from pathlib import Path

import torch
from torch import Tensor

from ..data import Dataset, FrameMaps
from ..images import downsample, to_bytes


def normal_maps(folder: Path, dataset: Dataset) -> FrameMaps:
    """World-space normals stored as (n + 1) / 2; reduced ones are means of unit length.

    Raises:
        InputError: when the folder does not exist or has no map for any training frame.
    """
    return FrameMaps(folder, dataset, "normal map", _reduce)


def _reduce(stored: Tensor, size: tuple[int, int]) -> Tensor:
    image = stored.float() / 255
    alpha = image[..., 3:]
    reduced = downsample(torch.cat([(2 * image[..., :3] - 1) * alpha, alpha], dim=-1), *size)
    normal = torch.nn.functional.normalize(reduced[..., :3], dim=-1)
    return to_bytes(torch.cat([(normal + 1) / 2, reduced[..., 3:]], dim=-1))

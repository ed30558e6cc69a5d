"""A folder of normal maps that supervise the mesh: one PNG per frame, as far as there are any."""

from pathlib import Path

import torch
from torch import Tensor

from ..data import Dataset, Frame
from ..errors import InputError
from ..images import downsample, read_png, to_bytes


class NormalMaps:
    """World-space normal maps `<frame id>.png`, stored as (n + 1) / 2, of the size of the dataset's images.

    Where a map has an alpha channel, only what is opaque counts.
    """

    def __init__(self, folder: Path, dataset: Dataset):
        """
        Raises:
            InputError: when the folder does not exist or has no map for any training frame.
        """
        self._stored = dataset.width, dataset.height
        self._folder = folder
        if not folder.is_dir():
            raise InputError(f"{folder} is not a folder of normal maps")
        if not any(self._path(frame).is_file() for frame in dataset.frames("train")):
            raise InputError(f"{folder} has no normal map of a training frame; name them <frame id>.png")

    def _path(self, frame: Frame) -> Path:
        return self._folder / f"{frame.id}.png"

    def load(self, frame: Frame, size: tuple[int, int]) -> Tensor:
        """uint8 [H,W,4] stored normal and alpha; zeros for a frame without a map.

        Raises:
            InputError: naming a file that is damaged or has another size.
        """
        width, height = size
        if not self._path(frame).is_file():
            return torch.zeros(height, width, 4, dtype=torch.uint8)
        image = read_png(self._path(frame), None, self._stored)
        if image.shape[2] == 3:
            image = torch.cat([image, torch.ones_like(image[..., :1])], dim=-1)
        if image.shape[2] != 4:
            raise InputError(f"{self._path(frame)} is grey; a normal map has three channels, or four with alpha")
        if size == self._stored:
            return to_bytes(image)
        alpha = image[..., 3:]
        reduced = downsample(torch.cat([(2 * image[..., :3] - 1) * alpha, alpha], dim=-1), *size)
        normal = torch.nn.functional.normalize(reduced[..., :3], dim=-1)
        return to_bytes(torch.cat([(normal + 1) / 2, reduced[..., 3:]], dim=-1))

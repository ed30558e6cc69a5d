"""A folder of pseudo-albedo pictures that guide the materials at first: one PNG per frame, as far as there are any."""

from pathlib import Path

import torch
from torch import Tensor

from ..data import Dataset, Frame
from ..errors import InputError
from ..images import downsample, linear_to_rgba, read_png, rgba_to_linear


class AlbedoMaps:
    """Pictures `<frame id>.png` of the diffuse albedo, sRGB, of the size of the dataset's images.

    Where a picture has an alpha channel, only what is opaque counts.
    """

    def __init__(self, folder: Path, dataset: Dataset):
        """
        Raises:
            InputError: when the folder does not exist or has no picture for any training frame.
        """
        self._stored = dataset.width, dataset.height
        self._folder = folder
        if not folder.is_dir():
            raise InputError(f"{folder} is not a folder of albedo pictures")
        if not any(self._path(frame).is_file() for frame in dataset.frames("train")):
            raise InputError(f"{folder} has no albedo of a training frame; name the pictures <frame id>.png")

    def _path(self, frame: Frame) -> Path:
        return self._folder / f"{frame.id}.png"

    def load(self, frame: Frame, size: tuple[int, int]) -> Tensor:
        """uint8 [H, W, 4] sRGB, straight alpha; transparent for a frame without a picture.

        Raises:
            InputError: naming a file that is damaged, grey, or of another size.
        """
        width, height = size
        if not self._path(frame).is_file():
            return torch.zeros(height, width, 4, dtype=torch.uint8)
        image = read_png(self._path(frame), None, self._stored, torch.uint8)
        if image.shape[2] == 3:
            image = torch.cat([image, torch.full_like(image[..., :1], 255)], dim=-1)
        if image.shape[2] != 4:
            raise InputError(f"{self._path(frame)} is grey; an albedo has three channels, or four with alpha")
        return image if size == self._stored else linear_to_rgba(downsample(rgba_to_linear(image), width, height))

"""A folder of pictures that say more about training frames: one PNG per frame, as far as there are any."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from ..errors import InputError
from ..images import read_png
from .dataset import Dataset
from .frame import Frame


class FrameMaps:
    """Pictures `<frame id>.png` of the size of the dataset's images; only what is opaque in them counts.

    Args:
        what: what a picture is called in messages.
        reduce: from uint8 [H, W, 4] to that of a smaller (width, height).
    """

    def __init__(self, folder: Path, dataset: Dataset, what: str, reduce: Callable[[Tensor, tuple[int, int]], Tensor]):
        """
        Raises:
            InputError: when the folder does not exist or has no picture for any training frame.
        """
        self._dataset = dataset
        self._stored = dataset.width, dataset.height
        self._folder, self._what, self._reduce = folder, what, reduce
        if not folder.is_dir():
            raise InputError(f"{folder} is not a folder of {what}s")
        if not self.files:
            raise InputError(f"{folder} has no {what} of a training frame; name them <frame id>.png")

    @property
    def files(self) -> dict[str, Path]:
        """The pictures of training frames by frame id, for `fingerprints.fingerprint`."""
        frames = self._dataset.frames("train")
        return {frame.id: self._path(frame) for frame in frames if self._path(frame).is_file()}

    def _path(self, frame: Frame) -> Path:
        return self._folder / f"{frame.id}.png"

    def load(self, frame: Frame, size: tuple[int, int]) -> Tensor:
        """uint8 [H, W, 4], the last channel alpha; zeros for a frame without a picture.

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
            raise InputError(f"{self._path(frame)} is grey; a {self._what} has three channels, or four with alpha")
        return image if size == self._stored else self._reduce(image, size)

"""A folder of pictures as a clip: in the order of their names, upright as their EXIF says."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from ...errors import InputError
from .video_stream import Video

SUFFIXES = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp"}
"""Of the files that are frames of a clip."""
_USUAL_RATE = 25.0
_BEHIND = (128, 128, 128)  # what shows through transparent pictures


@dataclass(frozen=True)
class PictureFolder(Video):
    """Pictures of one size; frame numbers count them from 0."""

    pictures: tuple[Path, ...]

    def frames(self, start: int = 0, end: int | None = None, stride: int = 1) -> Iterator[tuple[int, Tensor]]:
        """See `Video`."""
        for number in range(start, len(self.pictures) if end is None else min(end, len(self.pictures)), stride):
            picture = _read(self.pictures[number])
            if (picture.shape[1], picture.shape[0]) != self.size:
                raise InputError(
                    f"{self.pictures[number]} has {picture.shape[1]} x {picture.shape[0]} pixels, the first picture "
                    f"{self.size[0]} x {self.size[1]}; the frames of a clip have one size"
                )
            yield number, picture


def open_folder(path: Path, fps: float | None) -> PictureFolder:
    """The pictures of a folder as a clip of `fps` frames a second, 25 where it is None.

    Raises:
        InputError: when there is no picture, or the first one cannot be read.
    """
    pictures = [file for file in path.iterdir() if file.suffix.lower() in SUFFIXES and not file.name.startswith(".")]
    if not pictures:
        raise InputError(f"{path} holds no pictures (.png, .jpg, ...); give a video file or a folder of frames")
    pictures.sort(key=_natural)
    height, width, _ = _read(pictures[0]).shape
    notes = () if fps else (f"{path} does not say how fast it is: 25 frames a second are taken; see --fps",)
    return PictureFolder(path, (width, height), fps or _USUAL_RATE, len(pictures), notes, tuple(pictures))


def _natural(path: Path) -> list[tuple[int, str]]:
    """So that frame 10 comes after frame 9 whether or not numbers have leading zeros."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.name) if part]


def _read(path: Path) -> Tensor:
    """uint8 [H, W, 3], upright."""
    try:
        with Image.open(path) as stored:
            picture = ImageOps.exif_transpose(stored)
            if picture.mode.startswith("I"):  # 16 bits of grey, which Pillow would clip rather than scale
                picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
            if picture.has_transparency_data:
                picture = picture.convert("RGBA")
                picture = Image.alpha_composite(Image.new("RGBA", picture.size, (*_BEHIND, 255)), picture)
            return torch.from_numpy(np.array(picture.convert("RGB")))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"cannot read the picture {path}: {error}") from error

"""JPEG files as tensors."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from ..errors import InputError
from ..files import check_regular

_MOST_PIXELS = 1 << 28


def read_jpeg(path: Path) -> Tensor:
    """The sRGB values [H, W, 3] of a JPEG, 0 to 1, turned upright where it says how.

    Raises:
        InputError: when the file is missing, damaged, or no JPEG.
    """
    check_regular(path)
    try:
        with Image.open(path, formats=["JPEG"]) as image:
            if image.width * image.height > _MOST_PIXELS:
                raise InputError(f"{path} claims an impossible size of {image.width} x {image.height} pixels")
            pixels = np.array(ImageOps.exif_transpose(image).convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"{path} is a truncated or corrupt JPEG: {error}") from error
    return torch.from_numpy(pixels).float() / 255

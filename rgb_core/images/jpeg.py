"""JPEG files as strips of pixels."""

from pathlib import Path

from PIL import Image, ImageOps

from ..errors import InputError
from ..files import check_regular
from .png import strips_of
from .strips import Strips

_MOST_PIXELS = 1 << 28


def open_jpeg(path: Path) -> Strips:
    """The sRGB bytes of a JPEG in strips [rows, W, 3], turned upright where it says how.

    Raises:
        InputError: when the file is missing, damaged, or no JPEG.
    """
    check_regular(path)
    try:
        with Image.open(path, formats=["JPEG"]) as image:
            if image.width * image.height > _MOST_PIXELS:
                raise InputError(f"{path} claims an impossible size of {image.width} x {image.height} pixels")
            image.load()
            ImageOps.exif_transpose(image, in_place=True)
            return strips_of(image if image.mode == "RGB" else image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"{path} is a truncated or corrupt JPEG: {error}") from error

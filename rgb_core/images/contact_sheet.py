"""Many pictures on one sheet, each with a line of text below it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

_GAP = 6  # pixels between pictures
_FONT_SIZE = 14  # pixels
_LINE = 20  # pixels of height for a label
_BACKGROUND, _INK = (24, 24, 27), (228, 228, 231)


class Tile(NamedTuple):
    """A picture and what it shows."""

    image: Tensor
    """uint8 [H, W, 3]."""
    label: str = ""


def contact_sheet(rows: Sequence[Sequence[Tile]], tile_width: int | None = None) -> Tensor:
    """Arrange pictures in rows, aligned to the left.

    Args:
        rows: pictures of any sizes; rows may differ in length.
        tile_width: width in pixels that every picture is scaled to; None keeps the pictures' own sizes.

    Returns:
        uint8 [H, W, 3].

    Raises:
        ValueError: when there is no picture.
    """
    scaled = [[(_scaled(tile.image, tile_width), tile.label) for tile in row] for row in rows if row]
    if not scaled:
        raise ValueError("a contact sheet needs at least one picture")
    widths = [sum(image.width + _GAP for image, _ in row) + _GAP for row in scaled]
    heights = [max(image.height for image, _ in row) + _LINE + _GAP for row in scaled]
    sheet = Image.new("RGB", (max(widths), sum(heights) + _GAP), _BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(_FONT_SIZE)
    y = _GAP
    for row, height in zip(scaled, heights, strict=True):
        x = _GAP
        for image, label in row:
            sheet.paste(image, (x, y))
            draw.text((x, y + image.height + 2), _fitting(label, image.width, font), fill=_INK, font=font)
            x += image.width + _GAP
        y += height
    return torch.from_numpy(np.array(sheet))


def _scaled(image: Tensor, width: int | None) -> Image.Image:
    picture = Image.fromarray(np.ascontiguousarray(image.cpu().numpy()))
    if width is None or picture.width == width:
        return picture
    filter_ = Image.Resampling.NEAREST if picture.width < width else Image.Resampling.BOX
    return picture.resize((width, max(1, round(picture.height * width / picture.width))), filter_)


def _fitting(text: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """The longest beginning of `text` that is at most `width` pixels wide."""
    while text and font.getlength(text) > width:
        text = text[:-1]
    return text

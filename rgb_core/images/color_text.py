"""Colours as people write them."""

import re

import torch
from torch import Tensor

from ..errors import InputError, did_you_mean
from .color import srgb_to_linear

_HEX = re.compile(r"#([0-9a-f]{3}|[0-9a-f]{6})")
NAMED = {
    "black": "#000000", "white": "#ffffff", "grey": "#808080", "red": "#ff0000", "green": "#00ff00",
    "blue": "#0000ff", "yellow": "#ffff00", "cyan": "#00ffff", "magenta": "#ff00ff",
}  # fmt: skip
"""The colours that have a name."""


def parse_color(text: str, source: str) -> Tensor:
    """Linear light [3] of a colour written in sRGB: #rrggbb, #rgb, or a name of `NAMED`.

    Raises:
        InputError: when it is none; `source` begins the sentence.
    """
    written = NAMED.get(text.lower(), text.lower())
    if not _HEX.fullmatch(written):
        raise InputError(
            f"{source}: '{text}' is no colour{did_you_mean(text.lower(), NAMED)}; write #rrggbb, or one of "
            f"{', '.join(NAMED)}"
        )
    digits = written[1:] if len(written) == 7 else "".join(2 * digit for digit in written[1:])
    return srgb_to_linear(torch.tensor([int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]))

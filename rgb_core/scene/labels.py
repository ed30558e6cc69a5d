"""What a pixel shows: the semantic labels of a frame, in the order of CelebAMask-HQ."""

from collections.abc import Iterable
from enum import IntEnum

import torch
from torch import Tensor


class Label(IntEnum):
    """The codes of `semantic/*.png` (docs/formats.md); left and right are the head's own."""

    BACKGROUND = 0
    SKIN = 1
    LEFT_BROW = 2
    RIGHT_BROW = 3
    LEFT_EYE = 4
    RIGHT_EYE = 5
    GLASSES = 6
    LEFT_EAR = 7
    RIGHT_EAR = 8
    EARRING = 9
    NOSE = 10
    INNER_MOUTH = 11
    UPPER_LIP = 12
    LOWER_LIP = 13
    NECK = 14
    NECKLACE = 15
    CLOTH = 16
    HAIR = 17
    HAT = 18


BARE_SKIN = (
    Label.SKIN,
    Label.LEFT_EAR,
    Label.RIGHT_EAR,
    Label.NOSE,
    Label.UPPER_LIP,
    Label.LOWER_LIP,
    Label.NECK,
)
"""Skin in the widest sense: what scores call skin."""
FOREIGN = (Label.GLASSES, Label.EARRING, Label.NECKLACE, Label.CLOTH, Label.HAT)
"""Worn by the head, no part of it."""


def has_label(labels: Tensor, wanted: Iterable[Label]) -> Tensor:
    """bool, of the shape of `labels`: where the label is one of `wanted`."""
    return torch.isin(labels, torch.tensor(list(wanted), dtype=labels.dtype, device=labels.device))

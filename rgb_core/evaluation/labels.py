"""The semantic labels that scores are split by."""

import torch
from torch import Tensor

SKIN = (1, 7, 8, 10, 12, 13, 14)  # skin, ears, nose, lips, neck
NECK = (14,)
HAIR = (17,)


def has_label(labels: Tensor, wanted: tuple[int, ...]) -> Tensor:
    """bool, of the shape of `labels`: where the label is one of `wanted`."""
    return torch.isin(labels, torch.tensor(wanted, dtype=labels.dtype, device=labels.device))

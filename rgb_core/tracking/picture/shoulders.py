"""How far a matte that keeps the torso goes: as far as the head model does, ending softly."""

import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from ...heads import HeadModel
from ...heads.shoulders import lower_edge

_RIM = 0.03  # metres over which the matte fades towards the edge of the shoulders
_NOTHING = 0.004  # metres beside that edge without any, so that what lies beyond it, and takes the edge's, has none


def within_rim(head: HeadModel) -> Tensor:
    """[V] 1 on the head, falling smoothly to 0 at the lower edge of its shoulders."""
    distance = torch.cdist(head.vertices, head.vertices[lower_edge(head)]).amin(1)
    return _smooth((distance - _NOTHING) / _RIM)


def nearby(values: Tensor, known: Tensor, reach: float) -> Tensor:
    """[H, W] values known on a mask [H, W]; beside it those of the nearest known pixel, fading to 0 at `reach` pixels.

    They stay whole over half that distance.
    """
    if not bool(known.any()):
        return torch.zeros_like(values)
    distance, nearest = distance_transform_edt(~known.numpy(), return_indices=True)
    rows, columns = torch.from_numpy(nearest).long()
    return values[rows, columns] * _smooth(2 - 2 * torch.from_numpy(distance).to(values) / reach)


def _smooth(share: Tensor) -> Tensor:
    """Cubic from 0 to 1."""
    share = share.clamp(0, 1)
    return share * share * (3 - 2 * share)

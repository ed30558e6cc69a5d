"""What the tracking of the training frames gets wrong: a small motion of the skull per frame, found with the avatar."""

from dataclasses import replace

import torch
from torch import Tensor

from ..avatar import PosedGaussians
from .frames import FrameInputs

_RADIANS, _METRES = 1e-2, 1e-3  # one unit of a correction


class TrackingCorrections:
    """Turns and shifts of F frames in the axes of the head, `raw` [F, 6] in units of _RADIANS and _METRES.

    Only differences between frames count: what all share is the avatar's to learn, and test frames are drawn without.
    The surface that shades the Gaussians stays where it was; it would change by less than a texel of the light.
    """

    def __init__(self, raw: Tensor, centre: Tensor):
        """`centre` [3] is what the neutral head turns about, metres."""
        self.raw, self._centre = raw, centre

    def apply(self, gaussians: PosedGaussians, inputs: FrameInputs) -> PosedGaussians:
        """The Gaussians of a frame moved by its correction, to first order in the turn."""
        own = (self.raw - self.raw.mean(0)).index_select(0, inputs.index)[0]
        turn, shift = _RADIANS * own[:3], _METRES * own[3:]
        root = inputs.transforms[0]
        axes = root[:3, :3]
        local = (gaussians.means - root[:3, 3]) @ axes - self._centre
        moved = torch.linalg.cross(turn.expand_as(local), local) + shift
        means = gaussians.means + moved @ axes.T
        return replace(gaussians, means=means, rotations=_turned(gaussians.rotations, axes @ turn))

    def penalty(self) -> Tensor:
        """Mean square, []."""
        return self.raw.square().mean()


def _turned(quaternions: Tensor, turn: Tensor) -> Tensor:
    """Unit quaternions [P, 4] turned by a small rotation vector [3]."""
    w, axis = quaternions.split([1, 3], dim=1)
    half = 0.5 * turn.expand_as(axis)
    turned = torch.cat([w - (axis * half).sum(1, keepdim=True), axis + w * half + torch.linalg.cross(half, axis)], 1)
    return torch.nn.functional.normalize(turned, dim=1)

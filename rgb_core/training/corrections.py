"""What the tracking of training frames gets wrong: a small motion of the head per frame, found with the avatar."""

from dataclasses import replace

from torch import Tensor
from training_kernels import Correction, move_rigidly

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
        correction = Correction(inputs.index, inputs.transforms[0], self._centre, _RADIANS, _METRES)
        means, rotations = move_rigidly(gaussians.means, gaussians.rotations, self.raw, correction)
        return replace(gaussians, means=means, rotations=rotations)

    def penalty(self) -> Tensor:
        """Mean square, []."""
        return self.raw.square().mean()

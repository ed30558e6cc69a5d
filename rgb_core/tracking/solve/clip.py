"""What a fit of a clip comes to."""

from dataclasses import dataclass

from torch import Tensor

from ...heads import Pose


@dataclass(frozen=True)
class TrackedClip:
    """The fit in the terms of a dataset."""

    pose: Pose
    """Of all N frames, float64."""
    shape: Tensor
    """[S]."""
    focal: float
    """Pixels of the video."""
    world_to_camera: Tensor
    """[3, 4], the same for all frames."""
    projected: Tensor
    """[N, 478, 2] the fitted landmarks in pixels of the video."""

"""What a fit of a clip comes to."""

from dataclasses import dataclass

from torch import Tensor

from ...heads import Pose


@dataclass(frozen=True)
class TrackedClip:
    """The fit in the terms of a dataset.

    Attributes:
        pose: of all N frames, float64. shape: [S].
        focal: pixels of the video. world_to_camera: [3, 4], the same for all frames.
        projected: [N, 478, 2] the fitted landmarks in pixels of the video.
    """

    pose: Pose
    shape: Tensor
    focal: float
    world_to_camera: Tensor
    projected: Tensor

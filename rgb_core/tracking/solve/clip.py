"""What a fit of a clip comes to."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class TrackedClip:
    """The fit in the terms of a dataset.

    Attributes:
        expression: [N, E]. joints: [N, J, 3]. translation: [N, 3]. shape: [S].
        focal: pixels of the video. world_to_camera: [3, 4], the same for all frames.
        projected: [N, 478, 2] the fitted landmarks in pixels of the video.
    """

    expression: Tensor
    joints: Tensor
    translation: Tensor
    shape: Tensor
    focal: float
    world_to_camera: Tensor
    projected: Tensor

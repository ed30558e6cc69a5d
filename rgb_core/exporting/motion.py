"""The motion of a clip, for exports that hold a whole avatar."""

from dataclasses import dataclass

from ..heads import Pose


@dataclass(frozen=True)
class Motion:
    """Poses at even intervals."""

    name: str
    poses: Pose
    """A batch, one pose a frame."""
    fps: float

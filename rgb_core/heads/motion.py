"""How a head moves over a clip, and the JSON record that every program can write or read it as."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from .model import HeadModel
from .pose import Pose

MOTION_FORMAT, MOTION_VERSION = "rgb-motion", 1


@dataclass(frozen=True)
class Motion:
    """Poses at even intervals."""

    name: str
    poses: Pose
    """A batch, one pose a frame."""
    fps: float

    @property
    def frames(self) -> int:
        """How many poses there are."""
        return len(self.poses.expression)


def motion_record(motion: Motion, head: HeadModel) -> dict[str, Any]:
    """A motion of `head` as the record `rgb-motion` of docs/formats.md.

    Coefficients are rounded to thousandths, angles and places to tenths of a thousandth: finer than a face shows.
    """
    poses = motion.poses
    return {
        "format": MOTION_FORMAT,
        "version": MOTION_VERSION,
        "name": motion.name,
        "fps": motion.fps,
        "expressions": list(head.expression_names),
        "frames": _rounded(poses.expression, 3),
        "joints": {name: _rounded(poses.joints[:, index], 4) for index, name in enumerate(head.joint_names)},
        "translation": _rounded(poses.translation, 4),
    }


def _rounded(values: Tensor, digits: int) -> list[Any]:
    return np.round(values.detach().cpu().double().numpy(), digits).tolist()

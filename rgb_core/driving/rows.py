"""Rows of a performance in time: at even intervals, and rotations as numbers that may be averaged."""

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..heads import Pose
from ..rotations import matrix_to_axis_angle, quaternion_to_matrix

MOST_FRAMES = 100_000
"""Of one performance: an hour at 25 frames a second."""


def evenly(values: Tensor, times: np.ndarray, fps: float) -> Tensor:
    """Rows [N, ...] at increasing `times` [N] in seconds as rows [M, ...] `fps` times a second, linear in between.

    Raises:
        InputError: when there would be more than `MOST_FRAMES`.
    """
    count = round((times[-1] - times[0]) * fps) + 1
    if count > MOST_FRAMES:
        raise InputError(f"a performance of {count:,} frames is too long: at most {MOST_FRAMES:,} are animated")
    wanted = np.minimum(times[0] + np.arange(count) / fps, times[-1])
    after = np.searchsorted(times, wanted).clip(1 if len(times) > 1 else 0, len(times) - 1)
    before = np.maximum(after - 1, 0)
    share = torch.from_numpy((wanted - times[before]) / np.maximum(times[after] - times[before], 1e-9)).clamp(0, 1)
    share = share.to(values).view(-1, *[1] * (values.ndim - 1))
    return torch.lerp(values[before], values[after], share)


def evenly_posed(poses: Pose, times: np.ndarray, fps: float) -> Pose:
    """A batch of poses at `times` as a batch at even intervals; see `evenly`."""
    turned = evenly(continuous_quaternions(poses.joints), times, fps)
    return Pose(evenly(poses.expression, times, fps), axis_angles(turned), evenly(poses.translation, times, fps))


def continuous_quaternions(axis_angle: Tensor) -> Tensor:
    """Unit quaternions [N, J, 4] of axis-angle vectors [N, J, 3] such that no row is the negative of its neighbours.

    Unlike axis-angle vectors near half a turn, they may be averaged from row to row.
    """
    angle = axis_angle.norm(dim=-1, keepdim=True)
    vector = axis_angle * torch.sinc(angle / (2 * torch.pi)) / 2
    quaternion = torch.cat([(angle / 2).cos(), vector], dim=-1)
    towards = (quaternion[1:] * quaternion[:-1]).sum(-1, keepdim=True)
    signs = torch.where(towards < 0, -1.0, 1.0).cumprod(0)
    return torch.cat([quaternion[:1], quaternion[1:] * signs])


def axis_angles(quaternion: Tensor) -> Tensor:
    """Axis-angle vectors [..., 3] of quaternions [..., 4] of any length but 0."""
    return matrix_to_axis_angle(quaternion_to_matrix(quaternion))

"""Which frames to picture: few that differ in pose and face, instead of neighbours that look alike."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..data import Frame
from ..heads import HeadModel, Pose
from ..rotations import axis_angle_to_matrix


def distinct_frames(frames: Sequence[Frame], head: HeadModel, count: int, already: Sequence[Frame] = ()) -> list[Frame]:
    """At most `count` of `frames` that differ most from each other and from those `already` chosen, in clip order.

    The first is the one most like all others, every further one the farthest from those chosen before (Gonzalez 1985).
    The distance of two frames adds how far the head turned between them, as the camera sees it, and how far the
    expression moved the vertices, each squared and relative to its mean over all pairs.
    """
    everything = [*frames, *already]
    if not frames or count < 1:
        return []
    distance = _distances(everything, head)
    chosen = list(range(len(frames), len(everything))) or [int(distance.sum(1).argmin())]
    picked = [] if already else list(chosen)
    while len(picked) < min(count, len(frames)):
        nearest = distance[: len(frames), chosen].amin(1)
        nearest[picked] = -1.0  # frames may be alike to the last bit: none is shown twice
        picked.append(int(nearest.argmax()))
        chosen.append(picked[-1])
    return [frames[index] for index in sorted(picked)]


def _distances(frames: Sequence[Frame], head: HeadModel) -> Tensor:
    """[N, N] squared distances between frames."""
    poses = Pose.stack([frame.pose for frame in frames])
    seen = torch.stack([frame.camera.world_to_camera[:, :3] for frame in frames])
    turned = seen @ axis_angle_to_matrix(poses.joints[:, 0])
    trace = torch.einsum("nij,mij->nm", turned, turned)
    angle = ((trace - 1) / 2).clamp(-1, 1).acos().square()
    basis = head.expression_basis.flatten(1)
    products = basis @ basis.T
    along = poses.expression @ products @ poses.expression.T
    moved = (along.diag()[:, None] + along.diag() - 2 * along).clamp_min(0)
    return _relative(angle) + _relative(moved)


def _relative(values: Tensor) -> Tensor:
    return values / values.mean().clamp_min(1e-12)

"""A small rigid motion of all Gaussians of a frame: what its tracking got wrong."""

from typing import Any

import torch
from kernel_runtime import check_tensor, device_of
from torch import Tensor
from torch.autograd.function import once_differentiable

from . import cuda, reference
from .tables import Correction


class _Move(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, means: Tensor, rotations: Tensor, raw: Tensor, correction: Correction) -> tuple[Tensor, ...]:
        ctx.save_for_backward(means, rotations, raw)
        ctx.correction = correction
        return cuda.move(means, rotations, raw, correction)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_moved: Tensor, by_turned: Tensor) -> tuple[Tensor | None, ...]:
        return *cuda.move_backward(*ctx.saved_tensors, ctx.correction, by_moved, by_turned), None


def move_rigidly(means: Tensor, rotations: Tensor, raw: Tensor, correction: Correction) -> tuple[Tensor, Tensor]:
    """Means [P, 3] and unit quaternions [P, 4] (w, x, y, z) turned and shifted in the axes of the head, to first order.

    Row `correction.frame` of `raw` [F, 6] (turn and shift) counts without the mean of all rows. Differentiable in the
    first three.

    Raises:
        ArgumentError: for a wrong shape, dtype or device.
    """
    frame, root, centre = correction[:3]
    kind = device_of("move_rigidly", means, rotations, raw, frame, root, centre)
    means, raw = check_tensor("means", means, (None, 3)), check_tensor("raw", raw, (None, 6))
    rotations = check_tensor("rotations", rotations, (len(means), 4))
    check_tensor("frame", frame, (1,), torch.int64)
    checked = correction._replace(root=check_tensor("root", root, (4, 4)), centre=check_tensor("centre", centre, (3,)))
    if kind == "cpu":
        return reference.move(means, rotations, raw, checked)
    return _Move.apply(means, rotations, raw, checked)

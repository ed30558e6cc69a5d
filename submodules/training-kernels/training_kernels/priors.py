"""What is known about Gaussians without a picture: means over all of them, each value and gradient in one launch."""

from typing import Any

import torch
from kernel_runtime import check_tensor, device_of
from torch import Tensor
from torch.autograd.function import once_differentiable

from . import cpu, cuda, reference
from .tables import Neighbours, Ranges


class _Priors(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, ranges: Ranges, *gaussians: Tensor) -> Tensor:
        ctx.ranges = ranges
        ctx.save_for_backward(*gaussians)
        return cuda.priors(gaussians, ranges)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return None, *cuda.priors_backward(ctx.saved_tensors, ctx.ranges, gradient)


class _Unevenness(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, albedo: Tensor, pairs: Neighbours, black: float, robust: float) -> Tensor:
        ctx.constants = pairs, black, robust
        ctx.save_for_backward(albedo)
        return (cuda if albedo.is_cuda else cpu).unevenness(albedo, pairs, black, robust)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (albedo,) = ctx.saved_tensors
        backend = cuda if albedo.is_cuda else cpu
        return backend.unevenness_backward(albedo, *ctx.constants, gradient), None, None, None


def gaussian_priors(
    position: Tensor,  # [P, 3]
    scales: Tensor,  # [P, 3]
    roughness: Tensor,  # [P, 1]
    specular: Tensor,  # [P, 1]
    opacities: Tensor,  # [P, 1]
    lean: Tensor,  # [P, 3]
    ranges: Ranges,
) -> Tensor:
    """Six means [6] over P Gaussians, differentiable in the tensors.

    Squared distance from the surface beyond reach; squared excess of axes; squared excess of roughness and of specular
    albedo over their bounds, both together; squared lack of opacity; squared `lean`; binary entropy (nats) of opacity,
    which counts as at least 1e-4 from 0 and 1.

    Raises:
        ArgumentError: for a wrong shape, dtype or device.
    """
    points = len(position)
    given = {
        "position": (position, 3), "scales": (scales, 3), "roughness": (roughness, 1), "specular": (specular, 1),
        "opacities": (opacities, 1), "lean": (lean, 3),
    }  # fmt: skip
    gaussians = [check_tensor(name, tensor, (points, width)) for name, (tensor, width) in given.items()]
    kind = device_of("gaussian_priors", *gaussians, *ranges[:4])
    checked = ranges._replace(
        surface=check_tensor("surface", ranges.surface, (points, 3)),
        reach=check_tensor("reach", ranges.reach, (points,)),
        bounds=check_tensor("bounds", ranges.bounds, (points, 4)),
        floor=check_tensor("floor", ranges.floor, (points,)),
    )
    if kind == "cpu":
        return reference.priors(gaussians, checked)
    return _Priors.apply(checked, *gaussians)


def unevenness(albedo: Tensor, pairs: Neighbours, black: float, robust: float) -> Tensor:
    """Mean over `pairs` of sqrt(|d|^2 + robust^2) - robust (Charbonnier), d the difference of log(albedo + black).

    Differentiable in `albedo` [P, 3]; the gradient adds in a fixed order, unlike that of indexing on a GPU.

    Raises:
        ArgumentError: for a wrong shape, dtype or device.
    """
    device_of("unevenness", albedo, *pairs)
    albedo = check_tensor("albedo", albedo, (len(pairs.first_offsets) - 1, 3))
    for name, tensor in pairs._asdict().items():
        check_tensor(name, tensor, (None,), torch.int64)
    return _Unevenness.apply(albedo, pairs, black, robust)

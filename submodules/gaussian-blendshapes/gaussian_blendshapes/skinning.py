"""From blended parameters to posed Gaussians, differentiable: the step of training behind the sums over expressions."""

import torch
from kernel_runtime import check_tensor, device_of
from torch.autograd.function import once_differentiable

from . import cpu_skinning, cuda, reference
from .gaussians import PosedGaussians
from .tables import LEARNED, LEARNED_WIDTH, Carrier


class _Skin(torch.autograd.Function):
    @staticmethod
    def forward(ctx, carrier, least_roughness, delta_scale, learned, *neutral):
        ctx.save_for_backward(delta_scale, learned, *neutral)
        ctx.constants = carrier, least_roughness
        return _backend(learned).skin(neutral, learned, delta_scale, carrier, least_roughness)

    @staticmethod
    @once_differentiable
    def backward(ctx, *gradients):
        delta_scale, learned, *neutral = ctx.saved_tensors
        backend = _backend(learned)
        *by_neutral, by_learned = backend.skin_backward(neutral, learned, delta_scale, *ctx.constants, gradients)
        return None, None, None, by_learned, *by_neutral


def _backend(tensor):
    return cuda if tensor.is_cuda else cpu_skinning


def skin_gaussians(
    neutral: dict[str, torch.Tensor],
    learned: torch.Tensor,
    delta_scale: torch.Tensor,
    carrier: Carrier,
    least_roughness: float,
) -> PosedGaussians:
    """Turn, skin and decode P Gaussians; differentiable in `neutral`, `learned` and the motion of the carrier.

    A step of training has no use for the latter; where it asks for a gradient, plain tensor operations do the work.

    Args:
        neutral: raw parameters [P, width] by the names of LEARNED.
        learned: [P, 16] their blended changes, in units of `delta_scale` [16], in the order of LEARNED.
        carrier: what the mesh does to the Gaussians.
        least_roughness: roughness = least + (1 - least) * sigmoid(raw).

    Raises:
        ArgumentError: for a wrong shape, dtype or device.
    """
    points = len(learned)
    tensors = [check_tensor(name, neutral[name], (points, width)) for name, width in LEARNED.items()]
    learned = check_tensor("learned", learned, (points, LEARNED_WIDTH))
    delta_scale = check_tensor("delta_scale", delta_scale, (LEARNED_WIDTH,))
    device_of("skin_gaussians", learned, delta_scale, *tensors, carrier.moved, carrier.skin_weights)
    carrier = carrier.checked(points)
    if carrier.moves:
        return PosedGaussians(*reference.skin(tensors, learned, delta_scale, carrier, least_roughness))
    return PosedGaussians(*_Skin.apply(carrier, least_roughness, delta_scale, learned, *tensors))

"""From blended parameters to posed Gaussians, differentiable: the step of training behind the sums over expressions."""

from dataclasses import dataclass

import torch
from kernel_runtime import check_tensor, device_of
from torch.autograd.function import once_differentiable

from . import cuda, reference
from .gaussians import CHANNELS, PosedGaussians

# The parameters that are learned, and how many numbers of each.
LEARNED = {name: width for name, width in CHANNELS.items() if name != "turn"}
_WIDTH, _MOVED = sum(LEARNED.values()), CHANNELS["position"] + CHANNELS["turn"]


@dataclass(frozen=True)
class Carrier:
    """How the posed mesh carries every Gaussian; nothing in here has a gradient."""

    moved: torch.Tensor  # [P, 7] what expressions do to the place, and to the identity quaternion under the Gaussian
    corrective: torch.Tensor | None  # [P, 3] what pose correctives do to the place
    skin_weights: torch.Tensor  # [P, J]
    transforms: torch.Tensor  # [J, 12] rows of [R | t]

    def checked(self, points: int) -> "Carrier":
        """The same, contiguous, or ArgumentError where a shape or dtype does not fit."""
        corrective = self.corrective
        if corrective is not None:
            corrective = check_tensor("corrective", corrective, (points, 3))
        skin_weights = check_tensor("skin_weights", self.skin_weights, (points, None))
        transforms = check_tensor("transforms", self.transforms, (skin_weights.shape[1], 12))
        return Carrier(check_tensor("moved", self.moved, (points, _MOVED)), corrective, skin_weights, transforms)


class _Skin(torch.autograd.Function):
    @staticmethod
    def forward(ctx, carrier, least_roughness, delta_scale, learned, *neutral):
        ctx.save_for_backward(delta_scale, learned, *neutral)
        ctx.constants = carrier, least_roughness
        return cuda.skin(neutral, learned, delta_scale, carrier, least_roughness)

    @staticmethod
    @once_differentiable
    def backward(ctx, *gradients):
        delta_scale, learned, *neutral = ctx.saved_tensors
        *by_neutral, by_learned = cuda.skin_backward(neutral, learned, delta_scale, *ctx.constants, gradients)
        return None, None, None, by_learned, *by_neutral


def skin_gaussians(
    neutral: dict[str, torch.Tensor],
    learned: torch.Tensor,
    delta_scale: torch.Tensor,
    carrier: Carrier,
    least_roughness: float,
) -> PosedGaussians:
    """Turn, skin and decode P Gaussians; differentiable in `neutral` and `learned`.

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
    learned = check_tensor("learned", learned, (points, _WIDTH))
    delta_scale = check_tensor("delta_scale", delta_scale, (_WIDTH,))
    kind = device_of("skin_gaussians", learned, delta_scale, *tensors, carrier.moved, carrier.skin_weights)
    carrier = carrier.checked(points)
    if kind == "cpu":
        return PosedGaussians(*reference.skin(tensors, learned, delta_scale, carrier, least_roughness))
    return PosedGaussians(*_Skin.apply(carrier, least_roughness, delta_scale, learned, *tensors))

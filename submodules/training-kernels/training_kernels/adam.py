"""Adam (Kingma and Ba 2015) on one tensor in place."""

import torch
from kernel_runtime import check_tensor, device_of

from . import cpu, cuda


def adam_step(
    parameter: torch.Tensor,
    gradient: torch.Tensor,
    first_moment: torch.Tensor,
    second_moment: torch.Tensor,
    rate: torch.Tensor,
    step: torch.Tensor,
    betas: tuple[float, float] = (0.9, 0.99),
    eps: float = 1e-15,
) -> None:
    """Update a parameter and its moments, all float32 of the same shape, in one pass over memory.

    May be captured in a CUDA graph: rate and step are read on the device.

    Args:
        rate: [] step size.
        step: [] how many steps were made, this one included; float32, from 1.
        eps: added to the root of the second moment after bias correction.

    Raises:
        ArgumentError: for a wrong shape, dtype, device, or a tensor with gaps, which could not be updated in place.
    """
    shape = tuple(parameter.shape)
    tensors = {"gradient": gradient, "first_moment": first_moment, "second_moment": second_moment}
    for name, tensor in tensors.items():
        check_tensor(name, tensor, shape, device=parameter.device)
    for name, scalar in {"rate": rate, "step": step}.items():
        check_tensor(name, scalar, (), device=parameter.device)
    backend = cpu if device_of("adam_step", parameter) == "cpu" else cuda
    backend.adam_step(parameter, gradient.contiguous(), first_moment, second_moment, rate, step, *betas, eps)

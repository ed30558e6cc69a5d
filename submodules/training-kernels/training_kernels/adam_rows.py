"""Adam on rows that a frame reads through weighted sums, whose gradient is never written down."""

import torch
from kernel_runtime import ArgumentError, check_tensor, device_of

from . import cpu, cuda
from .tables import SummedRows

QUAD = 4


def adam_step_rows(
    parameter: torch.Tensor,
    gradient: SummedRows,
    first_moment: torch.Tensor,
    second_moment: torch.Tensor,
    rate: torch.Tensor,
    step: torch.Tensor,
    betas: tuple[float, float] = (0.9, 0.99),
    eps: float = 1e-15,
) -> torch.Tensor:
    """`adam_step` on a parameter [N, C], C a multiple of 4, in one pass over it and its moments.

    Returns:
        [] the mean of its squares before the step, which `decay` is the price of; 0 without rows.

    Raises:
        ArgumentError: for a wrong shape, dtype, device, or a tensor with gaps, which could not be updated in place.
    """
    parameter_checked = check_tensor("parameter", parameter.detach(), (None, None))
    rows, width = parameter.shape
    if width % QUAD:
        raise ArgumentError(f"parameter: expected rows of a multiple of {QUAD} numbers, got {width}")
    for name, tensor in {"first_moment": first_moment, "second_moment": second_moment}.items():
        check_tensor(name, tensor, (rows, width), device=parameter.device)
    for name, scalar in {"rate": rate, "step": step}.items():
        check_tensor(name, scalar, (), device=parameter.device)
    checked = gradient._replace(
        by_sums=check_tensor("by_sums", gradient.by_sums, (None, width)),
        owner=check_tensor("owner", gradient.owner, (rows,), torch.int32),
        weights=check_tensor("weights", gradient.weights, (rows,)),
    )
    backend = cpu if device_of("adam_step_rows", parameter, *checked[:3]) == "cpu" else cuda
    squares = backend.adam_step_rows(parameter_checked, checked, first_moment, second_moment, rate, step, *betas, eps)
    return squares / max(parameter.numel(), 1)

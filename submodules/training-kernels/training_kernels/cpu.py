"""Adam on the CPU."""

import math

import torch
from kernel_runtime import as_numpy, parallel_jit
from numba import prange

_CHUNK = 1 << 14


def adam_step(
    parameter: torch.Tensor,
    gradient: torch.Tensor,
    first_moment: torch.Tensor,
    second_moment: torch.Tensor,
    rate: torch.Tensor,
    step: torch.Tensor,
    beta1: float,
    beta2: float,
    eps: float,
) -> None:
    """See `adam.adam_step`."""
    count = float(step)
    size = float(rate) / (1 - beta1**count)
    correction = 1 / math.sqrt(1 - beta2**count)
    arrays = (as_numpy(tensor).reshape(-1) for tensor in (gradient, first_moment, second_moment))
    target = parameter.detach().numpy().reshape(-1)
    _update(target, *arrays, size, correction, beta1, beta2, eps)


@parallel_jit
def _update(parameter, gradient, first_moment, second_moment, size, correction, beta1, beta2, eps):
    total = len(parameter)
    for chunk in prange((total + _CHUNK - 1) // _CHUNK):
        for i in range(chunk * _CHUNK, min((chunk + 1) * _CHUNK, total)):
            g = gradient[i]
            m = beta1 * first_moment[i] + (1 - beta1) * g
            v = beta2 * second_moment[i] + (1 - beta2) * g * g
            first_moment[i], second_moment[i] = m, v
            parameter[i] -= size * m / (math.sqrt(v) * correction + eps)

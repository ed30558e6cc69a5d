"""Structural similarity (Wang et al. 2004) of two pictures by pixel, with a closed-form gradient."""

from types import ModuleType
from typing import Any

import torch
from kernel_runtime import ArgumentError, device_of
from torch import Tensor
from torch.autograd.function import once_differentiable

from . import cpu_similarity, cuda, reference
from .tables import Measure


class _Similarity(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, measure: Measure) -> Tensor:
        value, *slopes = _measured(a, b, measure)
        # The same in both, so that the slopes by the second are those by the first of the pictures changed round.
        others = _measured(b, a, measure)[1:] if ctx.needs_input_grad[1] else ()
        ctx.measure = measure
        ctx.save_for_backward(a, b, *slopes, *others)
        return value

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        a, b, *slopes = ctx.saved_tensors
        by_a, by_b = slopes[:3], slopes[3:]
        return (
            _pulled(a, b, by_a, gradient, ctx.measure) if ctx.needs_input_grad[0] else None,
            _pulled(b, a, by_b, gradient, ctx.measure) if by_b else None,
            None,
        )


def similarity(a: Tensor, b: Tensor, measure: Measure) -> Tensor:
    """SSIM of every pixel and channel of two pictures [H, W, C], differentiable in both.

    S = (2 m_a m_b + c1)(2 s_ab + c2) / ((m_a^2 + m_b^2 + c1)(s_aa + s_bb + c2)) of windowed moments m and s.
    Windows see zeros beyond the border.

    Args:
        a, b: float32 (any float dtype on the CPU).

    Raises:
        ArgumentError: for unlike shapes or devices, or on a GPU another dtype or radius than the kernel's.
    """
    if a.ndim != 3 or a.shape != b.shape:
        raise ArgumentError(f"expected two pictures [H, W, C] of one shape, got {list(a.shape)} and {list(b.shape)}")
    device_of("similarity", a, b)
    return _Similarity.apply(a, b, measure)


def _measured(a: Tensor, b: Tensor, measure: Measure) -> tuple[Tensor, ...]:
    """S and its slopes by the windowed means of a, ab and aa."""
    return _backend(a).similarity(a, b, *measure)


def _pulled(a: Tensor, b: Tensor, slopes: list[Tensor], gradient: Tensor, measure: Measure) -> Tensor:
    """The gradient by a."""
    return _backend(a).similarity_backward(a, b, slopes, gradient, measure.weights)


def _backend(image: Tensor) -> ModuleType:
    if image.is_cuda:
        return cuda
    return cpu_similarity if image.dtype == torch.float32 else reference

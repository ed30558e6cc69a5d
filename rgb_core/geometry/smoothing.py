"""Sparse linear maps over the vertices of a mesh: constant matrices in autograd, and smoothing of gradients."""

import numpy as np
import scipy.sparse as sparse
import torch
from scipy.sparse.linalg import splu
from torch import Tensor

from .topology import Laplacian


class SparseMap:
    """A constant sparse matrix that maps per-vertex values [V,C]; differentiable in the values."""

    def __init__(self, matrix: sparse.spmatrix):
        self._matrix = matrix.tocsr().astype(np.float32)
        self._transposed = self._matrix.T.tocsr()

    def __call__(self, values: Tensor) -> Tensor:
        """matrix @ values."""
        return _Apply.apply(values, self._matrix, self._transposed)


class _Apply(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values, matrix, transposed):
        ctx.transposed = transposed
        return torch.from_numpy(matrix @ values.detach().numpy())

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        return torch.from_numpy(ctx.transposed @ gradient.numpy()), None, None


class Smoother:
    """Smoothing over a length on the surface: S = (M + l^2 K)^-1 M, factorised once.

    Gradients of vertex positions are sparse and spiky; descending along S M^-1 S^T g moves whole neighbourhoods instead
    (the Sobolev gradient, as in Nicolet et al. 2021, with a Laplacian that makes it independent of the triangles).
    """

    def __init__(self, laplacian: Laplacian, length: float):
        """`length` in metres."""
        self._mass = laplacian.mass[:, None]
        system = sparse.diags(laplacian.mass) + length**2 * laplacian.stiffness
        scale = 1 / laplacian.mass.mean()
        self._factor = splu((scale * system).tocsc(), permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True})
        self._scale = scale

    def values(self, values: Tensor) -> Tensor:
        """Smoothed values [V,C]."""
        return self._solve(self._mass * values.double().numpy()).to(values.dtype)

    def gradient(self, gradient: Tensor) -> Tensor:
        """Smoothed descent direction [V,C] for a gradient with respect to per-vertex values [V,C]."""
        once = self._solve(gradient.double().numpy())
        return self._solve(self._mass * once.numpy()).to(gradient.dtype)

    def _solve(self, right: np.ndarray) -> Tensor:
        return torch.from_numpy(self._factor.solve(np.ascontiguousarray(self._scale * right)))

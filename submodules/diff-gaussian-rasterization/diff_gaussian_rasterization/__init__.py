"""Differentiable rasterisation of 3D Gaussians: `rasterize`, and the API of the original package."""

from .ops import rasterize
from .splatting import Rasterization
from .upstream import GaussianRasterizationSettings, GaussianRasterizer, rasterize_gaussians

__all__ = [
    "GaussianRasterizationSettings",
    "GaussianRasterizer",
    "Rasterization",
    "rasterize",
    "rasterize_gaussians",
]

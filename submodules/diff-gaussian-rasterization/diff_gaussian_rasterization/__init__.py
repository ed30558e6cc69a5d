"""Differentiable rasterisation of 3D Gaussians: `rasterize`, and the API of the original package."""

from .ops import camera_depths, rasterize
from .splatting import Rasterization
from .upstream import GaussianRasterizationSettings, GaussianRasterizer, rasterize_gaussians

__all__ = [
    "GaussianRasterizationSettings",
    "GaussianRasterizer",
    "Rasterization",
    "camera_depths",
    "rasterize",
    "rasterize_gaussians",
]

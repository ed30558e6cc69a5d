"""Surface attachment, visibility, and materials to radiance."""

from .bounce import Bounce
from .lighting import AttachedSurface, Lit, light_gaussians, one_bounce_gain
from .surface import Surface, SurfaceTracer

__all__ = ["AttachedSurface", "Bounce", "Lit", "Surface", "SurfaceTracer", "light_gaussians", "one_bounce_gain"]

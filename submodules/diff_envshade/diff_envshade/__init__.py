"""Differentiable shading by environment maps with per-vertex visibility; `_diff_envshade` has upstream's names."""

from .envmap import blur_envmap, sample_envmap, texel_directions, texel_solid_angles
from .occlusion import occlusion
from .ops import Shading, integrate, shade
from .triangles import closest_barycentric
from .visibility import PointVisibility

__all__ = [
    "PointVisibility",
    "Shading",
    "blur_envmap",
    "closest_barycentric",
    "integrate",
    "occlusion",
    "sample_envmap",
    "shade",
    "texel_directions",
    "texel_solid_angles",
]

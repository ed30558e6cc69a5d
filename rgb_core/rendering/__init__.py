"""Avatar, pose, light and camera to pictures."""

from .pictures import Staging, at_size, render_pictures
from .realtime import RealTimeRenderer
from .renderer import AvatarRenderer, RenderedFrame, composite_gaussians
from .shots import Shot, clip_shots, retarget, turntable

__all__ = [
    "AvatarRenderer",
    "RealTimeRenderer",
    "RenderedFrame",
    "Shot",
    "Staging",
    "at_size",
    "clip_shots",
    "composite_gaussians",
    "render_pictures",
    "retarget",
    "turntable",
]

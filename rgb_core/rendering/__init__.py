"""Avatar, pose, light and camera to pictures."""

from .pictures import Staging, at_size, render_pictures
from .renderer import RenderedFrame, Renderer
from .shots import Shot, clip_shots, retarget, turntable
from .stages import LAYERS

__all__ = [
    "LAYERS",
    "RenderedFrame",
    "Renderer",
    "Shot",
    "Staging",
    "at_size",
    "clip_shots",
    "render_pictures",
    "retarget",
    "turntable",
]

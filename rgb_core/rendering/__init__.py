"""Avatar, pose, light and camera to pictures."""

from .renderer import RenderedFrame, Renderer
from .shots import Shot, at_size, clip_shots, turned, turntable
from .stages import LAYERS, Shows

__all__ = [
    "LAYERS",
    "RenderedFrame",
    "Renderer",
    "Shot",
    "Shows",
    "at_size",
    "clip_shots",
    "turned",
    "turntable",
]

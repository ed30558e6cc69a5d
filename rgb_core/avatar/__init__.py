"""The Gaussian blendshapes: parameters, initialisation, blending, skinning, save and load."""

from .model import CHANNELS, DELTA_WIDTH, NEUTRAL, Avatar, PosedGaussians
from .storage import load_avatar, save_avatar

__all__ = ["CHANNELS", "DELTA_WIDTH", "NEUTRAL", "Avatar", "PosedGaussians", "load_avatar", "save_avatar"]

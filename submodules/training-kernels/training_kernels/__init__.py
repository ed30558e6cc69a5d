"""What every optimisation step does besides rendering: windowed means for SSIM, and Adam."""

from .adam import adam_step
from .window import window_mean

__all__ = ["adam_step", "window_mean"]

"""The built-in synthetic subject: a clip with ground truth that our renderer of Gaussians did not make."""

from .config import SyntheticConfig
from .synthesize import synthesize

__all__ = ["SyntheticConfig", "synthesize"]

"""Stage 2: loop, losses, priors, schedule, density control, checkpoints."""

from .config import GaussianConfig
from .fit import fit_gaussians

__all__ = ["GaussianConfig", "fit_gaussians"]

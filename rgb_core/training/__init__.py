"""Stage 2: loop, losses, priors, schedule, density control, checkpoints."""

from .config import GaussianConfig
from .fit import fit_gaussians
from .pseudo_albedo import albedo_maps

__all__ = ["GaussianConfig", "albedo_maps", "fit_gaussians"]

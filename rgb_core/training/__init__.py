"""Stage 2: loop, losses, priors, schedule, density control, checkpoints."""

from .config import GaussianConfig
from .fit import fit_gaussians
from .guidance import AlbedoMaps

__all__ = ["AlbedoMaps", "GaussianConfig", "fit_gaussians"]

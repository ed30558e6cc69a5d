"""Stage 1: the personalised mesh of a subject and the tracking refined with it."""

from .config import GeometryConfig
from .fit import fit_geometry
from .result import Geometry, load_geometry, unrefined

__all__ = ["Geometry", "GeometryConfig", "fit_geometry", "load_geometry", "unrefined"]

"""What every kernel package shares: argument checks with readable errors, numba settings, device dispatch."""

from .arguments import ArgumentError, UnsupportedDevice, as_numpy, check_tensor, device_of, require_cpu
from .jit import chunk_bounds, jit, parallel_jit
from .texels import texel_directions

__all__ = [
    "ArgumentError",
    "UnsupportedDevice",
    "as_numpy",
    "check_tensor",
    "chunk_bounds",
    "device_of",
    "jit",
    "parallel_jit",
    "require_cpu",
    "texel_directions",
]

"""The upstream module name: `distCUDA2` is `simple_knn.mean_squared_distance`."""

from .ops import mean_squared_distance as distCUDA2

__all__ = ["distCUDA2"]

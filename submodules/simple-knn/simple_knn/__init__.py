"""Mean squared distance of points to their three nearest neighbours; `simple_knn._C` has upstream's name."""

from .ops import mean_squared_distance

__all__ = ["mean_squared_distance"]

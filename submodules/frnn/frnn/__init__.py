"""Fixed-radius nearest neighbours with upstream's names and return orders."""

from .ops import GRID, frnn_bf_points, frnn_gather, frnn_grid_points

__all__ = ["GRID", "frnn_bf_points", "frnn_gather", "frnn_grid_points"]

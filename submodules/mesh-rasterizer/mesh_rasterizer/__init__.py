"""Differentiable triangle rasteriser: visible faces, interpolated attributes, antialiased silhouettes."""

from .edges import EdgeTable, edge_table
from .ops import Fragments, antialias, interpolate, rasterize

__all__ = ["EdgeTable", "Fragments", "antialias", "edge_table", "interpolate", "rasterize"]

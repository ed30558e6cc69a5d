"""Differentiable triangle rasteriser: visible faces, interpolated attributes, antialiased silhouettes."""

from .ops import Fragments, antialias, interpolate, rasterize
from .topology import EdgeTable, edge_table

__all__ = ["EdgeTable", "Fragments", "antialias", "edge_table", "interpolate", "rasterize"]

"""Mesh BVH: visibility bitfields, ray casting and nearest surface points, with the names of the OptiX extension."""

from .directions import texel_directions
from .ops import Closest, Hits, MeshBvh

__all__ = ["Closest", "Hits", "MeshBvh", "texel_directions"]

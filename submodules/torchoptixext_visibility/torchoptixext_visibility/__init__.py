"""Mesh BVH: visibility bitfields, ray casting and nearest surface points, with the names of the OptiX extension."""

from .ops import Closest, Hits, MeshBvh
from .upstream import (
    optixDist_destroy,
    optixDist_destroy_mesh,
    optixDist_init,
    optixDist_load_mesh,
    optixDist_trace,
    optixEnvmapVisibility_destroy,
    optixEnvmapVisibility_destroy_mesh,
    optixEnvmapVisibility_init,
    optixEnvmapVisibility_load_mesh,
    optixEnvmapVisibility_trace,
    run_sample_code,
)

__all__ = [
    "Closest",
    "Hits",
    "MeshBvh",
    "optixDist_destroy",
    "optixDist_destroy_mesh",
    "optixDist_init",
    "optixDist_load_mesh",
    "optixDist_trace",
    "optixEnvmapVisibility_destroy",
    "optixEnvmapVisibility_destroy_mesh",
    "optixEnvmapVisibility_init",
    "optixEnvmapVisibility_load_mesh",
    "optixEnvmapVisibility_trace",
    "run_sample_code",
]

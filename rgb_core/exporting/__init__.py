"""Writing avatars for other programs: splats, meshes, videos and contact sheets.

A new format is one file with a function `(scene, path) -> None` and one line in EXPORTERS.
"""

from collections.abc import Callable
from pathlib import Path

from .contact_sheet import Tile, contact_sheet
from .glb import write_glb
from .obj import write_obj
from .ply3dgs import write_gaussian_ply
from .scene import ExportScene, ExpressionTargets, GaussianCloud, TriangleMesh
from .video import write_video

Exporter = Callable[[ExportScene, Path], None]

EXPORTERS: dict[str, Exporter] = {
    "ply": write_gaussian_ply,
    "obj": write_obj,
    "glb": write_glb,
}

__all__ = [
    "EXPORTERS",
    "ExportScene",
    "Exporter",
    "ExpressionTargets",
    "GaussianCloud",
    "Tile",
    "TriangleMesh",
    "contact_sheet",
    "write_video",
]

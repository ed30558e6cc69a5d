"""Writing avatars for other programs: splats, meshes, videos and contact sheets.

A new format of one frame is one file with a function `(scene, path) -> None` and one line in EXPORTERS; one of a whole
avatar takes the avatar instead and stands in AVATAR_EXPORTERS.
"""

from collections.abc import Callable
from pathlib import Path

from ..avatar import Avatar
from .contact_sheet import Tile, contact_sheet
from .glb import write_glb
from .obj import write_obj
from .ply3dgs import write_gaussian_ply
from .scene import ExportScene, ExpressionTargets, GaussianCloud, TriangleMesh
from .video import write_video
from .web import write_page

Exporter = Callable[[ExportScene, Path], None]
AvatarExporter = Callable[[Avatar, Path], None]

EXPORTERS: dict[str, Exporter] = {
    "ply": write_gaussian_ply,
    "obj": write_obj,
    "glb": write_glb,
}
AVATAR_EXPORTERS: dict[str, AvatarExporter] = {"html": write_page}

__all__ = [
    "AVATAR_EXPORTERS",
    "EXPORTERS",
    "AvatarExporter",
    "ExportScene",
    "Exporter",
    "ExpressionTargets",
    "GaussianCloud",
    "Tile",
    "TriangleMesh",
    "contact_sheet",
    "write_video",
]

"""Writing avatars for other programs: splats, meshes and pages.

A new format of one frame is one file with a function `(scene, path) -> None` and one line in EXPORTERS; one of a whole
avatar takes the avatar instead and stands in AVATAR_EXPORTERS.
"""

from collections.abc import Callable
from pathlib import Path

from ..avatar import Avatar
from ..heads import Motion
from .glb_head import write_head_glb
from .glb_splats import write_splat_glb
from .obj import write_obj
from .ply3dgs import write_gaussian_ply
from .scene import UP_AXES, ExportScene, GaussianCloud, TriangleMesh
from .spz import write_spz
from .web import write_page

Exporter = Callable[[ExportScene, Path], None]
AvatarExporter = Callable[[Avatar, Path, Motion | None], None]

EXPORTERS: dict[str, Exporter] = {
    "ply": write_gaussian_ply,
    "spz": write_spz,
    "glb-splats": write_splat_glb,
    "obj": write_obj,
}
AVATAR_EXPORTERS: dict[str, AvatarExporter] = {
    "html": write_page,
    "glb": write_head_glb,
}
UP_OF_FORMAT = {"ply": "-y"}
"""What viewers of a format take for up where it is not y."""

__all__ = [
    "AVATAR_EXPORTERS",
    "EXPORTERS",
    "UP_AXES",
    "UP_OF_FORMAT",
    "AvatarExporter",
    "ExportScene",
    "Exporter",
    "GaussianCloud",
    "TriangleMesh",
]

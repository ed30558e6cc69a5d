"""The posed mesh as a Wavefront .obj."""

from pathlib import Path

from torch import Tensor

from ..files import write_text
from ..images import linear_to_srgb
from .scene import ExportScene


def write_obj(scene: ExportScene, path: Path) -> None:
    """Write positions (with sRGB colours where known), normals, texture coordinates and triangles atomically.

    Colours follow the positions on the `v` lines, the extension that MeshLab and Blender read.

    Raises:
        InputError: when the file cannot be written.
    """
    mesh = scene.mesh
    positions = _join(mesh.vertices, "{:.6f} {:.6f} {:.6f}")
    if mesh.colors is not None:
        colors = _join(linear_to_srgb(mesh.colors).clamp(0, 1), "{:.4f} {:.4f} {:.4f}")
        positions = [f"{position} {color}" for position, color in zip(positions, colors, strict=True)]
    lines = [f"# {scene.name}: metres, y up", f"o {scene.name}"]
    lines += [f"v {position}" for position in positions]
    lines += [f"vn {normal}" for normal in _join(mesh.normals, "{:.4f} {:.4f} {:.4f}")]
    corners = mesh.faces + 1
    if mesh.uv is None or mesh.uv_faces is None:
        lines += [f"f {a}//{a} {b}//{b} {c}//{c}" for a, b, c in corners.tolist()]
    else:
        lines += [f"vt {uv}" for uv in _join(mesh.uv, "{:.6f} {:.6f}")]
        pairs = zip(corners.tolist(), (mesh.uv_faces + 1).tolist(), strict=True)
        lines += [f"f {a}/{u}/{a} {b}/{v}/{b} {c}/{w}/{c}" for (a, b, c), (u, v, w) in pairs]
    write_text(path, "\n".join([*lines, ""]))


def _join(rows: Tensor, template: str) -> list[str]:
    return [template.format(*row) for row in rows.detach().cpu().tolist()]

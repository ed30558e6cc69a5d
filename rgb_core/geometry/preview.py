"""A contact sheet of a fit: picture, outline of the mesh over it, normals."""

from pathlib import Path

import mesh_rasterizer
import torch
from torch import Tensor

from ..heads import vertex_normals
from ..images import write_png
from .evidence import Evidence
from .initialise import spread_rows
from .rendering import draw_frames
from .result import Geometry

_COLUMNS = 4
_OVERLAY = 0.5  # share of the tint
_MISSING, _EXCESS = (1.0, 0.2, 0.1), (0.1, 0.4, 1.0)  # head without mesh: red; mesh without head: blue


def write_preview(path: Path, evidence: Evidence, geometry: Geometry) -> None:
    """Write a PNG with one column per frame, a few spread over the clip."""
    rows = spread_rows(len(evidence), _COLUMNS)
    batch = evidence.batch(rows)
    view = draw_frames(geometry, evidence, rows)
    picture = batch.colour * batch.alpha[..., None]
    covered = view.fragments.face_id >= 0
    overlay = _tint(picture, (batch.alpha > 0.5) & ~covered, _MISSING)
    overlay = _tint(overlay, covered & (batch.alpha <= 0.5), _EXCESS)
    normals = vertex_normals(view.camera, geometry.head.faces) * torch.tensor([1.0, -1.0, -1.0])
    drawn = mesh_rasterizer.interpolate(view.fragments, geometry.head.faces, normals)
    drawn = torch.nn.functional.normalize(drawn, dim=-1) / 2 + 0.5
    drawn = drawn * covered[..., None]
    sheet = torch.cat([torch.cat(list(row), dim=1) for row in (picture, overlay, drawn)], dim=0)
    write_png(path, sheet)


def _tint(picture: Tensor, where: Tensor, colour: tuple[float, float, float]) -> Tensor:
    mixed = (1 - _OVERLAY) * picture + _OVERLAY * torch.tensor(colour)
    return torch.where(where[..., None], mixed, picture)

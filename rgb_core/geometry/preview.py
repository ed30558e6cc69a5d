"""A contact sheet of a fit: picture, outline of the mesh over it, normals, wireframe."""

from pathlib import Path

import mesh_rasterizer
import torch
from torch import Tensor

from ..heads import vertex_normals
from ..images import write_png
from .evidence import Evidence
from .initialise import spread_rows
from .rendering import MeshView, draw_frames
from .result import Geometry

_COLUMNS = 4
_OVERLAY = 0.5  # share of the tint
_MISSING, _EXCESS = (1.0, 0.2, 0.1), (0.1, 0.4, 1.0)  # head without mesh: red; mesh without head: blue
_FINER = 4  # samples per pixel and axis of the wireframe


def write_preview(path: Path, evidence: Evidence, geometry: Geometry) -> None:
    """Write a PNG with one column per frame, a few spread over the clip; `geometry` is on the evidence's device."""
    rows = spread_rows(len(evidence), _COLUMNS).to(evidence.device)
    batch = evidence.batch(rows)
    view = draw_frames(geometry, evidence, rows)
    picture = batch.colour * batch.alpha[..., None]
    covered = view.fragments.face_id >= 0
    overlay = _tint(picture, (batch.alpha > 0.5) & ~covered, _MISSING)
    overlay = _tint(overlay, covered & (batch.alpha <= 0.5), _EXCESS)
    normals = vertex_normals(view.camera, geometry.head.faces) * picture.new_tensor([1.0, -1.0, -1.0])
    drawn = mesh_rasterizer.interpolate(view.fragments, geometry.head.faces, normals)
    drawn = torch.nn.functional.normalize(drawn, dim=-1) / 2 + 0.5
    drawn = drawn * covered[..., None]
    panels = (picture, overlay, drawn, _wireframe(view))
    sheet = torch.cat([torch.cat(list(row), dim=1) for row in panels], dim=0)
    write_png(path, sheet.cpu())


def _wireframe(view: MeshView) -> Tensor:
    """[B,H,W,3] edges between visible faces, dark on white, drawn finer and averaged."""
    height, width = view.fragments.face_id.shape[1:]
    fine = mesh_rasterizer.rasterize(
        view.camera, view.faces, _FINER * view.intrinsics, _FINER * width, _FINER * height
    ).face_id
    edge = torch.zeros_like(fine, dtype=torch.bool)
    edge[:, :, 1:] |= fine[:, :, 1:] != fine[:, :, :-1]
    edge[:, 1:] |= fine[:, 1:] != fine[:, :-1]
    share = torch.nn.functional.avg_pool2d(edge.float()[:, None], _FINER)[:, 0]
    return (1 - share)[..., None].expand(-1, -1, -1, 3)


def _tint(picture: Tensor, where: Tensor, colour: tuple[float, float, float]) -> Tensor:
    mixed = (1 - _OVERLAY) * picture + _OVERLAY * picture.new_tensor(colour)
    return torch.where(where[..., None], mixed, picture)

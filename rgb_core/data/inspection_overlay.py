"""Pictures of a tracked clip with the head model drawn over them, where a wrong convention shows at a glance."""

import mesh_rasterizer
import torch
from torch import Tensor

from ..heads import vertex_normals
from ..images import to_bytes
from ..images.compositing import truth_on_black
from .dataset import Dataset
from .frame import Frame
from .inspection_frames import draw_head

_PIXELS = 384  # longer side of an overlay
_MESH_SHARE = 0.6
_MESH_COLOUR = (0.35, 0.7, 1.0)
_OUTLINE_COLOUR = (1.0, 0.25, 0.1)


def overlay(dataset: Dataset, frame: Frame) -> Tensor:
    """uint8 [H, W, 3]: the picture on black, the tracked head model in shaded blue, the outline of the matte in red.

    Raises:
        InputError: when the image file is damaged.
    """
    scale = min(1.0, _PIXELS / max(dataset.width, dataset.height))
    camera = dataset.camera(frame, (max(1, round(dataset.width * scale)), max(1, round(dataset.height * scale))))
    rgba = dataset.load_rgba(frame, (camera.width, camera.height))
    picture = truth_on_black(rgba)
    drawn = draw_head(dataset, frame, camera)
    normals = vertex_normals(drawn.vertices, dataset.head.faces)
    towards = mesh_rasterizer.interpolate(drawn.fragments, dataset.head.faces, -normals[..., 2:])[0].clamp(0, 1)
    shaded = towards * torch.tensor(_MESH_COLOUR)
    picture = torch.where(drawn.mask[..., None], torch.lerp(picture, shaded, _MESH_SHARE), picture)
    picture[_outline(rgba[..., 3] > 127)] = torch.tensor(_OUTLINE_COLOUR)
    return to_bytes(picture)


def _outline(inside: Tensor) -> Tensor:
    """Pixels of a mask [H, W] that have a neighbour outside it."""
    padded = torch.nn.functional.pad(inside[None, None].float(), (1, 1, 1, 1), mode="replicate")[0, 0]
    least = torch.minimum(
        torch.minimum(padded[:-2, 1:-1], padded[2:, 1:-1]), torch.minimum(padded[1:-1, :-2], padded[1:-1, 2:])
    )
    return inside & (least < 1)

"""What one frame shows: where its head looks, how its matte and exposure are, and whether the head model covers it."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..images import srgb_bytes_to_linear
from ..scene import Camera
from ..scene.camera import SeenMesh
from ..scene.labels import has_label
from .dataset import Dataset
from .frame import Frame

_MESH_PIXELS = 256  # longer side at which the head is drawn: enough for an overlap to a percent
_INSIDE = 127  # matte (of 255) above which a pixel belongs to the head
_CLEAR, _OPAQUE = 5, 250  # matte (of 255) up to and from which a pixel is not soft
_LUMINANCE = (0.2126, 0.7152, 0.0722)  # of linear sRGB, Rec. 709
_FACING = (1.0, -1.0, -1.0)  # a head that looks into the camera has x to the right, y up, z towards it


@dataclass(frozen=True)
class FrameFacts:
    """Measures of one frame; shares are of 0 to 1."""

    id: str
    yaw: float
    """Degrees that the head turns to its own left, seen from the camera."""
    pitch: float
    """Degrees that it looks up."""
    roll: float
    """Degrees that it leans to its own right."""
    coverage: float
    """Share of the picture inside the matte."""
    soft: float
    """Share of the picture that is partly transparent."""
    cut: bool
    """Whether the matte touches the top or a side of the picture."""
    luminance: float
    """Mean linear luminance inside the matte; 0 where it is empty."""
    clipped: float
    """Share of the matte with a channel at 255."""
    black: float
    """Share of the matte at 0 in all channels."""
    overlap: float
    """Intersection over union of the head model, as tracked, and the matte; foreign labels are left out."""


def measure_frame(dataset: Dataset, frame: Frame) -> FrameFacts:
    """Read the pixels of a frame and measure.

    Raises:
        InputError: when an image file is damaged.
    """
    rgba = dataset.load_rgba(frame)
    labels = dataset.semantic(frame)
    alpha = rgba[..., 3]
    inside = alpha > _INSIDE
    pixels = rgba[..., :3][inside]
    count = max(len(pixels), 1)
    yaw, pitch, roll = head_angles(dataset, frame)
    return FrameFacts(
        id=frame.id,
        yaw=yaw,
        pitch=pitch,
        roll=roll,
        coverage=float(inside.float().mean()),
        soft=float(((alpha > _CLEAR) & (alpha < _OPAQUE)).float().mean()),
        cut=bool(inside[0].any() or inside[:, 0].any() or inside[:, -1].any()),
        luminance=float((srgb_bytes_to_linear(pixels) @ torch.tensor(_LUMINANCE)).sum()) / count,
        clipped=float((pixels == 255).any(-1).sum()) / count,
        black=float((pixels == 0).all(-1).sum()) / count,
        overlap=_overlap(dataset, frame, inside, labels),
    )


def head_angles(dataset: Dataset, frame: Frame) -> tuple[float, float, float]:
    """Yaw, pitch and roll of the skull as the camera sees it, degrees; all 0 for a head that looks into the lens."""
    head = dataset.head
    skull = int(head.joint_parents[head.joint_names.index("jaw")]) if "jaw" in head.joint_names else 0
    turned = head.pose(frame.pose).transforms[skull, :3, :3]
    rotation = torch.tensor(_FACING)[:, None] * (frame.camera.world_to_camera[:, :3] @ turned)
    across, up, towards = rotation[:, 2].tolist()
    yaw = math.atan2(across, towards)
    pitch = math.asin(max(-1.0, min(1.0, up)))
    roll = math.atan2(float(rotation[1, 0]), float(rotation[1, 1]))
    return math.degrees(yaw), math.degrees(pitch), math.degrees(roll)


def draw_head(dataset: Dataset, frame: Frame, camera: Camera) -> SeenMesh:
    """The head model with the dataset's identity and the frame's coefficients, not fitted to anything."""
    head = dataset.head.with_identity(dataset.shape)
    return camera.see_mesh(head.pose(frame.pose).vertices, head.faces)


def _overlap(dataset: Dataset, frame: Frame, inside: Tensor, labels: Tensor | None) -> float:
    """Intersection over union at reduced size; pixels are picked, not averaged."""
    scale = min(1.0, _MESH_PIXELS / max(dataset.width, dataset.height))
    camera = dataset.camera(frame, (max(1, round(dataset.width * scale)), max(1, round(dataset.height * scale))))
    rows = ((torch.arange(camera.height) + 0.5) * dataset.height / camera.height).long()
    columns = ((torch.arange(camera.width) + 0.5) * dataset.width / camera.width).long()
    matte = inside[rows][:, columns]
    drawn = draw_head(dataset, frame, camera).mask
    either = matte | drawn
    if labels is not None:
        either &= ~has_label(labels[rows][:, columns], dataset.foreign)
    return float((matte & drawn & either).sum()) / max(int(either.sum()), 1)

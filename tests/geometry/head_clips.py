"""Small clips of the built-in head under a cap of hair, drawn with known pose and light, and settings to fit them."""

import dataclasses
import math
from pathlib import Path

import mesh_rasterizer
import torch

from rgb_core.data import Dataset, DatasetWriter
from rgb_core.geometry import GeometryConfig
from rgb_core.heads import HeadModel, Pose, builtin_head, vertex_normals
from rgb_core.heads.regions import Region
from rgb_core.images import linear_to_srgb
from rgb_core.scene import Camera
from rgb_core.scene.harmonics import light_basis
from rgb_core.scene.labels import Label

SIZE = 96
FRAMES = 12
HAIR_HEIGHT = 0.008
SWING = 0.3, 0.7  # largest pitch and yaw, radians
FOCAL = 230.0
WORLD_TO_CAMERA = torch.tensor([[1.0, 0, 0, 0], [0, -1, 0, 0.03], [0, 0, -1, 1.0]])
CAMERA = Camera((FOCAL, FOCAL, SIZE / 2, SIZE / 2), WORLD_TO_CAMERA, SIZE, SIZE)
TRACKING_NOISE = 0.002  # metres per axis
CONFIG = GeometryConfig.model_validate(
    {
        "image_size": SIZE,
        "steps": 60,
        "batch": 4,
        "checkpoint_every": 25,
        "handles": 20,
        "rates": {"translation": 0.4},
        "tracking": {"translation_mm": 1000 * TRACKING_NOISE, "smooth_translation_mm": 2.0},
    }
)


def true_head(hair: float = HAIR_HEIGHT) -> HeadModel:
    """The built-in head under a cap of `hair` metres."""
    head = builtin_head()
    cap = torch.sigmoid((head.vertices[:, 1:2] - 0.06) / 0.01) * (head.region == Region.SCALP)[:, None]
    raised = head.vertices + hair * cap * vertex_normals(head.vertices, head.faces)
    return dataclasses.replace(head, vertices=raised)


def wavy_head(height: float) -> HeadModel:
    """The built-in head with waves of `height` metres, 3 cm long, on the face: silhouettes hardly show them."""
    head = builtin_head()
    waves = torch.cos(2 * math.pi * head.vertices[:, :1] / 0.03) * (head.region == Region.SKIN)[:, None]
    return dataclasses.replace(
        head, vertices=head.vertices + height * waves * vertex_normals(head.vertices, head.faces)
    )


def joints_at(index: int, period: int = FRAMES, swing: tuple[float, float] = SWING) -> torch.Tensor:
    """[J,3] exact pose of a frame: pitch and yaw of the root in turn."""
    joints = torch.zeros(builtin_head().joint_count, 3)
    joints[0, 0] = swing[0] * math.cos(2 * math.pi * index / period)
    joints[0, 1] = swing[1] * math.sin(2 * math.pi * index / period)
    return joints


def posed(joints: torch.Tensor, translation: torch.Tensor | None = None) -> Pose:
    """The built-in head without expression."""
    expression = torch.zeros(len(builtin_head().expression_names))
    return Pose(expression, joints, torch.zeros(3) if translation is None else translation)


def draw(head: HeadModel, joints: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """RGBA [H,W,4], labels [H,W] and world normals [H,W,3] of a posed head: a smooth texture under light from above."""
    vertices = head.pose(posed(joints)).vertices[None]
    camera = CAMERA.to_camera(vertices)
    intrinsics = torch.tensor([CAMERA.intrinsics])
    fragments = mesh_rasterizer.rasterize(camera, head.faces, intrinsics, SIZE, SIZE)
    light = torch.zeros(9, 3)
    light[0], light[1], light[2], light[3] = 3.0, 0.7, 0.9, 0.4
    albedo = 0.3 + 0.1 * torch.sin(150 * head.vertices)
    normals = vertex_normals(vertices[0], head.faces)
    hair = (head.region == Region.SCALP).float()[:, None]
    attributes = torch.cat([albedo * (light_basis(normals) @ light), torch.ones_like(hair), hair], dim=1)
    image = mesh_rasterizer.interpolate(fragments, head.faces, attributes)
    image = mesh_rasterizer.antialias(image, fragments, camera, head.faces, intrinsics)[0]
    alpha = image[..., 3:4].clamp(0, 1)
    rgba = torch.cat([linear_to_srgb((image[..., :3] / alpha.clamp_min(1e-3)).clamp(0, 1)), alpha], dim=-1)
    labels = torch.where(image[..., 4] > 0.5, Label.HAIR, Label.SKIN) * (image[..., 3] > 0.5)
    drawn_normals = mesh_rasterizer.interpolate(fragments, head.faces, normals)[0]
    return rgba, labels.to(torch.uint8), torch.nn.functional.normalize(drawn_normals, dim=-1)


def make_clip(
    folder: Path,
    frames: int = FRAMES,
    swing: tuple[float, float] = SWING,
    period: int = FRAMES,
    true: HeadModel | None = None,
    translation_noise: float = TRACKING_NOISE,
    rotation_noise: float = 0.0,
    focal_factor: float = 1.0,
) -> Dataset:
    """Training frames and one exactly tracked test frame of a turning head.

    Args:
        swing: largest pitch and yaw, radians.
        period: frames of one turn.
        true: the head in the pictures; `true_head()` if None.
        translation_noise, rotation_noise: errors of the training frames' tracking, metres and radians per axis.
        focal_factor: what the recorded focal length is of the true one.
    """
    generator = torch.Generator().manual_seed(0)
    head = builtin_head()
    writer = DatasetWriter(folder, "cap", (SIZE, SIZE), 25.0, head)
    recorded = dataclasses.replace(CAMERA, intrinsics=(focal_factor * FOCAL, focal_factor * FOCAL, SIZE / 2, SIZE / 2))
    for index in range(frames + 1):
        joints = joints_at(index, period, swing)
        rgba, labels, _ = draw(true or true_head(), joints)
        train = index < frames
        translation = torch.randn(3, generator=generator) * translation_noise * train
        joints[0] += torch.randn(3, generator=generator) * rotation_noise * train
        split = "train" if train else "test"
        writer.add_frame(f"{index:02d}", split, recorded, posed(joints, translation), rgba, labels)
    return writer.finish()

"""The workloads: the same tensors on every machine."""

import math

import torch
from diff_envshade import PointVisibility
from torch.nn.functional import normalize

from ..avatar import Avatar
from ..avatar.deformation import expression_field
from ..avatar.portrait import Portrait
from ..heads import builtin_head, subdivide
from ..scene import Camera, Lens, Light
from ..training import GaussianConfig
from ..training.initialise import initial_avatar

_SEMI_AXES = (0.09, 0.13, 0.11)  # metres
_FIELD_OF_VIEW = 0.35  # radians
_MESH = 20_000, 40_000  # vertices and faces behind the visibility bits of `shading_scene`
_FOCAL, _DISTANCE, _SIZE = 1600.0, 1.0, 512  # pixels, metres, pixels: the head fills the picture


def shading_scene(points: int, rows: int) -> tuple[list[torch.Tensor], PointVisibility]:
    """Normals, views, roughness and a rows x 2 rows map, with random visibility bits."""
    generator = torch.Generator().manual_seed(0)
    normal, view = normalize(torch.randn(2, points, 3, generator=generator), dim=-1)
    roughness = 0.1 + 0.9 * torch.rand(points, 1, generator=generator)
    envmap = torch.rand(3, rows, 2 * rows, generator=generator)
    vertices, face_count = _MESH
    words = torch.randint(-(2**31), 2**31, (vertices, -(-2 * rows * rows // 32)), generator=generator).int()
    faces = torch.randint(0, vertices, (face_count, 3), generator=generator).int()
    face_id = torch.randint(0, face_count, (points,), generator=generator)
    visibility = PointVisibility(words, faces, face_id, torch.full((points, 3), 1 / 3))
    return [normal, view, roughness, envmap], visibility


def ellipsoid(points: int) -> list[torch.Tensor]:
    """Means, rotations, scales, opacities and colours of Gaussians on a noisy head-sized ellipsoid at the origin."""
    generator = torch.Generator().manual_seed(0)
    directions = normalize(torch.randn(points, 3, generator=generator), dim=1)
    means = directions * torch.tensor(_SEMI_AXES) + 0.002 * torch.randn(points, 3, generator=generator)
    # Thomsen's formula for the area of an ellipsoid.
    a, b, c = (axis**1.6075 for axis in _SEMI_AXES)
    area = 4 * math.pi * ((a * b + a * c + b * c) / 3) ** (1 / 1.6075)
    scales = 0.9 * math.sqrt(area / points) * torch.exp(0.3 * torch.randn(points, 3, generator=generator))
    rotations = normalize(torch.randn(points, 4, generator=generator), dim=1)
    opacities = 0.45 + 0.5 * torch.rand(points, 1, generator=generator)
    return [means, rotations, scales, opacities, torch.rand(points, 3, generator=generator)]


def ellipsoid_view(size: int) -> tuple[torch.Tensor, Lens]:
    """World to camera [3, 4] and lens of a square picture of `ellipsoid` from a metre away."""
    world_to_camera = torch.eye(4)[:3].clone()
    world_to_camera[2, 3] = 1
    focal = size / (2 * math.tan(_FIELD_OF_VIEW / 2))
    return world_to_camera, ((focal, focal, size / 2, size / 2), size, size)


def head_mesh() -> tuple[torch.Tensor, torch.Tensor]:
    """Vertices [V, 3] and faces [F, 3] int32 of the built-in head, split once: about 20 and 40 thousand."""
    head = subdivide(builtin_head())
    return head.vertices, head.faces.to(torch.int32)


def bench_avatar(gaussians: int, splits: int = 0) -> Avatar:
    """About `gaussians` Gaussians on the built-in head, split `splits` times, before any fit, in front of a camera."""
    head = subdivide(builtin_head(), splits)
    looking = torch.tensor([[1.0, 0, 0, 0], [0, -1, 0, 0], [0, 0, -1, _DISTANCE]])
    looking[:, 3] -= looking[:, :3] @ head.vertices.mean(0)
    camera = Camera((_FOCAL, _FOCAL, _SIZE / 2, _SIZE / 2), looking, _SIZE, _SIZE)
    portrait = Portrait(camera, torch.zeros(head.joint_count, 3), torch.zeros(3))
    config = GaussianConfig(gaussians=gaussians)
    avatar = initial_avatar("bench", head, expression_field(head), portrait, config, seed=0)
    avatar.light = Light(torch.rand(avatar.light.radiance.shape, generator=torch.Generator().manual_seed(0)))
    return avatar

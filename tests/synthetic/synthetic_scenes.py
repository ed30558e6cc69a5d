"""Small meshes, cameras and lights that the tests of the synthetic renderer share."""

import math

import numpy as np
import torch
from diff_envshade import texel_directions
from torch import Tensor
from torchoptixext_visibility import MeshBvh

from rgb_core.heads import vertex_normals
from rgb_core.scene import Camera
from rgb_core.scene.labels import Label
from rgb_core.synthetic.render import Material, PosedMesh, sample_surface

HEIGHT, WIDTH = 32, 64


def posed(vertices: Tensor, faces: Tensor) -> PosedMesh:
    return PosedMesh(vertices, vertex_normals(vertices, faces), faces, MeshBvh(vertices, faces))


def sphere(radius: float = 0.1, rings: int = 24) -> tuple[Tensor, Tensor]:
    """A closed latitude-longitude sphere, outward faces."""
    points = [(0.0, radius, 0.0)]
    for ring in range(1, rings):
        theta = math.pi * ring / rings
        for k in range(2 * rings):
            phi = math.pi * k / rings
            points.append(
                (
                    radius * math.sin(theta) * math.cos(phi),
                    radius * math.cos(theta),
                    radius * math.sin(theta) * math.sin(phi),
                )
            )
    points.append((0.0, -radius, 0.0))
    columns, south = 2 * rings, len(points) - 1
    faces = []
    for k in range(columns):
        after = (k + 1) % columns
        faces.append((0, 1 + after, 1 + k))
        faces.append((south, south - columns + k, south - columns + after))
        for ring in range(rings - 2):
            a, b = 1 + ring * columns + k, 1 + ring * columns + after
            faces += [(a, b, a + columns), (b, b + columns, a + columns)]
    return torch.tensor(points), torch.tensor(faces)


def quad(corners: list[tuple[float, float, float]]) -> tuple[Tensor, Tensor]:
    """Two triangles; counter-clockwise corners as seen from the front."""
    return torch.tensor(corners), torch.tensor([[0, 1, 2], [0, 2, 3]])


def joined(*meshes: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    offsets = np.cumsum([0, *(len(vertices) for vertices, _ in meshes[:-1])])
    faces = [mesh[1] + int(offset) for mesh, offset in zip(meshes, offsets, strict=True)]
    return torch.cat([mesh[0] for mesh in meshes]), torch.cat(faces)


def matte(albedo: float):
    """A painter of one diffuse material."""

    def paint(face_id: Tensor, barycentric: Tensor) -> Material:
        count = len(face_id)
        colour = torch.full((count, 3), albedo)
        return Material(colour, torch.zeros(count, 3), torch.ones(count, 1), torch.full((count,), Label.SKIN))

    return paint


def front_camera(size: int = 24, distance: float = 1.0, width: float = 0.3) -> Camera:
    """On the +z axis, looking at the origin; `width` metres there fill the picture."""
    world_to_camera = torch.tensor([[1.0, 0, 0, 0], [0, -1, 0, 0], [0, 0, -1, distance]])
    focal = size * distance / width
    return Camera((focal, focal, size / 2, size / 2), world_to_camera, size, size)


def sampled(mesh: PosedMesh, camera: Camera, albedo: float = 1.0, samples: int = 4):
    return sample_surface(mesh, camera, matte(albedo), samples, np.random.default_rng(1))


def one_texel(direction: tuple[float, float, float], radiance: float = 1.0) -> Tensor:
    """A black map but for the texel nearest to `direction`."""
    envmap = torch.zeros(3, HEIGHT * WIDTH)
    envmap[:, (texel_directions(HEIGHT, WIDTH) @ torch.tensor(direction)).argmax()] = radiance
    return envmap.view(3, HEIGHT, WIDTH)

"""Meshes that the tests and the benchmark of the mesh BVH share."""

import torch


def head(rings: int, sectors: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A closed head-like mesh in metres with nose, eye sockets and ears: (vertices [V,3] float32, faces [F,3] int32).

    V = 2 + (rings - 1) sectors, F = 2 sectors (rings - 1); +y is up and the face looks along +z.
    """
    polar = torch.pi * torch.arange(1, rings) / rings
    around = 2 * torch.pi * torch.arange(sectors) / sectors
    polar, around = torch.meshgrid(polar, around, indexing="ij")
    ball = torch.stack([polar.sin() * around.sin(), polar.cos(), polar.sin() * around.cos()], -1).reshape(-1, 3)
    ball = torch.cat([ball, torch.tensor([[0.0, 1.0, 0.0], [0.0, -1.0, 0.0]])])
    features = [
        ((0.0, -0.1, 1.0), 0.15, 0.25),  # nose: direction, width, height
        ((0.35, 0.15, 0.9), 0.12, -0.15),  # eye sockets
        ((-0.35, 0.15, 0.9), 0.12, -0.15),
        ((1.0, 0.0, 0.0), 0.1, 0.3),  # ears
        ((-1.0, 0.0, 0.0), 0.1, 0.3),
    ]
    radius = torch.ones(len(ball))
    for direction, width, height in features:
        centre = torch.nn.functional.normalize(torch.tensor(direction), dim=0)
        radius += height * torch.exp(-(ball - centre).square().sum(-1) / (2 * width**2))
    vertices = radius[:, None] * ball * torch.tensor([0.08, 0.12, 0.1])
    return vertices, _grid_faces(rings, sectors)


def _grid_faces(rings: int, sectors: int) -> torch.Tensor:
    row = torch.arange(rings - 2)[:, None] * sectors
    here, there = torch.arange(sectors), (torch.arange(sectors) + 1) % sectors
    a, b = (row + here).flatten(), (row + sectors + here).flatten()
    c, d = (row + sectors + there).flatten(), (row + there).flatten()
    top, bottom, last = (rings - 1) * sectors, (rings - 1) * sectors + 1, (rings - 2) * sectors
    caps = [
        torch.stack([torch.full_like(here, top), here, there], -1),
        torch.stack([torch.full_like(here, bottom), last + there, last + here], -1),
    ]
    return torch.cat([torch.stack([a, b, c], -1), torch.stack([a, c, d], -1), *caps]).int()


def vertex_normals(vertices: torch.Tensor, faces: torch.Tensor) -> torch.Tensor:
    """Area-weighted unit normals [V,3]."""
    corners = vertices[faces.long()]
    face_normals = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = torch.zeros_like(vertices)
    for corner in range(3):
        normals.index_add_(0, faces[:, corner].long(), face_normals)
    return torch.nn.functional.normalize(normals, dim=-1)


def soup(count: int, size: float, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Random separate triangles of about `size` in the unit cube: (vertices [3 count,3], faces [count,3] int32)."""
    centres = torch.rand(count, 1, 3, generator=generator)
    vertices = centres + size * torch.randn(count, 3, 3, generator=generator)
    return vertices.reshape(-1, 3), torch.arange(3 * count, dtype=torch.int32).reshape(-1, 3)

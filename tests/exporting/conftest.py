"""A small scene with everything an exporter can meet: seams in the texture, colours."""

import pytest
import torch

from rgb_core.exporting import ExportScene, GaussianCloud, TriangleMesh


@pytest.fixture
def scene():
    """Seven Gaussians and a pyramid whose base is split by a texture seam."""
    generator = torch.Generator().manual_seed(3)

    def uniform(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator)

    cloud = GaussianCloud(
        means=uniform(7, 3) - 0.5,
        rotations=torch.nn.functional.normalize(uniform(7, 4) - 0.5, dim=1),
        scales=0.001 + 0.01 * uniform(7, 3),
        opacities=0.05 + 0.9 * uniform(7, 1),
        radiance=uniform(7, 3),
    )
    vertices = torch.tensor([[-1.0, 0, -1], [1, 0, -1], [1, 0, 1], [-1, 0, 1], [0, 2, 0]])
    faces = torch.tensor([[0, 1, 2], [0, 2, 3], [1, 0, 4], [2, 1, 4], [3, 2, 4], [0, 3, 4]])
    mesh = TriangleMesh(
        vertices=vertices,
        normals=torch.nn.functional.normalize(vertices, dim=1),
        faces=faces,
        colors=uniform(5, 3),
        uv=uniform(9, 2),
        uv_faces=torch.tensor([[0, 1, 2], [0, 2, 3], [1, 0, 4], [2, 1, 5], [3, 2, 6], [7, 3, 8]]),
    )
    return ExportScene("pyramid", cloud, mesh)

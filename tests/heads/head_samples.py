"""A small head with every part of the format, random but reproducible."""

import torch

from rgb_core.heads import HeadModel


def random_head(seed: int = 0, regressed: bool = False, dtype: torch.dtype = torch.float64) -> HeadModel:
    """Twelve vertices, three expressions, two identities, a chain of three joints with correctives."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype) * 0.1

    count, joints = 12, 3
    weights = torch.rand(count, joints, generator=generator, dtype=torch.float64).to(dtype) + 0.1
    regressor = torch.rand(joints, count, generator=generator, dtype=torch.float64).to(dtype)
    vertices = draw(count, 3)
    regressor = regressor / regressor.sum(1, keepdim=True)
    return HeadModel(
        name="random",
        vertices=vertices,
        faces=torch.tensor([[i, (i + 1) % count, (i + 5) % count] for i in range(count)]),
        shape_basis=draw(2, count, 3),
        expression_basis=draw(3, count, 3),
        expression_names=("a", "b", "c"),
        pose_basis=draw(18, count, 3),
        joint_positions=regressor @ vertices if regressed else draw(joints, 3),
        joint_parents=torch.tensor([-1, 0, 1]),
        joint_names=("root", "neck", "jaw"),
        skin_weights=weights / weights.sum(1, keepdim=True),
        region=torch.arange(count, dtype=torch.uint8) % 10,
        joint_regressor=regressor if regressed else None,
        uv=torch.rand(count, 2, generator=generator, dtype=torch.float64).to(dtype),
        uv_faces=torch.tensor([[i, (i + 1) % count, (i + 5) % count] for i in range(count)]),
        landmarks68=torch.arange(68) % count,
        meta='{"licence": "none"}',
    )

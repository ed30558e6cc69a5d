"""Random heads and Gaussians that the blendshape tests share."""

import torch
from gaussian_blendshapes import (
    Carrier,
    GaussianTable,
    HeadTable,
    pack_gaussians,
    pack_head,
    reference,
    skin_gaussians,
)
from gaussian_blendshapes.tables import CHANNELS, LEARNED
from visibility_meshes import head as head_mesh


def random_head(expressions: int = 7, joints: int = 3, correctives: bool = True, device: str = "cpu") -> HeadTable:
    """A head-like mesh whose joints form a chain, the last one first in number."""
    generator = torch.Generator().manual_seed(0)
    vertices, faces = head_mesh(13, 16)
    count = len(vertices)
    skin = torch.rand(count, joints, generator=generator)
    joint_rest = 0.05 * torch.randn(joints, 3, generator=generator)
    parents = torch.tensor([*range(1, joints), -1])
    pose_rows = 9 * (joints - 1) if correctives else 0
    return pack_head(
        vertices.to(device),
        faces.to(device),
        0.01 * torch.randn(expressions, count, 3, generator=generator).to(device),
        0.01 * torch.randn(pose_rows, count, 3, generator=generator).to(device),
        (skin / skin.sum(1, keepdim=True)).to(device),
        joint_rest.to(device),
        parents.to(device),
        0.01 * torch.randn(expressions, joints, 3, generator=generator).to(device),
    )


def random_pose(table: HeadTable, scale: float = 1.0) -> list[torch.Tensor]:
    """Expression with zeros in it, joints and translation, on the table's device."""
    generator = torch.Generator().manual_seed(1)
    expression = torch.rand(table.expressions, generator=generator)
    expression[::3] = 0
    joints = scale * torch.randn(len(table.joint_rest), 3, generator=generator)
    pose = expression, joints, torch.randn(3, generator=generator)
    return [values.to(table.rest.device) for values in pose]


def random_gaussians(head: HeadTable, points: int, device: str = "cpu") -> GaussianTable:
    """Gaussians with 0 to all expressions each; some deltas vanish."""
    generator = torch.Generator().manual_seed(2)
    expressions, joints = head.expressions, len(head.joint_rest)
    moves = torch.rand(points, expressions, generator=generator) < torch.rand(points, 1, generator=generator)
    gaussian, expression = moves.nonzero(as_tuple=True)
    offsets = torch.nn.functional.pad(moves.sum(1).cumsum(0), (1, 0))
    pairs = len(gaussian)
    neutral = {name: torch.randn(points, width, generator=generator) for name, width in CHANNELS.items()}
    neutral["turn"] *= 0
    deltas = {name: 0.1 * torch.randn(pairs, width, generator=generator) for name, width in CHANNELS.items()}
    for rows in deltas.values():
        rows[::5] = 0
    skin = torch.rand(points, joints, generator=generator)
    barycentric = torch.rand(points, 3, generator=generator)
    face = torch.randint(0, len(head.rings.faces), (points,), generator=generator)
    return pack_gaussians(
        {name: value.to(device) for name, value in neutral.items()},
        offsets.to(device),
        expression.to(device),
        {name: value.to(device) for name, value in deltas.items()},
        0.01 * torch.randn(head.correctives, points, 3, generator=generator).to(device),
        (skin / skin.sum(1, keepdim=True)).to(device),
        head.rings.faces.to(device)[face.to(device)],
        (barycentric / barycentric.sum(1, keepdim=True)).to(device),
        (0.3 * torch.randn(points, 3, generator=generator)).to(device),
        0.1,
    )


def assert_near(actual, expected, tolerance: float = 3e-6):
    for left, right in zip(actual, expected, strict=True):
        scale = float(right.detach().abs().max()) if right.numel() else 1.0
        torch.testing.assert_close(left.double().cpu(), right, rtol=0, atol=tolerance * max(scale, 1e-3))


def check_skinning(device: str, joints: int) -> None:
    """Values and gradients of `skin_gaussians` on a device against float64."""
    generator = torch.Generator().manual_seed(5)
    points = 300
    neutral = {name: torch.randn(points, width, generator=generator) for name, width in LEARNED.items()}
    learned, scale = torch.randn(points, 16, generator=generator), torch.rand(16, generator=generator)
    transforms = reference.pose_head(random_head(joints=joints), *random_pose(random_head(joints=joints), 0.5))[2]
    skin = torch.rand(points, joints, generator=generator)
    carrier = Carrier(
        0.1 * torch.randn(points, 10, generator=generator),
        torch.randn(points, 3, generator=generator),
        skin / skin.sum(1, keepdim=True),
        transforms,
    )
    leaves = [tensor.double().requires_grad_() for tensor in (*neutral.values(), learned)]
    doubled = Carrier(*(tensor.double() for tensor in vars(carrier).values()))
    exact = reference.skin(leaves[:-1], leaves[-1], scale.double(), doubled, 0.1)
    upstream = [torch.randn(out.shape, generator=generator) for out in exact]
    exact_gradients = torch.autograd.grad(exact, leaves, [g.double() for g in upstream])
    mine = [tensor.to(device).requires_grad_() for tensor in (*neutral.values(), learned)]
    there = Carrier(*(tensor.to(device) for tensor in vars(carrier).values()))
    out = skin_gaussians(dict(zip(LEARNED, mine[:-1], strict=True)), mine[-1], scale.to(device), there, 0.1)
    assert_near(out[:1] + out[2:], exact[:1] + exact[2:], 1e-5)
    assert_near(out[1:2], exact[1:2], 3e-4)
    assert_near(torch.autograd.grad(out, mine, [g.to(device) for g in upstream]), exact_gradients, 3e-4)

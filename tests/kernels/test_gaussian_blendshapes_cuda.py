"""Posing on a GPU: agreement with the float64 reference, empty and odd sizes, graphs, streams, repeatability."""

import pytest
import torch
from blendshape_samples import random_gaussians, random_head, random_pose
from gaussian_blendshapes import (
    Carrier,
    attach,
    pose_gaussians,
    pose_head,
    reference,
    skin_gaussians,
    weighted_segment_sum,
)
from gaussian_blendshapes.tables import LEARNED

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU"),
]


def assert_near(actual, expected, tolerance: float = 3e-6):
    for left, right in zip(actual, expected, strict=True):
        scale = float(right.abs().max()) if right.numel() else 1.0
        torch.testing.assert_close(left.double().cpu(), right, rtol=0, atol=tolerance * max(scale, 1e-3))


@pytest.mark.parametrize("joints", [1, 3, 6])
@pytest.mark.parametrize("correctives", [False, True])
@pytest.mark.parametrize("scale", [0.01, 1.0, 3.0])
def test_heads_agree_with_the_reference(joints: int, correctives: bool, scale: float):
    table = random_head(joints=joints, correctives=correctives)
    pose = random_pose(table, scale)
    exact = reference.pose_head(table, *(values.double() for values in pose))
    mine = pose_head(random_head(joints=joints, correctives=correctives, device="cuda"), *(v.cuda() for v in pose))
    assert_near((mine.vertices, mine.transforms, mine.weights), (exact[0], exact[2], exact[3]))
    assert_near((mine.normals,), (exact[1],), 1e-4)


@pytest.mark.parametrize("points", [0, 1, 47, 48, 49, 3000])
def test_gaussians_agree_with_the_reference(points: int):
    head = random_head()
    mesh = reference.pose_head(head, *(values.double() for values in random_pose(head, 0.3)))
    exact = reference.pose_gaussians(random_gaussians(head, points), mesh[3], mesh[2])
    table = random_gaussians(head, points, "cuda")
    mine = pose_gaussians(table, mesh[3].float().cuda(), mesh[2].float().cuda())
    assert_near((mine.means, *mine[2:]), (exact[0], *exact[2:]), 1e-5)
    sign = torch.sign((mine.rotations.double().cpu() * exact[1]).sum(1, keepdim=True))
    # A component near 0 is the root of a difference: float32 leaves it the root of its rounding.
    assert_near((mine.rotations,), (sign * exact[1],), 3e-4)


@pytest.mark.parametrize("channels", [1, 3, 7, 16, 31, 32, 33, 70])
def test_segment_sums_agree_with_the_cpu(channels: int):
    generator = torch.Generator().manual_seed(3)
    counts = torch.randint(0, 9, (500,), generator=generator)
    offsets = torch.nn.functional.pad(counts.cumsum(0), (1, 0))
    rows = int(offsets[-1])
    values = torch.randn(rows, channels, generator=generator)
    weights = torch.randn(rows, generator=generator) * (torch.rand(rows, generator=generator) < 0.6)
    upstream = torch.randn(500, channels, generator=generator)
    results = []
    for device in ("cpu", "cuda", "cuda"):
        leaf = values.to(device).requires_grad_()
        out = weighted_segment_sum(leaf, weights.to(device), offsets.to(device))
        (gradient,) = torch.autograd.grad(out, leaf, upstream.to(device))
        results.append((out.detach().cpu(), gradient.cpu()))
    torch.testing.assert_close(results[1], results[0])
    assert all(torch.equal(a, b) for a, b in zip(results[1], results[2], strict=True))


def test_a_pose_can_be_captured_on_a_side_stream_and_repeats_bit_for_bit():
    head = random_head(device="cuda")
    table = random_gaussians(head, 1000, "cuda")
    pose, occlusion = random_pose(head, 0.3), torch.rand(len(head.rest), device="cuda")
    camera = torch.eye(3, 4, device="cuda")

    def work():
        mesh = pose_head(head, *pose)
        gaussians = pose_gaussians(table, mesh.weights, mesh.transforms)
        means, rotations = gaussians.means, gaussians.rotations
        surface = attach(table.anchors, mesh.normals, occlusion, table.normal_offset, means, rotations, camera)
        return [*mesh, *gaussians, *surface]

    expected = [tensor.clone() for tensor in work()]
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.stream(stream), torch.cuda.graph(graph, stream=stream):
        outputs = work()
    for tensor in outputs:
        tensor.fill_(torch.nan)
    graph.replay()
    torch.cuda.synchronize()
    assert all(torch.equal(a, b) for a, b in zip(outputs, expected, strict=True))


@pytest.mark.parametrize("joints", [1, 4])
def test_skinning_and_its_gradients_agree_with_the_reference(joints: int):
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
    mine = [tensor.cuda().requires_grad_() for tensor in (*neutral.values(), learned)]
    on_gpu = Carrier(*(tensor.cuda() for tensor in vars(carrier).values()))
    out = skin_gaussians(dict(zip(LEARNED, mine[:-1], strict=True)), mine[-1], scale.cuda(), on_gpu, 0.1)
    assert_near(out[:1] + out[2:], exact[:1] + exact[2:], 1e-5)
    assert_near(out[1:2], exact[1:2], 3e-4)
    assert_near(torch.autograd.grad(out, mine, [g.cuda() for g in upstream]), exact_gradients, 3e-4)

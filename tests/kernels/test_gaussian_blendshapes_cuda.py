"""Posing on a GPU: agreement with the float64 reference, empty and odd sizes, graphs, streams, repeatability."""

import pytest
import torch
from blendshape_samples import assert_near, check_skinning, random_gaussians, random_head, random_pose
from gaussian_blendshapes import (
    attach,
    pose_gaussians,
    pose_head,
    reference,
    weighted_segment_sum,
)

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU"),
]


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
    check_skinning("cuda", joints)

"""Fixed-radius neighbours on a GPU: against the CPU, all pairs in float64, gradients, reuse, streams and graphs."""

import pytest
import torch
from frnn import frnn_bf_points, frnn_grid_points, reference
from kernel_runtime import ArgumentError, UnsupportedDevice
from test_frnn import LENGTHS1, LENGTHS2, clouds

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU"),
]


# Fewer neighbours than registers, more than one pass of them, and every way to hold a point.
@pytest.mark.parametrize(("dimensions", "r"), [(2, 0.25), (3, 0.375), (4, 0.5), (12, 1.2)])
@pytest.mark.parametrize("count", [1, 3, 20, 70])
def test_grid_finds_what_the_cpu_finds(dimensions, r, count):
    points1, points2 = clouds(dimensions)
    dists, idxs, nn, grid = frnn_grid_points(
        points1.cuda(), points2.cuda(), LENGTHS1.cuda(), LENGTHS2.cuda(), K=count, r=r, return_nn=True
    )
    expected = frnn_grid_points(points1, points2, LENGTHS1, LENGTHS2, K=count, r=r, return_nn=True)
    for ours, theirs in zip((dists, idxs, nn, *grid), (*expected[:3], *expected[3]), strict=True):
        assert ours.device.type == "cuda"
        assert torch.equal(ours.cpu(), theirs)  # on the lattice distances and ties are exact


def test_grid_is_reused_for_another_radius():
    points1, points2 = clouds(3)
    _, _, _, grid = frnn_grid_points(points1.cuda(), points2.cuda(), K=5, r=0.3)
    other, full = points1.flip(1) * 1.5 - 0.3, torch.full((3,), 150)
    dists, idxs, _, again = frnn_grid_points(other.cuda(), points2.cuda(), K=5, r=0.9, grid=grid)
    expected_dists, expected_idxs = reference.neighbours(other, points2, full, torch.full((3,), 200), 5, 0.9)
    assert again is grid
    assert torch.allclose(dists.cpu(), expected_dists, atol=1e-6)  # off the lattice: rounding
    assert ((idxs.cpu() >= 0) == (expected_idxs >= 0)).float().mean() > 0.999


def test_brute_force_and_one_radius_per_cloud():
    points1, points2 = clouds(3)
    radii = torch.tensor([0.2, 0.5, 0.8])
    ours = frnn_bf_points(points1.cuda(), points2.cuda(), K=40, r=radii.cuda())
    for got, expected in zip(ours[:2], frnn_bf_points(points1, points2, K=40, r=radii)[:2], strict=True):
        assert torch.equal(got.cpu(), expected)


def test_gradients_agree_with_float64():
    generator = torch.Generator().manual_seed(9)
    points1, points2 = torch.rand(2, 300, 3, generator=generator), torch.rand(2, 400, 3, generator=generator)
    on_gpu = [points.cuda().requires_grad_() for points in (points1, points2)]
    dists, _, _, _ = frnn_grid_points(*on_gpu, K=5, r=0.2)
    weights = torch.rand(dists.shape, generator=generator)
    ours = torch.autograd.grad((weights.cuda() * dists).sum(), on_gpu)
    exact = [points.double().requires_grad_() for points in (points1, points2)]
    all1, all2 = torch.tensor([300, 300]), torch.tensor([400, 400])
    exact_dists, _ = reference.neighbours(*exact, all1, all2, 5, 0.2)
    for gradient, expected in zip(ours, torch.autograd.grad((weights * exact_dists).sum(), exact), strict=True):
        assert torch.allclose(gradient.cpu().double(), expected, atol=1e-5)  # float32 sums of a few terms of about 1


def test_empty_clouds_and_identical_points():
    dists, idxs, _, _ = frnn_grid_points(torch.zeros(1, 2, 3).cuda(), torch.zeros(1, 0, 3).cuda(), K=2, r=1.0)
    assert (dists == -1).all()
    assert (idxs == -1).all()
    dists, _, _, _ = frnn_grid_points(torch.zeros(1, 0, 3).cuda(), torch.zeros(1, 5, 3).cuda(), K=2, r=1.0)
    assert dists.shape == (1, 0, 2)
    _, idxs, _, _ = frnn_grid_points(torch.ones(1, 1, 3).cuda(), torch.ones(1, 99, 3).cuda(), K=50, r=1.0)
    assert idxs.tolist() == [[list(range(50))]]


def test_gaps_are_accepted_and_misuse_is_reported():
    points = torch.rand(1, 50, 3).cuda()
    gapped = points.transpose(1, 2).contiguous().transpose(1, 2)
    plain, _, _, _ = frnn_grid_points(points, points, K=4, r=0.5)
    assert torch.equal(frnn_grid_points(gapped, gapped, K=4, r=0.5)[0], plain)
    with pytest.raises(ArgumentError, match="float64"):
        frnn_grid_points(points.double(), points.double(), K=4, r=0.5)
    with pytest.raises(UnsupportedDevice, match="one device"):
        frnn_grid_points(points, points.cpu(), K=4, r=0.5)


def test_capture_in_a_graph():
    """Capture fails on any wait for the device."""
    points1, points2 = (points.cuda() for points in clouds(3))
    frnn_grid_points(points1, points2, K=8, r=0.3)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        dists, idxs, _, _ = frnn_grid_points(points1, points2, K=8, r=0.3)
    points1.copy_(points1.flip(1))
    graph.replay()
    expected, expected_idxs, _, _ = frnn_grid_points(points1.cpu(), points2.cpu(), K=8, r=0.3)
    assert torch.equal(dists.cpu(), expected)
    assert torch.equal(idxs.cpu(), expected_idxs)

"""Fixed-radius neighbours: sets, order, padding and gradients against all pairs; limits and grid reuse."""

import pytest
import torch
from frnn import frnn_bf_points, frnn_gather, frnn_grid_points, reference
from kernel_runtime import ArgumentError

LENGTHS1, LENGTHS2 = torch.tensor([150, 60, 0]), torch.tensor([200, 33, 200])


def clouds(dimensions: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Two batches of clouds on a lattice of eighths: distances are exact in float32, and often equal."""
    generator = torch.Generator().manual_seed(dimensions)
    points1 = torch.randint(0, 9, (3, 150, dimensions), generator=generator) / 8
    return points1, torch.randint(0, 9, (3, 200, dimensions), generator=generator) / 8


@pytest.mark.parametrize(("dimensions", "r"), [(2, 0.25), (3, 0.375), (4, 0.5), (40, 2.5)])
@pytest.mark.parametrize("count", [3, 20])
def test_grid_finds_what_all_pairs_find(dimensions, r, count):
    points1, points2 = clouds(dimensions)
    dists, idxs, nn, _ = frnn_grid_points(points1, points2, LENGTHS1, LENGTHS2, K=count, r=r, return_nn=True)
    expected_dists, expected_idxs = reference.neighbours(points1, points2, LENGTHS1, LENGTHS2, count, r)
    assert 0.02 < (idxs >= 0).float().mean() < 0.9
    assert torch.equal(idxs, expected_idxs)  # lattice: distances, the inclusive radius and ties are exact
    assert torch.equal(dists, expected_dists)
    padded = idxs < 0
    assert (dists[padded] == -1).all()
    assert (nn[padded] == 0).all()
    rows, _, _ = (~padded).nonzero(as_tuple=True)
    assert torch.equal(nn[~padded], points2[rows, idxs[~padded]])


def test_radius_is_inclusive_on_the_grid_and_exclusive_in_brute_force():
    points1, points2 = torch.zeros(1, 1, 3), torch.tensor([[[0.5, 0.0, 0.0], [0.25, 0.0, 0.0]]])
    _, idxs, _, _ = frnn_grid_points(points1, points2, K=4, r=0.5)
    assert idxs.tolist() == [[[1, 0, -1, -1]]]
    idxs, dists, nn = frnn_bf_points(points1, points2, K=4, r=0.5, return_nn=True)
    assert idxs.tolist() == [[[1, -1, -1, -1]]]
    assert dists.tolist() == [[[0.0625, -1, -1, -1]]]
    assert nn.shape == (1, 1, 4, 3)


@pytest.mark.parametrize("ratio", [0.5, 2.0, 7.0])
def test_grid_is_reused_for_other_radii_and_queries(ratio):
    points1, points2 = clouds(3)
    _, _, _, grid = frnn_grid_points(points1, points2, None, LENGTHS2, K=5, r=0.3, radius_cell_ratio=ratio)
    other = points1.flip(1) * 1.5 - 0.3
    full = torch.full((3,), 150)
    for r in (0.1, 0.9):
        dists, idxs, _, again = frnn_grid_points(other, points2, None, LENGTHS2, K=5, r=r, grid=grid)
        expected_dists, expected_idxs = reference.neighbours(other, points2, full, LENGTHS2, 5, r)
        assert again is grid
        assert torch.allclose(dists, expected_dists, atol=1e-6)  # off the lattice: rounding
        assert ((idxs >= 0) == (expected_idxs >= 0)).float().mean() > 0.999


def test_one_radius_per_cloud():
    points1, points2 = clouds(3)
    radii = torch.tensor([0.2, 0.5, 0.8])
    dists, _, _, _ = frnn_grid_points(points1, points2, K=6, r=radii)
    for n in range(3):
        alone, _, _, _ = frnn_grid_points(points1[n : n + 1], points2[n : n + 1], K=6, r=float(radii[n]))
        assert torch.equal(dists[n], alone[0])


@pytest.mark.parametrize("brute_force", [False, True])
def test_gradients_of_the_distances(brute_force):
    generator = torch.Generator().manual_seed(9)
    points1 = torch.rand(2, 30, 3, generator=generator).requires_grad_()
    points2 = torch.rand(2, 40, 3, generator=generator).requires_grad_()
    if brute_force:
        idxs, dists, _ = frnn_bf_points(points1, points2, K=5, r=0.4)
    else:
        dists, idxs, _, _ = frnn_grid_points(points1, points2, K=5, r=0.4)
    assert not idxs.requires_grad
    weights = torch.rand(dists.shape, generator=generator)
    ours = torch.autograd.grad((weights * dists).sum(), (points1, points2))
    exact1, exact2 = (points.detach().double().requires_grad_() for points in (points1, points2))
    full1, full2 = torch.tensor([30, 30]), torch.tensor([40, 40])
    exact, _ = reference.neighbours(exact1, exact2, full1, full2, 5, 0.4)
    for gradient, expected in zip(ours, torch.autograd.grad((weights * exact).sum(), (exact1, exact2)), strict=True):
        assert torch.allclose(gradient.double(), expected, atol=1e-5)  # float32 sums of a few terms of about 1
    step = 1e-3  # distances are quadratic, so central differences are exact up to rounding
    shift = torch.zeros_like(points1)
    shift[0, 3, 1] = step

    def loss(points):
        dists, _ = reference.neighbours(points, points2.detach().double(), full1, full2, 5, 0.4)
        return (weights.double() * dists).sum()

    moved = (loss(points1.detach().double() + shift) - loss(points1.detach().double() - shift)) / (2 * step)
    assert abs(moved - ours[0][0, 3, 1]) < 1e-4


def test_gather_pads_with_zeros():
    x = torch.arange(12.0).reshape(1, 4, 3)
    idxs = torch.tensor([[[2, -1], [0, 3]]])
    gathered = frnn_gather(x, idxs)
    assert torch.equal(gathered[0, 0, 0], x[0, 2])
    assert (gathered[0, 0, 1] == 0).all()
    assert torch.equal(gathered[0, 1], x[0, [0, 3]])


def test_empty_second_cloud_and_identical_points():
    dists, idxs, nn, _ = frnn_grid_points(torch.zeros(1, 2, 3), torch.zeros(1, 0, 3), K=2, r=1.0, return_nn=True)
    assert (dists == -1).all()
    assert (idxs == -1).all()
    assert (nn == 0).all()
    _, idxs, _, _ = frnn_grid_points(torch.ones(1, 1, 3), torch.ones(1, 9, 3), K=3, r=1.0)
    assert idxs.tolist() == [[[0, 1, 2]]]


def test_limits_are_reported():
    points = torch.zeros(1, 4, 3)
    for arguments, message in (
        ({"K": 0, "r": 1.0}, "K: expected at least 1"),
        ({"K": 3}, "r: expected a number above 0"),
        ({"K": 3, "r": torch.ones(2)}, "r: expected"),
        ({"K": 3, "r": 1.0, "lengths1": torch.tensor([5])}, "lengths1"),
        ({"K": 3, "r": 1.0, "radius_cell_ratio": 0}, "radius_cell_ratio"),
    ):
        with pytest.raises(ArgumentError, match=message):
            frnn_grid_points(points, points, **arguments)
    with pytest.raises(ArgumentError, match="dimensions"):
        frnn_grid_points(points[..., :1], points[..., :1], K=1, r=1.0)
    with pytest.raises(ArgumentError, match="at most 32 above 32"):
        frnn_grid_points(torch.zeros(1, 4, 33), torch.zeros(1, 4, 33), K=33, r=1.0)
    with pytest.raises(ArgumentError, match="points2: expected shape"):
        frnn_grid_points(points, points[..., :2], K=1, r=1.0)
    with pytest.raises(ArgumentError, match=r"D in 1\.\.8"):
        frnn_bf_points(torch.zeros(1, 4, 9), torch.zeros(1, 4, 9), K=1, r=1.0)

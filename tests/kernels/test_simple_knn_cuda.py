"""Mean squared distance to the three nearest others on a GPU: against all pairs in float64 and the CPU."""

import pytest
import torch
from kernel_runtime import ArgumentError
from simple_knn import mean_squared_distance, reference
from test_simple_knn import cloud

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU"),
]


@pytest.mark.parametrize("kind", ["volume", "surface", "outliers", "duplicates", "line"])
def test_agrees_with_all_pairs(kind):
    points = cloud(3001)
    if kind == "surface":
        points = torch.nn.functional.normalize(points, dim=-1)
    if kind == "outliers":
        points[::500] *= 1e5
    if kind == "duplicates":
        points[200:900] = points[:700].clone()
    if kind == "line":
        points[:, 1:] = 0
    ours = mean_squared_distance(points.cuda())
    assert ours.device.type == "cuda"
    expected = reference.mean_nearest_distance2(points.double())
    # Squares of differences of float32 coordinates: relative error of a few roundings.
    assert torch.allclose(ours.cpu().double(), expected, rtol=1e-6, atol=0)


def test_agrees_with_the_cpu_on_many_points():
    points = cloud(70_000)
    assert torch.allclose(mean_squared_distance(points.cuda()).cpu(), mean_squared_distance(points), rtol=1e-6, atol=0)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 8, 9, 17])
def test_small_clouds(count):
    points = cloud(count, 3)
    ours = mean_squared_distance(points.cuda()).cpu()
    assert ours.shape == (count,)
    if count:
        assert torch.allclose(ours.double(), reference.mean_nearest_distance2(points.double()), rtol=1e-6, atol=0)


def test_points_at_one_place_gaps_and_misuse():
    assert (mean_squared_distance(torch.ones(5000, 3).cuda()) == 0).all()
    points = cloud(500).cuda()
    assert torch.equal(mean_squared_distance(points.T.contiguous().T), mean_squared_distance(points))
    with pytest.raises(ArgumentError, match="float64"):
        mean_squared_distance(points.double())
    with pytest.raises(ArgumentError, match="not finite"):
        mean_squared_distance(points * torch.nan)

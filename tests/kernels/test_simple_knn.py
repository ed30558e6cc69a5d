"""Mean squared distance to the three nearest others: against all pairs, small clouds, duplicates, outliers."""

import pytest
import torch
from kernel_runtime import ArgumentError
from simple_knn import mean_squared_distance, reference
from simple_knn._C import distCUDA2


def cloud(count: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, 3, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kind", ["volume", "surface", "outliers", "duplicates", "line"])
def test_agrees_with_all_pairs(kind):
    points = cloud(1500)
    if kind == "surface":
        points = torch.nn.functional.normalize(points, dim=-1)
    if kind == "outliers":
        points[::500] *= 1e5
    if kind == "duplicates":
        points[200:900] = points[:700].clone()
    if kind == "line":
        points[:, 1:] = 0
    expected = reference.mean_nearest_distance2(points.double())
    # Squares of differences of float32 coordinates: relative error of a few roundings.
    assert torch.allclose(mean_squared_distance(points).double(), expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize(("count", "expected"), [(1, [0.0]), (2, [4.0, 4.0]), (3, [20.0, 10.0, 26.0])])
def test_small_clouds_average_over_the_others_there_are(count, expected):
    points = torch.tensor([[0.0, 0.0, 0.0], [2.0, 0.0, 0.0], [6.0, 0.0, 0.0]])[:count]
    assert torch.equal(mean_squared_distance(points), torch.tensor(expected))


def test_no_points():
    assert mean_squared_distance(torch.zeros(0, 3)).shape == (0,)


def test_repeats_bit_for_bit():
    points = cloud(5000, 1)
    assert torch.equal(mean_squared_distance(points), mean_squared_distance(points))


def test_misuse_is_reported():
    with pytest.raises(ArgumentError, match="points: expected shape"):
        mean_squared_distance(torch.zeros(4, 2))
    with pytest.raises(ArgumentError, match="not finite"):
        mean_squared_distance(torch.full((4, 3), torch.nan))


def test_upstreams_name_is_the_same_function():
    assert distCUDA2 is mean_squared_distance

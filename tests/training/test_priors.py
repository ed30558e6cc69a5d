"""The priors say nothing about what they allow."""

import math
from types import SimpleNamespace

import pytest
import torch

from rgb_core.gathering import Gathering
from rgb_core.heads.regions import Region
from rgb_core.images import srgb_to_linear
from rgb_core.training.objective import feature_term, gradient_term, picture_terms
from rgb_core.training.priors import (
    Pairs,
    PartPriors,
    albedo_smoothness,
    neighbours,
    normal_smoothness,
    opacity_entropy,
)


def test_opacity_entropy_peaks_at_one_half():
    assert float(opacity_entropy(torch.full((4, 1), 0.5))) == pytest.approx(math.log(2))
    assert float(opacity_entropy(torch.tensor([[1.0], [0.0]]))) < 2e-3


def test_neighbours_stay_within_a_region():
    axis = torch.arange(10.0)
    points = torch.stack([axis, torch.zeros(10), torch.zeros(10)], dim=1)
    region = (axis >= 5).to(torch.uint8)
    pairs = neighbours(points, region)
    assert bool((region[pairs.first.index] == region[pairs.second.index]).all())
    assert set(range(10)) == set(pairs.first.index.tolist())


def test_albedo_smoothness_is_zero_for_even_skin_and_grows_linearly_with_an_edge():
    pairs = Pairs(Gathering(torch.tensor([0]), 2), Gathering(torch.tensor([1]), 2))
    even = torch.full((2, 3), 0.4)
    assert float(albedo_smoothness(even, pairs)) == pytest.approx(0, abs=1e-7)
    costs = [float(albedo_smoothness(torch.tensor([[0.4] * 3, [0.4 * factor] * 3]), pairs)) for factor in (0.3, 0.09)]
    assert costs[1] < 2.3 * costs[0]  # squares would cost four times as much


def test_normals_that_lean_alike_cost_nothing():
    pairs = Pairs.of(torch.tensor([0]), torch.tensor([1]), 2)
    alike = torch.tensor([[0.3, 0.0, 0.1], [0.3, 0.0, 0.1]])
    assert float(normal_smoothness(alike, pairs)) == 0
    assert float(normal_smoothness(alike * torch.tensor([[1.0], [-1.0]]), pairs)) == pytest.approx(0.4 / 3)


def test_the_gradient_of_the_smoothness_is_that_of_plain_indexing():
    generator = torch.Generator().manual_seed(3)
    surface, albedo = torch.rand(40, 3, generator=generator), torch.rand(40, 3, generator=generator)
    pairs = neighbours(surface, torch.zeros(40, dtype=torch.uint8))
    mine, plain = albedo.clone().requires_grad_(), albedo.clone().requires_grad_()
    albedo_smoothness(mine, pairs).backward()
    logarithm = torch.log(plain + 0.02)
    difference = logarithm[pairs.first.index] - logarithm[pairs.second.index]
    (difference.square().sum(1) + 0.1**2).sqrt().mean().backward()
    torch.testing.assert_close(mine.grad, plain.grad)


def test_skin_has_an_opacity_floor_and_hair_has_none():
    """A lack of 0.4 below 0.6 costs 0.16 where it counts."""
    avatar = SimpleNamespace(region=lambda: torch.tensor([Region.SKIN, Region.SCALP]), count=2)
    parts = PartPriors.of(avatar)
    cost = parts.opacity_floor(SimpleNamespace(opacities=torch.tensor([[0.2], [0.2]])))
    assert float(cost) == pytest.approx(0.16 / 2)
    assert float(parts.opacity_floor(SimpleNamespace(opacities=torch.tensor([[0.7], [0.0]])))) == 0


def test_teeth_may_be_white_and_gums_may_not():
    avatar = SimpleNamespace(region=lambda: torch.tensor([Region.TEETH, Region.MOUTH]), count=2)
    parts = PartPriors.of(avatar)
    assert float(parts.too_bright(torch.full((2, 3), 0.6))) == 0
    assert float(parts.too_bright(torch.full((2, 3), 0.8))) == pytest.approx(0.2**2 / 2)


def test_leaning_normals_of_hair_count_apart():
    avatar = SimpleNamespace(region=lambda: torch.tensor([Region.SKIN, Region.SCALP]), count=2)
    costs = PartPriors.of(avatar).leaning(torch.tensor([[0.3, 0.0, 0.0], [0.0, 0.6, 0.0]]))
    assert float(costs["normal_offset"]) == pytest.approx(0.09 / 3 / 2)
    assert float(costs["normal_offset_hair"]) == pytest.approx(0.36 / 3 / 2)


def test_coarse_scales_see_what_a_window_does_not():
    """Noise of single pixels averages out at half the size; a broad stain stays."""
    generator = torch.Generator().manual_seed(5)
    rgba = torch.full((64, 64, 4), 128, dtype=torch.uint8)
    rgba[..., 3] = 255
    rgba[::8, :, :3] = 90
    target = SimpleNamespace(
        image=rgba[..., :3].float() / 255, alpha=torch.ones(64, 64), weight=torch.ones(64, 64), rgba=rgba
    )
    linear = (target.image + 1e-3).pow(2.2)
    exact = picture_terms(linear, torch.ones(64, 64), target)
    noisy = picture_terms(
        linear * (1 + 0.3 * torch.randn(64, 64, 1, generator=generator)).clamp_min(0), torch.ones(64, 64), target
    )
    assert float(exact["multiscale"]) < 0.02
    assert float(noisy["multiscale"]) < float(noisy["dssim"])


def test_errors_in_eyes_and_mouth_alone_cost_there():
    target = SimpleNamespace(
        image=torch.full((8, 8, 3), 0.5), weight=torch.ones(8, 8), features=(torch.arange(64) < 16).view(8, 8).float()
    )
    picture = torch.full((8, 8, 3), 0.5).pow(2.2)
    exact = float(feature_term(picture, torch.ones(8, 8), target))
    elsewhere, there = picture.clone(), picture.clone()
    elsewhere[4:], there[:2] = 1.0, 1.0
    assert float(feature_term(elsewhere, torch.ones(8, 8), target)) == pytest.approx(exact, abs=1e-7)
    assert float(feature_term(there, torch.ones(8, 8), target)) == pytest.approx(0.5 * 16 / 64, rel=1e-3)


def test_the_gradients_see_lost_detail_and_no_even_error():
    wanted = torch.full((8, 8, 3), 0.5)
    wanted[:, ::2] += 0.1
    target = SimpleNamespace(image=wanted, weight=torch.ones(8, 8))
    blurred, darker = torch.full((8, 8, 3), 0.55), wanted - 0.1
    costs = [float(gradient_term(srgb_to_linear(each), torch.ones(8, 8), target)) for each in (blurred, darker)]
    assert costs == pytest.approx([0.05, 0.0], abs=1e-5)

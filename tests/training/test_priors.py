"""The priors say nothing about what they allow."""

import math
from types import SimpleNamespace

import pytest
import torch

from rgb_core.heads.regions import Region
from rgb_core.training.objective import picture_terms
from rgb_core.training.priors import (
    Pairs,
    PartPriors,
    albedo_smoothness,
    birth_density,
    neighbours,
    opacity_entropy,
    usual_materials,
)


def test_opacity_entropy_peaks_at_one_half():
    assert float(opacity_entropy(torch.full((4, 1), 0.5))) == pytest.approx(math.log(2))
    assert float(opacity_entropy(torch.tensor([[1.0], [0.0]]))) < 2e-3


def test_neighbours_stay_within_a_region():
    axis = torch.arange(10.0)
    points = torch.stack([axis, torch.zeros(10), torch.zeros(10)], dim=1)
    region = (axis >= 5).to(torch.uint8)
    pairs = neighbours(points, region)
    assert bool((region[pairs.first] == region[pairs.second]).all())
    assert set(range(10)) == set(pairs.first.tolist())


def test_the_colours_of_an_eye_are_not_held_even():
    points = torch.rand(30, 3, generator=torch.Generator().manual_seed(1))
    assert len(neighbours(points, torch.full((30,), int(Region.EYEBALL))).first) == 0


def test_albedo_smoothness_is_zero_for_even_skin_and_grows_linearly_with_an_edge():
    pairs = Pairs.of(torch.tensor([0]), torch.tensor([1]), 2)
    even = torch.full((2, 3), 0.4)
    assert float(albedo_smoothness(even, pairs)) == pytest.approx(0, abs=1e-7)
    costs = [float(albedo_smoothness(torch.tensor([[0.4] * 3, [0.4 * factor] * 3]), pairs)) for factor in (0.3, 0.09)]
    assert costs[1] < 2.3 * costs[0]  # squares would cost four times as much


def test_the_gradient_of_the_smoothness_is_that_of_plain_indexing():
    generator = torch.Generator().manual_seed(3)
    surface, albedo = torch.rand(40, 3, generator=generator), torch.rand(40, 3, generator=generator)
    pairs = neighbours(surface, torch.zeros(40, dtype=torch.uint8))
    mine, plain = albedo.clone().requires_grad_(), albedo.clone().requires_grad_()
    albedo_smoothness(mine, pairs).backward()
    logarithm = torch.log(plain + 0.02)
    difference = logarithm[pairs.first] - logarithm[pairs.second]
    (difference.square().sum(1) + 0.1**2).sqrt().mean().backward()
    torch.testing.assert_close(mine.grad, plain.grad)


def test_skin_has_an_opacity_floor_and_hair_has_none():
    """A lack of 0.4 below 0.6 costs 0.16 where it counts."""
    avatar = SimpleNamespace(region=lambda: torch.tensor([Region.SKIN, Region.SCALP]), count=2)
    parts = PartPriors.of(avatar)
    cost = parts.opacity_floor(SimpleNamespace(opacities=torch.tensor([[0.2], [0.2]])))
    assert float(cost) == pytest.approx(0.16 / 2)
    assert float(parts.opacity_floor(SimpleNamespace(opacities=torch.tensor([[0.7], [0.0]])))) == 0


def test_eyes_and_teeth_get_more_gaussians_where_they_face_forward():
    region = torch.tensor([Region.SKIN, Region.EYEBALL, Region.EYEBALL, Region.TEETH])
    skin, before, behind, tooth = birth_density(region, torch.tensor([1.0, 1.0, -1.0, 1.0])).tolist()
    assert skin == behind == 1
    assert before > tooth > 2


def test_parts_are_born_as_glossy_as_they_usually_are():
    """In the middle of the ranges that the prior allows, so that it says nothing."""
    region = torch.tensor(list(Region))
    roughness, specular = usual_materials(region)
    parts = PartPriors.of(SimpleNamespace(region=lambda: region, count=len(region)))
    gaussians = SimpleNamespace(roughness=roughness, specular_albedo=specular)
    assert float(parts.materials(gaussians)) == 0
    assert float(roughness[Region.EYEBALL]) < 0.25 < float(roughness[Region.SKIN])


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

"""The priors say nothing about what they allow."""

import math
from types import SimpleNamespace

import pytest
import torch
from training_kernels import gaussian_priors

from rgb_core.heads.regions import Region
from rgb_core.training.objective import GAUSSIAN_TERMS, picture_terms
from rgb_core.training.priors import (
    albedo_smoothness,
    birth_density,
    neighbours,
    part_ranges,
    stiffness,
    usual_roughness,
    usual_specular,
)


def costs(region: Region, opacity: float) -> dict[str, float]:
    """The terms of two equal Gaussians that nothing else is wrong with."""
    ranges = part_ranges(torch.full((2,), region), torch.zeros(2, 3), 5.0)
    middle = ranges.bounds[:, 0:2].mean(1, keepdim=True), ranges.bounds[:, 2:4].mean(1, keepdim=True)
    still = torch.zeros(2, 3)
    means = gaussian_priors(still, still + 1e-3, *middle, torch.full((2, 1), opacity), still, ranges)
    return dict(zip(GAUSSIAN_TERMS, means.tolist(), strict=True))


def test_opacity_entropy_peaks_at_one_half():
    assert costs(Region.SCALP, 0.5)["opacity_entropy"] == pytest.approx(math.log(2))
    assert max(costs(Region.SCALP, opacity)["opacity_entropy"] for opacity in (0.0, 1.0)) < 2e-3


def test_neighbours_are_the_four_nearest():
    """Against all distances; some points lie two in one place, as clones do."""
    points = torch.rand(300, 3, generator=torch.Generator().manual_seed(0))
    points[::10] = points[1::10]
    pairs = neighbours(points, torch.zeros(300, dtype=torch.uint8))
    distance = torch.cdist(points.double(), points.double()).fill_diagonal_(torch.inf)
    nearest = distance.sort(1).values[:, :4]
    assert torch.equal(pairs.first, torch.arange(300).repeat_interleave(4))
    found = distance[pairs.first, pairs.second].view(300, 4)
    torch.testing.assert_close(found.sort(1).values, nearest, rtol=1e-5, atol=1e-7)


def test_neighbours_stay_within_a_region():
    axis = torch.arange(10.0)
    points = torch.stack([axis, torch.zeros(10), torch.zeros(10)], dim=1)
    region = (axis >= 5).to(torch.uint8)
    pairs = neighbours(points, region)
    assert bool((region[pairs.first] == region[pairs.second]).all())
    assert set(range(10)) == set(pairs.first.tolist())


def test_the_colours_of_an_eye_are_not_held_even():
    points = torch.rand(30, 3, generator=torch.Generator().manual_seed(1))
    assert len(neighbours(points, torch.full((30,), Region.EYEBALL)).first) == 0


def test_eyes_and_teeth_get_more_gaussians_where_they_face_forward():
    region = torch.tensor([Region.SKIN, Region.EYEBALL, Region.EYEBALL, Region.TEETH])
    skin, before, behind, tooth = birth_density(region, torch.tensor([1.0, 1.0, -1.0, 1.0])).tolist()
    assert skin == behind == 1
    assert before > tooth > 2


def test_parts_are_born_as_glossy_as_they_may_be_for_nothing():
    region = torch.tensor(list(Region))
    bounds = part_ranges(region, torch.zeros(len(region), 3), 5.0).bounds
    roughness, specular = usual_roughness(region), usual_specular(region)
    values = torch.cat([roughness, roughness, specular, specular], dim=1)
    assert bool(((values - bounds) * torch.tensor([1, -1, 1, -1]) > 0).all())
    assert float(roughness[Region.EYEBALL]) < 0.25 < float(roughness[Region.SKIN])


def test_albedo_smoothness_is_zero_for_even_skin_and_grows_linearly_with_an_edge():
    pairs = neighbours(torch.eye(3)[:2], torch.zeros(2, dtype=torch.uint8))
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
    """A lack of 0.4 below 0.6 costs 0.16 where it counts; nothing else does."""
    assert costs(Region.SKIN, 0.2)["opacity_floor"] == pytest.approx(0.16)
    assert costs(Region.SKIN, 0.7)["opacity_floor"] == costs(Region.SCALP, 0.2)["opacity_floor"] == 0
    assert [costs(Region.SKIN, 0.2)[name] for name in ("surface", "size", "materials", "normal_offset")] == [0] * 4


def test_normals_of_hair_lean_for_less():
    """An offset that costs 1 on skin costs about a third on hair."""
    prices = stiffness(torch.tensor([Region.SKIN, Region.SCALP])).square().flatten().tolist()
    assert prices[0] == 1
    assert 0.2 < prices[1] < 0.4


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

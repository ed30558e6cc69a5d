"""The light starts grey, is as likely as natural lights are, and can be started from what the frames show."""

import pytest
import torch
from diff_envshade import texel_directions, texel_solid_angles

from rgb_core.scene.builtin_lights import builtin_light
from rgb_core.scene.harmonics import degrees, harmonics, irradiance, project
from rgb_core.training.light import (
    COLOUR_AXES,
    POWER,
    LightParameters,
    field_filters,
    light_improbability,
    mean_radiance,
)

HEIGHT, WIDTH = 16, 32


def grey(level: float = 1.7) -> LightParameters:
    return LightParameters(torch.zeros(3, HEIGHT, WIDTH), torch.full((3,), level))


def test_the_light_starts_grey_at_its_level_and_is_most_likely_so():
    torch.testing.assert_close(grey().envmap(), torch.full((3, HEIGHT, WIDTH), 1.7))
    assert float(light_improbability(grey().raw)) == 0


def test_the_light_stays_positive():
    raw = 5 * torch.randn(3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(1))
    assert bool((LightParameters(raw, torch.ones(3)).envmap() > 0).all())


def test_random_lights_have_the_power_of_natural_ones():
    """Mean over 200 draws of the squared coefficients of degrees 1 to 4, brightness and colour."""
    generator = torch.Generator().manual_seed(2)
    power = torch.zeros(3, 25)
    for _ in range(200):
        raw = torch.randn(3, HEIGHT, WIDTH, generator=generator)
        logarithm = LightParameters(raw, torch.ones(3)).envmap().log()
        power += (COLOUR_AXES @ project(logarithm, 4)).square() / 200
    for axis, first in enumerate(POWER):
        for at in range(1, 5):
            found = float(power[axis, degrees(4) == at].mean())
            assert found == pytest.approx(first / at**2, rel=0.25)


def test_fine_structure_is_rarer_than_coarse():
    """The same contrast at degree 3 costs nine times what it costs at degree 1."""
    basis = harmonics(texel_directions(HEIGHT, WIDTH), 3).double()
    kernel = field_filters(HEIGHT, WIDTH)[0].double()
    costs = [
        float(torch.linalg.solve(kernel + 1e-3 * torch.eye(len(kernel)), basis[:, at]).square().mean())
        for at in (2, 12)
    ]
    assert costs[1] / costs[0] == pytest.approx(9, rel=0.1)


def test_the_light_can_start_from_irradiance():
    """The irradiance of a window comes out within a tenth, and so does the side it is on."""
    true = builtin_light("window", HEIGHT, WIDTH)
    directions = texel_directions(8, 16)
    wanted = irradiance(true, directions)
    light = grey(float(true.mean()))
    light.start_from(directions, wanted)
    found = irradiance(light.envmap(), directions)
    assert float((found / wanted).log().abs().mean()) < 0.1
    axis = texel_directions(HEIGHT, WIDTH)
    moments = [(m.mean(0).flatten() * texel_solid_angles(HEIGHT, WIDTH)) @ axis for m in (light.envmap(), true)]
    assert float(torch.nn.functional.cosine_similarity(*moments, dim=0)) > 0.95


def test_scaling_changes_the_level_alone():
    light = grey(2.0)
    light.scale(torch.tensor([0.5, 1.0, 2.0]))
    torch.testing.assert_close(mean_radiance(light.envmap()), torch.tensor([1.0, 2.0, 4.0]))


def test_harmonics_are_orthonormal():
    basis = harmonics(texel_directions(64, 128), 4)
    gram = (basis * texel_solid_angles(64, 128)[:, None]).T @ basis
    torch.testing.assert_close(gram, torch.eye(25), atol=2e-3, rtol=0)


def test_irradiance_of_even_light_is_its_radiance_and_that_of_one_side_falls_off():
    directions = torch.tensor([[0.0, 1, 0], [1, 0, 0], [0, -1, 0]])
    even = torch.full((3, HEIGHT, WIDTH), 0.8)
    torch.testing.assert_close(irradiance(even, directions), torch.full((3, 3), 0.8), atol=5e-3, rtol=0)
    sky = (texel_directions(HEIGHT, WIDTH)[:, 1] > 0).float().view(1, HEIGHT, WIDTH).expand(3, -1, -1)
    up, side, down = irradiance(sky.contiguous(), directions)[:, 0].tolist()
    assert up == pytest.approx(1, abs=0.05)
    assert side == pytest.approx(0.5, abs=0.02)
    assert down == pytest.approx(0, abs=0.05)

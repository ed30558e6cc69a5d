import math

import pytest
import torch
from diff_envshade import texel_directions, texel_solid_angles

from rgb_core.scene.lamps import main_direction, resample_at_lamp

SKY = 0.1


def sun(direction: torch.Tensor, degrees: float = 4.0, rows: int = 256) -> torch.Tensor:
    """A grey sky [3, rows, 2 rows] with a disc of that radius."""
    inside = texel_directions(rows, 2 * rows) @ direction > math.cos(math.radians(degrees))
    return (SKY + 200.0 * inside).float().expand(3, -1).reshape(3, rows, 2 * rows)


def shining(radiance: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Directions [H W, 3] and the energy [H W] from each."""
    size = radiance.shape[1:]
    return texel_directions(*size), radiance.mean(0).flatten() * texel_solid_angles(*size)


def test_only_a_light_with_one_lamp_has_a_main_direction():
    assert main_direction(torch.ones(3, 32, 64)) is None
    lamp = torch.ones(3, 32, 64)
    lamp[:, 8, 16] = 2000.0  # azimuth 93 degrees (+z), 42 degrees above the horizon
    found = main_direction(lamp)
    assert found is not None
    assert float(found @ torch.nn.functional.normalize(torch.tensor([0.0, 0.67, 0.74]), dim=0)) > 0.99


@pytest.mark.parametrize("seed", range(4))
def test_a_small_grid_shows_a_sun_where_it_stands_and_hardly_larger(seed):
    generator = torch.Generator().manual_seed(seed)
    direction = torch.nn.functional.normalize(torch.randn(3, generator=generator), dim=0)
    radiance = sun(direction)
    found, turn = resample_at_lamp(radiance, 16, 32)
    directions, energy = shining(found)
    assert turn is not None
    assert torch.allclose(turn @ turn.T, torch.eye(3), atol=1e-5)
    assert float(energy.sum()) == pytest.approx(float(shining(radiance)[1].sum()), rel=1e-3)
    lamp = found.mean(0).flatten() > 2 * SKY
    apart = torch.rad2deg(torch.acos((directions[lamp] @ turn.T @ direction).clamp(-1, 1)))
    weight = energy[lamp] / energy[lamp].sum()
    middle = torch.nn.functional.normalize((weight[:, None] * directions[lamp]).sum(0), dim=0)
    assert float(torch.rad2deg(torch.acos((turn @ middle) @ direction))) < 1.5
    assert float(apart.max()) < 6.0


def test_a_light_without_a_lamp_keeps_its_axes():
    even = torch.full((3, 64, 128), 0.7)
    found, turn = resample_at_lamp(even, 16, 32)
    assert turn is None
    assert torch.allclose(found, torch.full((3, 16, 32), 0.7), atol=1e-6)


def test_a_map_of_the_size_asked_for_is_left_alone():
    small = sun(torch.tensor([0.0, 1.0, 0.0]), 15.0, 16)
    found, turn = resample_at_lamp(small, 16, 32)
    assert found is small
    assert turn is None

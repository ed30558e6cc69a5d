"""Cast shadows of a plate over a floor, whose outline geometry gives."""

import pytest
import torch

from rgb_core.evaluation.shadows import cast_shadow
from rgb_core.scene import Camera

# A camera 2 m above the floor looks straight down; x to the right, z down in the picture.
LOOKING_DOWN = torch.tensor([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 2]])
CAMERA = Camera((100.0, 100.0, 50.0, 50.0), LOOKING_DOWN, 100, 100)


def square(height: float, half: float) -> torch.Tensor:
    corners = [[-half, height, -half], [half, height, -half], [half, height, half], [-half, height, half]]
    return torch.tensor(corners)


def scene() -> tuple[torch.Tensor, torch.Tensor]:
    """A plate of 0.2 m a side, 0.5 m above a floor of 2 m."""
    quad = torch.tensor([[0, 1, 2], [0, 2, 3]])
    return torch.cat([square(0.0, 1.0), square(0.5, 0.1)]), torch.cat([quad, quad + 4])


def test_the_shadow_of_a_plate_lies_where_the_light_throws_it():
    """Light from 45 degrees on the right throws the plate's shadow 0.5 m to the left: 25 pixels."""
    direction = torch.nn.functional.normalize(torch.tensor([1.0, 1.0, 0.0]), dim=0)
    shadow = cast_shadow(*scene(), CAMERA, direction)
    rows, columns = shadow.nonzero(as_tuple=True)
    assert len(rows) == pytest.approx(10 * 10, abs=25)
    assert float(columns.float().mean()) == pytest.approx(50 - 25 - 0.5, abs=1)
    assert float(rows.float().mean()) == pytest.approx(49.5, abs=1)


def test_what_faces_away_is_no_cast_shadow():
    from_below = torch.nn.functional.normalize(torch.tensor([0.3, -1.0, 0.0]), dim=0)
    assert not cast_shadow(*scene(), CAMERA, from_below).any()

"""A light and how it stands: turned about the world's up, carried by the camera, brighter, of another size."""

import math
from dataclasses import replace

import pytest
import torch
from diff_envshade import integrate, texel_directions, texel_solid_angles

from rgb_core.rotations import axis_angle_to_matrix
from rgb_core.scene import Camera, Light
from rgb_core.scene.light import turn_map

SIZE = (16, 32)
TILTED = torch.tensor([0.5, 0.9, -0.3])  # axis-angle of a camera that is upright in nothing
X, Y, Z = torch.eye(3)


def camera(turn: torch.Tensor, size: int = 24) -> Camera:
    """At the origin, wide, with axes turned by an axis-angle; without a turn it looks along +z, x right, y down."""
    place = torch.cat([axis_angle_to_matrix(turn).T, torch.zeros(3, 1)], 1)
    return Camera((size / 2, size / 2, size / 2, size / 2), place, size, size)


def random_light() -> Light:
    return Light(torch.rand(3, *SIZE, generator=torch.Generator().manual_seed(0)).square())


def lamp(direction: torch.Tensor) -> Light:
    """A single bright texel, the one nearest to `direction`."""
    radiance = torch.zeros(3, SIZE[0] * SIZE[1])
    radiance[:, (texel_directions(*SIZE) @ direction).argmax()] = 100.0
    return Light(radiance.view(3, *SIZE))


def shade(light: Light, normal: torch.Tensor, world_to_camera: torch.Tensor | None = None) -> torch.Tensor:
    """Irradiance [3] over pi of a surface with a unit normal, without anything in the way."""
    to_world = light.to_world(torch.eye(3, 4) if world_to_camera is None else world_to_camera)
    given = normal[None], normal[None], torch.ones(1, 1)
    return integrate(*given, light.radiance, None, to_world)[0][0]


def brightest(light: Light, seen_by: Camera) -> torch.Tensor:
    """[3] world direction in which a camera sees most of a light."""
    picture = light.background(seen_by).mean(-1)
    return seen_by.ray_directions().view(-1, 3)[picture.argmax()]


@pytest.mark.parametrize("yaw", [0.3, -2.0, math.pi / 2])
def test_a_constant_light_may_turn_as_it_likes(yaw: float):
    even = Light(torch.full((3, *SIZE), 0.7))
    view = camera(TILTED)
    for light in (even.rotated(yaw), replace(even, carried=True), replace(even, carried=True).rotated(yaw)):
        picture = light.background(view)
        torch.testing.assert_close(picture, torch.full_like(picture, 0.7), atol=1e-6, rtol=0)
        # The pole rows of the map quadrate the cosine to half a percent, wherever the map's poles are.
        expected = torch.full((3,), 0.7)
        for normal in (X, Y, Z):
            torch.testing.assert_close(
                shade(light, normal, camera(TILTED).world_to_camera), expected, rtol=6e-3, atol=0
            )


def test_at_90_degrees_what_came_from_z_comes_from_x():
    ahead, turned = lamp(Z), lamp(Z).rotated(math.pi / 2)
    assert float(shade(ahead, Z)[0]) > 10 * float(shade(ahead, X)[0])
    assert float(shade(turned, X)[0]) > 10 * float(shade(turned, Z)[0])
    to_the_left = camera(torch.tensor([0.0, math.pi / 2, 0.0]))  # looks along +x
    assert float(brightest(ahead, camera(torch.zeros(3))) @ Z) > 0.97
    assert float(brightest(turned, to_the_left) @ X) > 0.97


def test_turns_add_up():
    light, view = random_light(), camera(TILTED)
    twice, once = light.rotated(0.5).rotated(1.0), light.rotated(1.5)
    torch.testing.assert_close(twice.background(view), once.background(view), atol=1e-5, rtol=1e-5)
    back = light.rotated(0.5).rotated(-0.5)
    torch.testing.assert_close(back.background(view), light.background(view), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("columns", [1, 7, -12])
def test_a_turn_by_whole_texels_shows_the_turned_map(columns: int):
    light, yaw = random_light(), 2 * math.pi * columns / SIZE[1]
    mapped = Light(turn_map(light.radiance, yaw))
    for view in (camera(torch.zeros(3)), camera(TILTED)):
        # Bilinear weights of float32 directions: 1e-5 of a texel.
        torch.testing.assert_close(light.rotated(yaw).background(view), mapped.background(view), atol=1e-4, rtol=0)
    for normal in (X, Y, Z):
        torch.testing.assert_close(shade(light.rotated(yaw), normal), shade(mapped, normal), atol=1e-5, rtol=1e-5)


def test_a_carried_light_follows_the_camera():
    """Its picture behind the head never changes, and a surface is lit by how it stands before the camera."""
    light = replace(random_light(), carried=True)
    straight, tilted = camera(torch.zeros(3)), camera(TILTED)
    torch.testing.assert_close(light.background(tilted), light.background(straight), atol=1e-4, rtol=0)
    before_the_camera = torch.nn.functional.normalize(torch.tensor([0.4, -0.3, -0.8]), dim=0)
    lit = [
        shade(light, view.world_to_camera[:, :3].T @ before_the_camera, view.world_to_camera)
        for view in (straight, tilted)
    ]
    torch.testing.assert_close(*lit, atol=1e-5, rtol=1e-5)
    standing = random_light()
    assert float((standing.background(tilted) - standing.background(straight)).abs().mean()) > 0.1


@pytest.mark.parametrize("yaw", [0.8, -1.9])
def test_a_carried_light_turns_about_the_up_of_the_world_not_of_the_camera(yaw: float):
    view = camera(TILTED)
    carried = replace(random_light(), carried=True)
    before, after = (light.to_world(view.world_to_camera) for light in (carried, carried.rotated(yaw)))
    seen = before @ torch.nn.functional.normalize(torch.tensor([0.3, 0.5, -0.6]), dim=0)
    moved = after @ before.T @ seen
    cosine, sine = math.cos(yaw), math.sin(yaw)
    x, y, z = seen.tolist()
    expected = torch.tensor([cosine * x + sine * z, y, cosine * z - sine * x])
    torch.testing.assert_close(moved, expected, atol=1e-6, rtol=0)
    axis = axis_angle_to_matrix(yaw * view.world_to_camera[1, :3])  # the camera's own vertical is another one
    assert float((axis @ seen - expected).norm()) > 0.1


def test_an_upright_light_at_rest_needs_no_rotation():
    assert random_light().to_world(torch.eye(3, 4)) is None


def test_another_size_has_the_same_energy_and_stands_as_before():
    light = replace(random_light(), carried=True).rotated(0.4)

    def energy(one: Light) -> torch.Tensor:
        return one.radiance.double().flatten(1) @ texel_solid_angles(*one.size).double()

    for size in ((8, 16), (10, 20), (64, 128)):
        resampled = light.resampled(*size)
        assert resampled.size == size
        torch.testing.assert_close(energy(resampled), energy(light), rtol=1e-6, atol=0)
        assert resampled.carried
        assert torch.equal(resampled.turn, light.turn)


def test_brighter_is_more_of_the_same():
    light = replace(random_light(), carried=True).rotated(0.4)
    brighter = replace(light, radiance=2.5 * light.radiance)
    torch.testing.assert_close(brighter.background(camera(TILTED)), 2.5 * light.background(camera(TILTED)))
    torch.testing.assert_close(shade(brighter, Y), 2.5 * shade(light, Y))


def test_a_light_moves_as_a_whole():
    light = random_light().rotated(0.4).to("meta")
    assert light.radiance.device.type == light.turn.device.type == "meta"

"""Lamps shine as bright as they say, and maps from files and lists are the light that they should be."""

import math
from pathlib import Path

import pytest
import torch
from diff_envshade import texel_directions, texel_solid_angles
from PIL import Image
from torch import Tensor

from rgb_core.errors import InputError, InputWarning
from rgb_core.filming.lamps import Lamp, lamp_map
from rgb_core.filming.lights import light_at, load_lights
from rgb_core.images import linear_to_srgb, to_bytes, write_hdr, write_png
from rgb_core.rotations import direction_of
from rgb_core.scene import Light
from rgb_core.scene.light import resample

OWN = Light(torch.full((3, 16, 32), 0.3))


def facing(radiance: Tensor, direction: tuple[float, float, float]) -> Tensor:
    """Radiance [3] of white paper that faces `direction`: irradiance over pi."""
    height, width = radiance.shape[1:]
    cosine = (texel_directions(height, width) @ torch.tensor(direction)).clamp_min(0)
    return radiance.reshape(3, -1) @ (cosine * texel_solid_angles(height, width)) / math.pi


@pytest.mark.parametrize("size", [1, 7, 40, 180])
@pytest.mark.parametrize("place", [(0, 0), (-123, 62), (90, -20), (10, 89)])
def test_a_lamp_is_as_bright_whatever_its_size(size: float, place: tuple[float, float]):
    """Within 0.1 % on its own map, within 1.2 % on the coarse one that avatars are shaded with."""
    lamp = Lamp.parse(f"{place[0]},{place[1]},{size},#ff8000,1")
    radiance = lamp_map([lamp])
    direction = direction_of(math.radians(place[0]), math.radians(place[1]))
    expected = 2 * torch.tensor([1.0, 0.2158605, 0.0])
    torch.testing.assert_close(facing(radiance, direction), expected, rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(facing(resample(radiance, 16, 32), direction), expected, rtol=0.012, atol=1e-6)


def test_a_lamp_stands_where_it_says_and_is_a_disc_of_its_size():
    radiance = lamp_map([Lamp.parse("90,0,30")])[0]
    directions, solid_angles = texel_directions(128, 256), texel_solid_angles(128, 256)
    lit = radiance.flatten() > 0.5 * radiance.max()
    assert float(solid_angles[lit].sum()) == pytest.approx(2 * math.pi * (1 - math.cos(math.radians(15))), rel=0.03)
    middle = (directions * (radiance.flatten() * solid_angles)[:, None]).sum(0)
    torch.testing.assert_close(middle / middle.norm(), torch.tensor([1.0, 0.0, 0.0]), atol=1e-3, rtol=0)
    # pi strength / (pi sin(a)^2), the even radiance of a disc of angular radius a
    assert float(radiance.max()) == pytest.approx(1 / math.sin(math.radians(15)) ** 2, rel=0.01)


def test_lamps_add_up_alone_and_on_a_map():
    lamps = [Lamp.parse("0,0,20"), Lamp.parse("180,0,20,white,-1")]
    (alone,) = load_lights((), lamps, OWN)
    torch.testing.assert_close(alone.radiance, lamp_map(lamps[:1]) + lamp_map(lamps[1:]))
    (added,) = load_lights(("own",), lamps, OWN)
    torch.testing.assert_close(added.radiance, alone.radiance + 0.3)
    (still,) = load_lights((), (), OWN)
    assert still is OWN


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("40", "azimuth,elevation"),
        ("40,x", "elevation 'x' is no number"),
        ("40,91", "elevation 91 is not in the range"),
        ("40,nan", "elevation nan is not in the range"),
        ("40,0,0.2", "size 0.2 is not in the range"),
        ("40,0,20,blu", "did you mean blue"),
        ("40,0,20,#12345", "no colour"),
        ("40,0,20,white,25", "stops 25"),
        ("40,0,20,white,1,1", "azimuth,elevation"),
    ],
)
def test_a_lamp_that_is_not_written_so_is_refused(text: str, said: str):
    with pytest.raises(InputError, match=said):
        Lamp.parse(text)


def test_a_list_at_its_middle_is_the_mean_and_at_its_ends_the_ends():
    lights = load_lights(("sun", "window", "ring"), (), OWN)
    maps = [Light.load(name).radiance for name in ("sun", "window", "ring")]
    for share, expected in ((0, maps[0]), (0.25, (maps[0] + maps[1]) / 2), (0.5, maps[1]), (1, maps[2])):
        torch.testing.assert_close(light_at(lights, share).radiance, expected)


def test_maps_of_unlike_sizes_get_one_size_and_keep_their_energy(tmp_path: Path):
    generator = torch.Generator().manual_seed(4)
    small, large = torch.rand(3, 8, 16, generator=generator), torch.rand(3, 40, 80, generator=generator)
    write_hdr(tmp_path / "a.hdr", small.permute(1, 2, 0))
    write_hdr(tmp_path / "b.hdr", large.permute(1, 2, 0))
    (tmp_path / "notes.txt").write_text("no map")
    lights = load_lights((str(tmp_path),), (), OWN)
    assert [light.size for light in lights] == [(40, 80), (40, 80)]
    for light, stored in zip(lights, (small, large), strict=True):
        sums = [
            radiance.reshape(3, -1) @ texel_solid_angles(*radiance.shape[1:]) for radiance in (light.radiance, stored)
        ]
        torch.testing.assert_close(sums[0], sums[1], rtol=5e-3, atol=0)  # the 8-bit mantissas of .hdr


def test_a_folder_without_maps_and_a_carried_light_with_others_are_refused(tmp_path: Path):
    with pytest.raises(InputError, match="holds no map"):
        load_lights((str(tmp_path),), (), OWN)
    carried = Light(OWN.radiance, carried=True)
    with pytest.raises(InputError, match="the camera carries"):
        load_lights(("own", "sun"), (), carried)
    with pytest.raises(InputError, match="the camera carries"):
        load_lights(("own",), (Lamp.parse("0,0"),), carried)


def test_one_map_as_hdr_png_and_jpg_is_one_light(tmp_path: Path):
    """Within what each holds: half a step of 255 in sRGB, and for the hdr a step of 256 of the brightest component."""
    azimuth = torch.arange(128) * 2 * math.pi / 128
    radiance = 0.4 + 0.3 * torch.cos(azimuth - torch.tensor([0.0, 1.0, 2.0])[:, None])
    image = radiance[:, None].expand(3, 64, 128).permute(1, 2, 0)
    encoded = to_bytes(linear_to_srgb(image))
    write_hdr(tmp_path / "a.hdr", image)
    write_png(tmp_path / "a.png", encoded)
    Image.fromarray(encoded.numpy()).save(tmp_path / "a.jpg", quality=98, subsampling=0)
    hdr, png, jpg = (Light.load(tmp_path / f"a.{suffix}").radiance for suffix in ("hdr", "png", "jpg"))
    torch.testing.assert_close(linear_to_srgb(png), linear_to_srgb(hdr), atol=1.5 / 255, rtol=0)
    torch.testing.assert_close(linear_to_srgb(jpg), linear_to_srgb(hdr), atol=3 / 255, rtol=0)
    mean = [float(facing(light, (0.0, 0.0, 1.0)).mean()) for light in (hdr, png, jpg)]
    assert mean[1:] == pytest.approx([mean[0]] * 2, rel=5e-3)


def test_a_clipped_photograph_says_how_much_of_it_is_lost(tmp_path: Path):
    image = torch.zeros(20, 40, 3, dtype=torch.uint8)
    image[:2] = 255
    write_png(tmp_path / "sky.png", image)
    with pytest.warns(InputWarning, match=r"10\.0% of its texels are at 255"):
        Light.load(tmp_path / "sky.png")


def test_pitch_raises_what_is_ahead_and_yaw_turns_it_to_the_left_of_the_head():
    lamp = Light(lamp_map([Lamp.parse("0,0,10")]))
    for yaw, pitch, place in ((90, 0, (90, 0)), (0, 40, (0, 40)), (-90, 40, (-90, 40)), (180, -30, (180, -30))):
        turn = lamp.rotated(math.radians(yaw), math.radians(pitch)).turn
        expected = torch.tensor(direction_of(*map(math.radians, place)))
        torch.testing.assert_close(turn @ torch.tensor([0.0, 0.0, 1.0]), expected, atol=1e-6, rtol=0)

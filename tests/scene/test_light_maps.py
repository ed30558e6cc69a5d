"""Maps of light: convention, energy, files, and the built-in lights."""

import math

import pytest
import torch
from diff_envshade import texel_directions, texel_solid_angles
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from rgb_core.errors import InputError, InputWarning
from rgb_core.images import exr, read_hdr, strips, to_bytes, write_exr, write_hdr, write_png
from rgb_core.scene import BUILTIN_LIGHTS, Camera, Light, light
from rgb_core.scene.builtin_lights import builtin_light
from rgb_core.scene.light import load_map, resample, sample, turn_map


def random_map(height=16, width=32, seed=0):
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(seed)).square() * 5


def energy(envmap):
    """Integral of radiance over the sphere [3], float64."""
    return envmap.double().flatten(1) @ texel_solid_angles(*envmap.shape[1:]).double()


def golden_uniform(i):
    """The generator of docs' golden numbers."""
    x = i * 2654435761 % 2**32
    x ^= x >> 15
    x = x * 2246822519 % 2**32
    x ^= x >> 13
    return (x & 0xFFFFFF) / 2**24


def test_sampling_matches_the_golden_numbers():
    envmap = torch.tensor([[0.2 + 2 * golden_uniform(512 * c + t) for t in range(512)] for c in range(3)])
    directions = torch.tensor([[1, 0, 0], [1, 0, -0.01], [0, 1, 0], [-0.3, 0.2, 0.5], [0.2, -0.9, 0.1]])
    expected = [
        [0.993042, 0.467771, 1.440747],
        [0.980787, 0.480914, 1.454937],
        [0.722568, 1.333705, 1.319969],
        [1.926888, 0.784667, 0.998569],
        [0.444153, 1.379436, 0.672476],
    ]
    # The numbers carry six decimals; float32 azimuths move a sample by 1e-6 of a texel.
    assert torch.allclose(sample(envmap.view(3, 16, 32), directions), torch.tensor(expected), atol=3e-6)


def test_sampling_a_texel_centre_gives_the_texel():
    envmap = random_map()
    directions = texel_directions(16, 32).view(16, 32, 3) * 7  # length must not matter
    assert torch.allclose(sample(envmap, directions), envmap.permute(1, 2, 0), atol=2e-5)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 33), st.integers(1, 70), st.integers(1, 33), st.integers(1, 70))
def test_resampling_keeps_the_energy_at_any_ratio(height, width, new_height, new_width):
    envmap = random_map(height, width)
    resampled = resample(envmap, new_height, new_width)
    assert resampled.shape == (3, new_height, new_width)
    # float32 texels: each is rounded to 6e-8 of itself.
    assert torch.allclose(energy(resampled), energy(envmap), rtol=1e-6)


def test_resampling_a_constant_is_constant_and_doubling_repeats():
    assert torch.allclose(resample(torch.full((3, 7, 14), 2.5), 5, 9), torch.tensor(2.5))
    doubled = resample(random_map(), 32, 64)
    repeated = random_map().repeat_interleave(2, 1).repeat_interleave(2, 2)
    assert torch.allclose(doubled, repeated, rtol=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.floats(-20, 20))
def test_rotation_keeps_the_energy_of_every_row(yaw):
    envmap = random_map()
    rotated = turn_map(envmap, yaw)
    assert torch.allclose(rotated.double().sum(-1), envmap.double().sum(-1), rtol=1e-6)


@pytest.mark.parametrize("columns", [0, 1, 5, 31, 32, -3])
def test_rotation_by_whole_texels_rolls_the_columns(columns):
    envmap = random_map()
    # Azimuth runs from +x to +z, against a right-handed turn about +y.
    assert torch.allclose(turn_map(envmap, 2 * math.pi * columns / 32), envmap.roll(-columns, -1), atol=1e-6)


def test_rotation_is_right_handed_about_up():
    yaw = 2 * math.pi * 3 / 32
    about_up = torch.tensor([[math.cos(yaw), 0, math.sin(yaw)], [0, 1, 0], [-math.sin(yaw), 0, math.cos(yaw)]])
    directions = torch.nn.functional.normalize(torch.randn(50, 3, generator=torch.Generator().manual_seed(1)), dim=-1)
    rotated = turn_map(random_map(), yaw)
    before = sample(random_map(), directions)
    assert torch.allclose(sample(rotated, directions @ about_up.T), before, atol=1e-4)


def test_rotation_by_half_a_texel_shares_equally():
    envmap = torch.zeros(3, 1, 8)
    envmap[:, :, 4] = 1
    half = turn_map(envmap, -2 * math.pi * 0.5 / 8)
    assert torch.allclose(half[0, 0], torch.tensor([0, 0, 0, 0, 0.5, 0.5, 0, 0]), atol=1e-6)


def test_two_rotations_undo_each_other_on_average():
    envmap = random_map()
    there_and_back = turn_map(turn_map(envmap, 1.0), -1.0)
    assert torch.allclose(there_and_back.mean(), envmap.mean(), rtol=1e-6)


def test_background_shows_what_lies_ahead_upright():
    """A camera at the origin that looks along -z: right is +x, up is +y."""
    colours = (texel_directions(64, 128).view(64, 128, 3).permute(2, 0, 1) + 1) / 2
    matrix = torch.tensor([[1.0, 0, 0, 0], [0, -1, 0, 0], [0, 0, -1, 0]])
    camera = Camera((40.0, 40.0, 20.0, 15.0), matrix, 40, 30)
    picture = 2 * Light(colours).background(camera) - 1
    assert picture.shape == (30, 40, 3)
    # Bilinear blending of unit vectors across a texel of 2.8 degrees is off by less than 1e-3.
    assert torch.allclose(picture, camera.ray_directions(), atol=1e-3)
    assert picture[15, 39, 0] > 0.3
    assert picture[0, 20, 1] > 0.3
    assert picture[15, 20, 2] < -0.99


@pytest.mark.parametrize("name", BUILTIN_LIGHTS)
def test_builtin_lights_are_exposed_for_a_face_that_looks_along_z(name):
    envmap = load_map(name)
    assert envmap.shape == (3, 64, 128)
    assert torch.isfinite(envmap).all()
    assert (envmap >= 0).all()
    facing = texel_directions(64, 128)[:, 2].clamp_min(0) * texel_solid_angles(64, 128) / math.pi
    # Texels of 2.8 degrees approximate the cosine that the exposure was computed with.
    assert (envmap.flatten(1) @ facing).mean().item() == pytest.approx(0.65, rel=2e-3)


@pytest.mark.parametrize("name", BUILTIN_LIGHTS)
def test_builtin_lights_have_the_same_energy_at_any_resolution(name):
    large, small = builtin_light(name), builtin_light(name, 16, 32)
    # Both are area averages of one function, sampled four times as finely.
    assert torch.allclose(energy(small), energy(large), rtol=0.01)


def test_the_hard_light_is_hard_and_the_soft_ones_are_soft():
    contrast = {name: float(load_map(name).max() / load_map(name).mean()) for name in ("sun", "window")}
    assert contrast["sun"] > 500
    assert contrast["window"] < 100


@pytest.mark.parametrize("suffix", [".hdr", ".exr", ".png"])
def test_files_load_as_channels_first_linear(tmp_path, suffix):
    image = random_map(8, 16).permute(1, 2, 0) / 5
    path = tmp_path / f"light{suffix}"
    {".hdr": write_hdr, ".exr": write_exr, ".png": write_png}[suffix](path, image)
    loaded = load_map(path)
    assert loaded.shape == (3, 8, 16)
    if suffix == ".png":
        decoded = torch.where(image <= 0.04045, image / 12.92, ((image + 0.055) / 1.055) ** 2.4)
        assert torch.allclose(loaded.permute(1, 2, 0), decoded, atol=0.005)  # half a step of 255 at the steepest
    else:
        assert torch.allclose(loaded.permute(1, 2, 0), image, atol=1 / 256)


def test_negative_texels_become_black(tmp_path):
    image = torch.ones(4, 8, 3)
    image[1, 2, 0] = -0.1
    write_exr(tmp_path / "a.exr", image)
    assert load_map(tmp_path / "a.exr").min() == 0


def test_texels_that_are_no_number_are_refused(tmp_path):
    image = torch.ones(4, 8, 3)
    image[1, 2] = math.nan
    write_exr(tmp_path / "a.exr", image)
    with pytest.raises(InputError, match="1 texels that are NaN or infinite"):
        load_map(tmp_path / "a.exr")


def test_unknown_names_list_the_known_ones():
    with pytest.raises(InputError, match="studio, window, sunset, ring, sun"):
        load_map("disco")


def test_maps_that_are_no_panorama_are_refused(tmp_path):
    write_hdr(tmp_path / "a.hdr", torch.ones(8, 8, 3))
    with pytest.raises(InputError, match="twice as wide as high"):
        load_map(tmp_path / "a.hdr")
    with pytest.raises(InputError, match=r"missing\.hdr"):
        load_map(tmp_path / "missing.hdr")


@pytest.mark.parametrize("suffix", [".jpg", ".JPEG"])
def test_photographs_of_panoramas_are_srgb(tmp_path, suffix):
    path = tmp_path / f"light{suffix}"
    Image.new("RGB", (16, 8), (188, 188, 188)).save(path, format="JPEG", quality=100)
    loaded = load_map(path)
    assert loaded.shape == (3, 8, 16)
    assert torch.allclose(loaded, torch.tensor(((188 / 255 + 0.055) / 1.055) ** 2.4), atol=0.01)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(InputError, match="truncated or corrupt JPEG"):
        load_map(path)


@pytest.mark.parametrize(("width", "height"), [(256, 127), (255, 128), (257, 128)])
def test_a_map_that_lacks_a_row_or_a_column_keeps_its_light_with_a_word(tmp_path, width, height):
    write_exr(tmp_path / "a.exr", torch.full((height, width, 3), 0.7))
    with pytest.warns(InputWarning, match=f"is {width} x {height}; it is taken for a panorama"):
        loaded = load_map(tmp_path / "a.exr")
    assert loaded.shape[2] == 2 * loaded.shape[1] >= width
    assert torch.allclose(loaded, torch.tensor(0.7), atol=1e-3)


@pytest.mark.parametrize(("width", "height"), [(256, 126), (32, 15), (16, 16)])
def test_a_map_that_lacks_more_is_refused(tmp_path, width, height):
    write_exr(tmp_path / "a.exr", torch.ones(height, width, 3))
    with pytest.raises(InputError, match="twice as wide as high"):
        load_map(tmp_path / "a.exr")


def test_lights_survive_the_file_format(tmp_path):
    envmap = load_map("sunset")
    write_hdr(tmp_path / "a.hdr", envmap.permute(1, 2, 0))
    # Half a mantissa step of the largest component: 1 in 256.
    error = (read_hdr(tmp_path / "a.hdr").permute(2, 0, 1) - envmap).abs()
    assert (error <= envmap.amax(0) / 256).all()


@pytest.mark.parametrize("suffix", [".hdr", ".exr", ".png", ".jpg"])
@pytest.mark.parametrize(("height", "rows"), [(48, 16), (50, 16), (33, 32)])
def test_a_map_that_is_averaged_while_it_is_read_keeps_its_light(tmp_path, monkeypatch, suffix, height, rows):
    """In strips that end within rows of the result, against the whole map averaged at once."""
    image = torch.rand(height, 2 * height, 3, generator=torch.Generator().manual_seed(height)) + 0.1
    image[3, 5] = 30
    path = tmp_path / f"map{suffix}"
    if suffix in (".png", ".jpg"):
        Image.fromarray(to_bytes(image).numpy()).save(path)
    else:
        {".hdr": write_hdr, ".exr": write_exr}[suffix](path, image)
    whole = load_map(path)
    assert whole.shape == (3, height, 2 * height)
    monkeypatch.setattr(light, "MOST_ROWS", rows)
    monkeypatch.setattr(strips, "_PIXELS", 7 * 2 * height)
    monkeypatch.setattr(exr, "_STRIP", 7)
    read = load_map(path)
    assert read.shape == (3, rows, 2 * rows)
    torch.testing.assert_close(read, resample(whole, rows, 2 * rows))
    if rows % 16 == 0:  # what lights a head is then the same as well
        torch.testing.assert_close(resample(read, 16, 32), resample(whole, 16, 32))
    torch.testing.assert_close(energy(read), energy(whole), rtol=1e-6, atol=0)

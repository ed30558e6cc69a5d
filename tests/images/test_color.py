"""The sRGB curve, alpha conventions and PNG files."""

import math
import struct
import zlib

import pytest
import torch
from PIL import Image

from rgb_core.errors import InputError
from rgb_core.images import (
    downsample,
    downsample_labels,
    linear_to_rgba,
    linear_to_srgb,
    premultiply,
    read_png,
    rgba_to_linear,
    srgb_bytes_to_linear,
    srgb_to_linear,
    to_bytes,
    unpremultiply,
    write_png,
)


def closed_form_decode(value):
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


def test_decoding_follows_the_standard():
    encoded = torch.linspace(0, 1, 1001, dtype=torch.float64)
    expected = torch.tensor([closed_form_decode(float(value)) for value in encoded], dtype=torch.float64)
    assert torch.allclose(srgb_to_linear(encoded), expected, rtol=1e-14, atol=0)
    assert float(srgb_to_linear(torch.tensor(0.5, dtype=torch.float64))) == pytest.approx(0.21404114048, abs=1e-10)


def test_encoding_inverts_decoding_beyond_the_unit_range_too():
    encoded = torch.linspace(-0.5, 2, 2001, dtype=torch.float64)
    # The standard's rounded constants leave a step of 1e-7 between its two pieces.
    assert torch.allclose(linear_to_srgb(srgb_to_linear(encoded)), encoded, atol=1e-6, rtol=0)


@pytest.mark.parametrize("value", [-1.0, -1e-6, 0.0, 1e-12, 0.002, 0.0031308, 0.01, 1.0, 1.5, 40.0])
def test_encoding_keeps_a_gradient_everywhere(value):
    linear = torch.tensor(value, dtype=torch.float64, requires_grad=True)
    linear_to_srgb(linear).backward()
    slope = 12.92 if value <= 0.0031308 else 1.055 / 2.4 * value ** (1 / 2.4 - 1)
    assert linear.grad.item() == pytest.approx(slope, rel=1e-12)


def test_decoding_keeps_a_gradient_below_zero():
    encoded = torch.tensor([-2.0, -0.055, 0.0], requires_grad=True)
    srgb_to_linear(encoded).sum().backward()
    assert torch.allclose(encoded.grad, torch.full((3,), 1 / 12.92))


def test_all_bytes_survive_linear_light():
    everything = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(to_bytes(linear_to_srgb(srgb_bytes_to_linear(everything))), everything)


def test_rounding_to_bytes_is_to_nearest_and_clamped():
    steps = torch.tensor([-1.0, 0.49 / 255, 0.51 / 255, 254.49 / 255, 7.0])
    assert to_bytes(steps).tolist() == [0, 0, 1, 254, 255]
    with pytest.raises(ValueError, match="NaN"):
        to_bytes(torch.tensor([math.nan]))


def test_premultiplication_inverts_and_transparent_pixels_are_black():
    straight = torch.rand(5, 7, 4, generator=torch.Generator().manual_seed(1)) * 0.9 + 0.1
    assert torch.allclose(unpremultiply(premultiply(straight)), straight, atol=1e-6)
    assert unpremultiply(torch.zeros(1, 4)).tolist() == [[0, 0, 0, 0]]


def test_straight_bytes_survive_the_linear_premultiplied_form():
    generator = torch.Generator().manual_seed(2)
    rgba = torch.randint(0, 256, (64, 64, 4), generator=generator, dtype=torch.uint8)
    rgba[..., 3].clamp_(min=1)  # alpha 0 has no colour to keep
    assert torch.equal(linear_to_rgba(rgba_to_linear(rgba)), rgba)


def test_reduction_averages_light_and_ignores_the_colour_of_transparent_pixels():
    rgba = torch.tensor([[[255, 255, 255, 255], [0, 0, 0, 255]], [[255, 0, 0, 0], [0, 255, 0, 0]]], dtype=torch.uint8)
    reduced = downsample(rgba_to_linear(rgba), 1, 1)
    assert reduced[0, 0].tolist() == [0.25, 0.25, 0.25, 0.5]
    # Half of the light is 188 in sRGB, not 128.
    assert linear_to_rgba(reduced)[0, 0].tolist() == [188, 188, 188, 128]


@pytest.mark.parametrize(("width", "height"), [(4, 3), (8, 6), (5, 5), (7, 1), (12, 9)])
def test_area_reduction_keeps_the_mean(width, height):
    image = torch.rand(9, 12, 3, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    reduced = downsample(image, width, height)
    assert reduced.shape == (height, width, 3)
    assert torch.allclose(reduced.mean((0, 1)), image.mean((0, 1)), rtol=1e-12)


def test_area_reduction_by_a_fraction_weighs_by_coverage():
    row = torch.tensor([1.0, 10.0, 100.0], dtype=torch.float64)[None, :, None]
    # Three pixels to two: the middle one is shared.
    assert torch.allclose(downsample(row, 2, 1)[0, :, 0], torch.tensor([6 / 1.5, 105 / 1.5], dtype=torch.float64))
    with pytest.raises(ValueError, match="cannot reduce"):
        downsample(row, 4, 1)


def test_labels_follow_the_majority():
    labels = torch.tensor([[1, 1, 17, 0], [1, 4, 17, 17]], dtype=torch.uint8)
    reduced = downsample_labels(labels, 2, 1)
    assert reduced.dtype == torch.uint8
    assert reduced.tolist() == [[1, 17]]


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_png_round_trip_is_exact(tmp_path, channels):
    pixels = torch.randint(0, 256, (5, 9, channels), generator=torch.Generator().manual_seed(4), dtype=torch.uint8)
    path = tmp_path / "a.png"
    write_png(path, pixels)
    assert torch.equal(read_png(path, channels, (9, 5), torch.uint8), pixels)
    assert torch.equal(read_png(path), pixels.float() / 255)
    write_png(path, read_png(path))
    assert torch.equal(read_png(path, dtype=torch.uint8), pixels)


def test_other_programs_read_our_png(tmp_path):
    write_png(tmp_path / "a.png", torch.tensor([[[255, 0, 10, 128]]], dtype=torch.uint8))
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == "RGBA"
        assert image.getpixel((0, 0)) == (255, 0, 10, 128)


def damaged_png(tmp_path, kind):
    path = tmp_path / f"{kind}.png"
    write_png(path, torch.randint(0, 256, (32, 32, 4), dtype=torch.uint8))
    data = path.read_bytes()
    match kind:
        case "missing":
            path.unlink()
        case "empty":
            path.write_bytes(b"")
        case "text":
            path.write_text("not an image")
        case "header only":
            path.write_bytes(data[:20])
        case "truncated":
            path.write_bytes(data[: len(data) // 2])
        case "16-bit":
            Image.new("I;16", (32, 32)).save(path)
        case "palette":
            Image.new("P", (32, 32)).save(path)
        case "huge":
            header = b"IHDR" + struct.pack(">IIBBBBB", 1 << 30, 1 << 30, 8, 6, 0, 0, 0)
            path.write_bytes(data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:])
        case "size":
            write_png(path, torch.zeros(16, 32, 4))
        case "mode":
            write_png(path, torch.zeros(32, 32, 3))
    return path


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("missing", "No such file"),
        ("empty", "not a PNG"),
        ("text", "not a PNG"),
        ("header only", "truncated"),
        ("truncated", "truncated"),
        ("16-bit", "16-bit"),
        ("palette", "palette"),
        ("huge", "impossible size"),
        ("size", "32 x 16 pixels, expected 32 x 32"),
        ("mode", "RGB, expected RGBA"),
    ],
)
def test_unusable_png_is_one_sentence_with_the_file(tmp_path, kind, says):
    path = damaged_png(tmp_path, kind)
    with pytest.raises(InputError, match=says) as caught:
        read_png(path, 4, (32, 32))
    assert str(path) in str(caught.value)


def test_writing_where_nothing_can_be_written_leaves_nothing(tmp_path):
    (tmp_path / "a.png").mkdir()
    with pytest.raises(InputError, match="cannot write"):
        write_png(tmp_path / "a.png", torch.zeros(2, 2, 3))
    with pytest.raises(ValueError, match="PNG holds"):
        write_png(tmp_path / "b.png", torch.zeros(2, 2, 2))
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]

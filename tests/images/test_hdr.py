"""Radiance and OpenEXR files, against an encoder written from the format alone."""

import math

import numpy as np
import OpenEXR
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rgb_core.errors import InputError
from rgb_core.images import read_exr, read_hdr, write_exr, write_hdr

HEADER = b"#?RADIANCE\n# made by a test\nFORMAT=32-bit_rle_rgbe\n"


def random_rgbe(height, width, seed=0):
    """Random pixels with long and short runs, in a valid RGBE form (the largest mantissa is at least 128)."""
    rng = np.random.default_rng(seed)
    rgbe = rng.integers(0, 256, (height, width, 4), dtype=np.uint8)
    rgbe[..., 0] |= 128
    rgbe[..., 3] = rng.integers(100, 160, (height, width))
    repeat = rng.random((height, width)) < 0.7
    for column in range(1, width):
        rgbe[repeat[:, column], column] = rgbe[repeat[:, column], column - 1]
    return rgbe


def decode(rgbe):
    return np.array([[[m * math.ldexp(1, int(p[3]) - 136) for m in p[:3].tolist()] for p in row] for row in rgbe])


def flat(rgbe):
    return rgbe.tobytes()


def old_runs(rgbe):
    """Repeats as (1, 1, 1, count); counts above 255 as consecutive repeats, low byte first."""
    out = bytearray()
    for row in rgbe:
        column = 0
        while column < len(row):
            length = 1
            while column + length < len(row) and (row[column + length] == row[column]).all():
                length += 1
            out += bytes(row[column])
            more = length - 1
            while more:
                out += bytes([1, 1, 1, more & 255])
                more >>= 8
            column += length
    return bytes(out)


def new_runs(rgbe):
    """Components apart; greedy runs of 2 or more, single values as dumps of one."""
    out = bytearray()
    for row in rgbe:
        out += bytes([2, 2, len(row) >> 8, len(row) & 255])
        for component in row.T.tolist():
            column = 0
            while column < len(component):
                length = 1
                while length < 127 and component[column : column + length + 1] == [component[column]] * (length + 1):
                    length += 1
                out += bytes([128 + length, component[column]] if length > 1 else [1, component[column]])
                column += length
    return bytes(out)


@pytest.mark.parametrize("encoder", [flat, old_runs, new_runs])
@pytest.mark.parametrize("width", [8, 40, 700])
def test_every_encoding_is_read(tmp_path, encoder, width):
    rgbe = random_rgbe(3, width)
    rgbe[1] = rgbe[1, 0]  # one run along the whole scanline; 700 needs two old repeats
    path = tmp_path / "a.hdr"
    path.write_bytes(HEADER + b"\n" + f"-Y 3 +X {width}\n".encode() + encoder(rgbe))
    assert np.array_equal(read_hdr(path).numpy(), decode(rgbe).astype(np.float32))


AXES = ["-Y 3 +X 9", "-Y 3 -X 9", "+Y 3 +X 9", "+Y 3 -X 9", "+X 9 -Y 3", "-X 9 -Y 3", "+X 9 +Y 3", "-X 9 +Y 3"]


@pytest.mark.parametrize("axes", AXES)
def test_every_axis_order_gives_the_same_upright_picture(tmp_path, axes):
    picture = random_rgbe(3, 9)
    first, _, second, _ = axes.split()
    stored = picture
    if "+Y" in (first, second):  # y counts upwards
        stored = stored[::-1]
    if "-X" in (first, second):  # x counts to the left
        stored = stored[:, ::-1]
    if first[1] == "X":
        stored = stored.transpose(1, 0, 2)
    path = tmp_path / "a.hdr"
    path.write_bytes(HEADER + b"\n" + axes.encode() + b"\n" + flat(stored))
    assert np.array_equal(read_hdr(path).numpy(), decode(picture).astype(np.float32))


def test_exposure_records_multiply_up(tmp_path):
    rgbe = random_rgbe(2, 4)
    path = tmp_path / "a.hdr"
    records = b"EXPOSURE=4\nEXPOSURE= 0.5 \nCOLORCORR=1 2 4\n"
    path.write_bytes(HEADER + records + b"\n-Y 2 +X 4\n" + flat(rgbe))
    assert np.allclose(read_hdr(path).numpy(), decode(rgbe) / 2 / [1, 2, 4], rtol=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 4), st.integers(0, 2**31), st.floats(-30, 30))
def test_round_trip_errs_by_half_a_step_of_the_largest_component(tmp_path_factory, width, height, seed, exponent):
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(height, width, 3, generator=generator) * 2**exponent
    image[:, : width // 2] = image[:, :1]
    path = tmp_path_factory.mktemp("hdr") / "a.hdr"
    write_hdr(path, image)
    # The largest component has a mantissa of 128 to 255; rounding up to 256 doubles the step.
    largest = image.amax(-1, keepdim=True).double()
    step = 2.0 ** (torch.floor(torch.log2(largest * (256 / 255.5))) - 7)
    assert ((read_hdr(path).double() - image).abs() <= step / 2).all()


def test_values_at_the_edge_of_an_exponent_and_zero_survive(tmp_path):
    image = torch.tensor([[[1.0, 0.5, 0.0], [0.99999, 0.0, 0.0], [0.0, 0.0, 0.0], [1e-38, 0.0, 0.0]]])
    write_hdr(tmp_path / "a.hdr", image)
    read = read_hdr(tmp_path / "a.hdr")
    assert read[0, 0].tolist() == [1.0, 0.5, 0.0]
    assert read[0, 1, 0].item() == 1.0  # 255.997 rounds to 256, which needs the next exponent
    assert read[0, 2].tolist() == [0, 0, 0]
    assert read[0, 3, 0].item() == pytest.approx(1e-38, rel=1 / 256)


def test_what_rgbe_cannot_hold_is_refused(tmp_path):
    for value in (-1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="finite values"):
            write_hdr(tmp_path / "a.hdr", torch.full((2, 2, 3), value))
    assert not list(tmp_path.iterdir())


GOOD = HEADER + b"\n-Y 3 +X 40\n"
DAMAGED = {
    "no radiance": (b"P6 hello", "not a Radiance"),
    "no end of header": (HEADER, "truncated in the header"),
    "no resolution": (HEADER + b"\n", "truncated in the header"),
    "bad resolution": (HEADER + b"\n-Z 3 +X 4\n", "resolution line"),
    "same axis twice": (HEADER + b"\n-Y 3 +Y 4\n", "resolution line"),
    "huge": (HEADER + b"\n-Y 9999999 +X 9999999\n", "impossible size"),
    "empty": (HEADER + b"\n-Y 0 +X 4\n", "impossible size"),
    "xyz": (b"#?RADIANCE\nFORMAT=32-bit_rle_xyze\n\n-Y 1 +X 1\n1234", "32-bit_rle_xyze"),
    "exposure": (HEADER + b"EXPOSURE=zero\n\n-Y 1 +X 1\n1234", "zero"),
    "zero exposure": (HEADER + b"EXPOSURE=0\n\n-Y 1 +X 1\n1234", "positive"),
    "no pixels": (GOOD, "truncated"),
    "cut flat": (GOOD + flat(random_rgbe(3, 40))[:-1], "truncated"),
    "cut runs": (GOOD + new_runs(random_rgbe(3, 40))[:-1], "truncated"),
    "cut old runs": (GOOD + old_runs(random_rgbe(3, 40))[:-4], "truncated"),
    "wrong length": (GOOD + bytes([2, 2, 0, 41]) + bytes(400), "another length"),
    "empty run": (GOOD + bytes([2, 2, 0, 40, 0, 7]) + bytes(400), "empty run"),
    "long run": (GOOD + bytes([2, 2, 0, 40, 128 + 41, 7]) + bytes(400), "beyond its scanline"),
    "long old run": (GOOD + bytes([200, 0, 0, 128, 1, 1, 1, 40]) + bytes(400), "beyond its scanline"),
    "leading old run": (GOOD + bytes([1, 1, 1, 40]) + bytes(400), "beyond its scanline"),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_damaged_hdr_is_one_sentence_with_the_file(tmp_path, kind):
    data, says = DAMAGED[kind]
    path = tmp_path / "light.hdr"
    path.write_bytes(data)
    with pytest.raises(InputError, match=says) as caught:
        read_hdr(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("half", [False, True])
def test_exr_round_trip(tmp_path, half):
    image = torch.rand(7, 11, 3, generator=torch.Generator().manual_seed(0)) * 100
    write_exr(tmp_path / "a.exr", image, half)
    expected = image.half().float() if half else image
    assert torch.equal(read_exr(tmp_path / "a.exr"), expected)


def test_exr_without_a_colour_channel_is_refused(tmp_path):
    path = str(tmp_path / "a.exr")
    plane = np.zeros((4, 5), np.float32)
    with OpenEXR.File({"type": OpenEXR.scanlineimage}, {"R": plane, "G": plane, "Z": plane}) as file:
        file.write(path)
    with pytest.raises(InputError, match="no channel B") as caught:
        read_exr(path)
    assert path in str(caught.value)


def test_damaged_exr_is_one_sentence_and_nothing_else(tmp_path, capfd):
    path = tmp_path / "a.exr"
    write_exr(path, torch.rand(64, 64, 3))
    data = path.read_bytes()
    for damaged in (b"", b"not an image", data[:200], data[: len(data) // 2], data[:-8]):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"a\.exr is truncated, corrupt or not"):
            read_exr(path)
    with pytest.raises(InputError, match="No such file"):
        read_exr(tmp_path / "missing.exr")
    assert capfd.readouterr() == ("", "")

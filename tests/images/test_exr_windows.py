"""EXR files as other programs write them: parts of a picture, overscan, suns beyond the range of half floats."""

from pathlib import Path

import numpy as np
import OpenEXR
import pytest
import torch

from rgb_core.errors import InputError, InputWarning
from rgb_core.images import read_exr, write_exr
from rgb_core.scene import Light

HEIGHT, WIDTH = 16, 32


def save(path: Path, pixels: np.ndarray, data: tuple[int, ...]) -> Path:
    header = {
        "compression": OpenEXR.ZIP_COMPRESSION,
        "type": OpenEXR.scanlineimage,
        "dataWindow": (np.array(data[:2], np.int32), np.array(data[2:], np.int32)),
        "displayWindow": (np.array([0, 0], np.int32), np.array([WIDTH - 1, HEIGHT - 1], np.int32)),
    }
    with OpenEXR.File(header, {"RGB": np.ascontiguousarray(pixels)}) as file:
        file.write(str(path))
    return path


@pytest.fixture
def full() -> np.ndarray:
    return np.random.default_rng(0).uniform(0.1, 2, (HEIGHT, WIDTH, 3)).astype(np.float32)


def test_a_part_lies_where_it_belongs_and_the_rest_is_black(tmp_path: Path, full: np.ndarray):
    read = read_exr(save(tmp_path / "a.exr", full[3:11, 8:24], (8, 3, 23, 10))).numpy()
    expected = np.zeros_like(full)
    expected[3:11, 8:24] = full[3:11, 8:24]
    assert np.array_equal(read, expected)


@pytest.mark.parametrize(("left", "top"), [(4, 2), (-3, 5), (7, -6), (40, 0)])
def test_overscan_and_shifts_are_cut(tmp_path: Path, full: np.ndarray, left: int, top: int):
    """What is stored is the picture with a border, or a picture beside the shown one."""
    stored = np.pad(full, ((20, 20), (40, 40), (0, 0)))
    window = stored[20 + top : 20 + top + HEIGHT + 6, 40 + left : 40 + left + WIDTH + 5]
    data = (left, top, left + window.shape[1] - 1, top + window.shape[0] - 1)
    read = read_exr(save(tmp_path / "a.exr", window, data)).numpy()
    expected = np.zeros_like(full)
    rows = slice(max(top, 0), min(top + HEIGHT + 6, HEIGHT))
    columns = slice(max(left, 0), min(left + WIDTH + 5, WIDTH))
    expected[rows, columns] = full[rows, columns]
    assert np.array_equal(read, expected)


def test_an_infinite_sun_is_the_largest_half_and_is_said(tmp_path: Path):
    image = torch.ones(8, 16, 3)
    image[2, 3] = float("inf")
    write_exr(tmp_path / "a.exr", image)
    with pytest.warns(InputWarning, match=r"1 infinite texels: they count as 65504"):
        light = Light.load(tmp_path / "a.exr")
    assert float(light.radiance[0, 2, 3]) == 65504
    image[4, 4] = float("nan")
    write_exr(tmp_path / "a.exr", image)
    with pytest.warns(InputWarning), pytest.raises(InputError, match="NaN"):
        Light.load(tmp_path / "a.exr")


def test_a_texel_that_no_sum_can_hold_is_refused(tmp_path: Path):
    image = torch.ones(8, 16, 3)
    image[2, 3] = 1.7e38
    write_exr(tmp_path / "a.exr", image)
    with pytest.raises(InputError, match=r"1\.7e.38, beyond"):
        Light.load(tmp_path / "a.exr")

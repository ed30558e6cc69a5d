"""PNG files written quickly are those that everybody reads."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from rgb_core.images import read_png
from rgb_core.images.frame_png import write_frame_png


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("strided", [False, True])
def test_bytes_come_back(tmp_path: Path, channels: int, strided: bool):
    pixels = np.random.default_rng(1).integers(0, 256, (7, 22, channels), np.uint8)
    pixels = pixels[:, ::2] if strided else pixels
    write_frame_png(tmp_path / "a.png", pixels)
    assert np.array_equal(read_png(tmp_path / "a.png", channels, dtype=torch.uint8).numpy(), pixels)


def test_words_come_back(tmp_path: Path):
    pixels = np.random.default_rng(2).integers(0, 65536, (5, 6, 1), np.uint16)
    write_frame_png(tmp_path / "a.png", pixels)
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == "I;16"
        assert np.array_equal(np.array(image), pixels[..., 0])


@pytest.mark.parametrize("pixels", [np.zeros((2, 2, 2), np.uint8), np.zeros((2, 2, 3)), np.zeros((0, 2, 3), np.uint8)])
def test_what_a_png_does_not_hold_is_refused(tmp_path: Path, pixels: np.ndarray):
    with pytest.raises(ValueError, match="a PNG holds"):
        write_frame_png(tmp_path / "a.png", pixels)

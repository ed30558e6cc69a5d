"""Videos decoded again, and contact sheets pixel by pixel."""

import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
import torch

from rgb_core.errors import InputError
from rgb_core.images.contact_sheet import Tile, contact_sheet
from rgb_core.images.video import write_video


def _decode(path):
    reader = imageio_ffmpeg.read_frames(str(path))
    meta = next(reader)
    width, height = meta["size"]
    return meta, [np.frombuffer(frame, np.uint8).reshape(height, width, 3) for frame in reader]


def _grey(value, height=48, width=64):
    return torch.full((height, width, 3), value, dtype=torch.uint8)


def test_every_frame_arrives_in_order(tmp_path):
    levels = list(range(20, 240, 20))
    assert write_video(tmp_path / "a.mp4", (_grey(level) for level in levels), fps=25.0) == len(levels)
    meta, frames = _decode(tmp_path / "a.mp4")
    assert meta["fps"] == 25.0
    assert meta["size"] == (64, 48)
    assert meta["pix_fmt"].startswith("yuv420p")
    # Limited-range YUV and quantisation cost a few of the 255 steps; the frames are 20 apart.
    assert [frame.mean() for frame in frames] == pytest.approx(levels, abs=6)


def test_odd_sides_become_even(tmp_path):
    write_video(tmp_path / "a.mp4", [_grey(128, 33, 47)] * 3, fps=10)
    meta, frames = _decode(tmp_path / "a.mp4")
    assert meta["size"] == (48, 34)
    assert len(frames) == 3
    assert abs(float(frames[0][-1, -1].mean()) - 128) < 6  # the padding repeats the border instead of adding black


def test_no_frames_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="no frames"):
        write_video(tmp_path / "a.mp4", iter(()), fps=25)
    assert not list(tmp_path.iterdir())


def test_a_failing_generator_leaves_nothing(tmp_path):
    def frames():
        yield _grey(1)
        raise RuntimeError("renderer failed")

    with pytest.raises(RuntimeError, match="renderer failed"):
        write_video(tmp_path / "a.mp4", frames(), fps=25)
    assert not list(tmp_path.iterdir())


def test_frames_of_another_size_are_refused(tmp_path):
    with pytest.raises(ValueError, match="frame 1"):
        write_video(tmp_path / "a.mp4", [_grey(1), _grey(1, 50, 64)], fps=25)
    assert not list(tmp_path.iterdir())


def test_contact_sheet_shows_every_picture_and_label():
    rows = [[Tile(_grey(50), "left"), Tile(_grey(100), "")], [Tile(_grey(150), "below")]]
    sheet = contact_sheet(rows)
    for level in (50, 100, 150):
        assert int((sheet == level).all(-1).sum()) >= 48 * 64
    unlabelled = contact_sheet([[Tile(tile.image) for tile in row] for row in rows])
    assert unlabelled.shape == sheet.shape
    changed = (unlabelled != sheet).any(-1).nonzero()
    assert len(changed)
    assert changed[:, 0].min() >= 6 + 48  # text lies below the first row of pictures


def test_contact_sheet_scales_to_the_tile_width():
    sheet = contact_sheet([[Tile(_grey(90, 40, 80))]], tile_width=20)
    assert int((sheet == 90).all(-1).sum()) == 20 * 10


def test_an_empty_contact_sheet_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        contact_sheet([[]])


@pytest.mark.parametrize("ending", ["status", "signal", "late"])
def test_an_ffmpeg_that_fails_leaves_no_video(tmp_path, monkeypatch, ending):
    """A full disk shows in nothing but its exit status: part of the file is there under its temporary name."""
    program = tmp_path / "ffmpeg"
    end = {"status": "exit 1", "signal": "kill -9 $$", "late": "cat >/dev/null; exit 1"}[ending]
    program.write_text(
        f'#!/bin/sh\nfor last; do :; done\necho part > "$last"\necho banner >&2\necho "No space left" >&2\n{end}\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(program))
    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", lambda: str(program))
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match=r"ffmpeg could not write .*a\.mp4: No space left"):
        write_video(tmp_path / "out" / "a.mp4", [_grey(1, 512, 512)] * 3, fps=25)
    assert not list((tmp_path / "out").iterdir())


def test_a_size_that_no_encoder_takes_is_said(tmp_path):
    with pytest.raises(InputError, match="ffmpeg could not write"):
        write_video(tmp_path / "a.mp4", [torch.zeros(16, 60000, 3, dtype=torch.uint8)], fps=25)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["-x.mp4", "concat:a|b.mp4", "a%03d.mp4"])
def test_no_name_is_an_option_or_a_protocol(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write_video(Path(name), [_grey(100)], fps=25)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_the_tags_say_how_the_colours_were_written(tmp_path):
    """Saturated colours come back through the matrix that the tags name; BT.601 would change them by up to 30."""
    colours = torch.tensor([[200, 40, 40], [40, 180, 60], [50, 60, 200]], dtype=torch.uint8)
    picture = colours.repeat_interleave(32, 0)[None].expand(64, -1, -1)
    write_video(tmp_path / "a.mp4", [picture] * 2, fps=25)
    program = imageio_ffmpeg.get_ffmpeg_exe()
    said = subprocess.run([program, "-i", tmp_path / "a.mp4"], capture_output=True, text=True, check=False).stderr
    assert "yuv420p(tv, bt709" in said
    decode = [
        "-vf",
        "scale=in_color_matrix=bt709:in_range=tv",
        "-f",
        "rawvideo",
        "-pix_fmt",
        "rgb24",
        "-frames:v",
        "1",
        "-",
    ]
    raw = subprocess.run([program, "-v", "error", "-i", tmp_path / "a.mp4", *decode], capture_output=True, check=True)
    pixels = np.frombuffer(raw.stdout, np.uint8).reshape(-1, 64, 96, 3)[0]
    for index, colour in enumerate(colours):
        assert np.abs(pixels[32, 16 + 32 * index].astype(int) - colour.numpy()).max() <= 6  # coding and rounding

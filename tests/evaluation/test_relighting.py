"""Anybody's relit pictures are scored by the code that scores avatars, and what is missing or wrong is named."""

import pytest
import torch
from evaluation_scenes import LIGHTS, SIZE, TEST_IDS, TRUTH_IDS, Oracle

from rgb_core.data import DatasetWriter
from rgb_core.errors import InputError
from rgb_core.evaluation import evaluate
from rgb_core.evaluation.metrics import PERFECT_PSNR
from rgb_core.evaluation.relighting import score_relit_pictures
from rgb_core.images import linear_to_rgba, read_png, rgba_to_linear, write_png
from rgb_core.images.compositing import truth_on_black
from rgb_core.progress import Silent


@pytest.fixture
def pictures(dataset, tmp_path):
    """A folder with a copy of the truth."""
    for name in LIGHTS:
        for frame_id in TRUTH_IDS:
            write_png(tmp_path / "pictures" / name / f"{frame_id}.png", dataset.ground_truth.relit(name, frame_id))
    return tmp_path / "pictures"


def repaint(folder, change):
    """Replace every picture, uint8 [H, W, 4], by `change` of it."""
    for path in folder.rglob("*.png"):
        write_png(path, change(read_png(path, 4, dtype=torch.uint8)))


def test_the_truth_scores_perfectly_with_alpha_and_on_black(dataset, pictures):
    for change in (lambda rgba: rgba, truth_on_black):
        repaint(pictures, change)
        scores = score_relit_pictures(pictures, dataset, Silent())
        assert scores["frames"] == len(LIGHTS) * len(TRUTH_IDS)
        assert set(scores["relight"]) == {*LIGHTS, "mean"}
        assert scores["relight"]["mean"]["psnr"] == scores["relight"]["mean"]["psnr_aligned"] == PERFECT_PSNR


def test_the_scores_are_those_of_the_avatar_that_drew_the_pictures(dataset, pictures, tmp_path):
    gain = torch.tensor([0.7, 0.9, 0.6])
    darker = torch.cat([gain, torch.ones(1)])
    repaint(pictures, lambda rgba: linear_to_rgba(rgba_to_linear(rgba) * darker))
    scores = score_relit_pictures(pictures, dataset, Silent())
    expected = evaluate(dataset, Oracle(dataset, gain=gain), tmp_path / "report")
    for name in LIGHTS:
        mine, theirs = scores["relight"][name], expected["relight"][name]
        assert mine["psnr"] == pytest.approx(
            theirs["psnr"], abs=0.05
        )  # the pictures are rounded to bytes, the avatar's not
        assert mine["scale"] == pytest.approx(theirs["scale"], rel=3e-3)
        assert mine["psnr_aligned"] > 45


def test_smaller_pictures_are_compared_with_reduced_truth(dataset, pictures):
    half = SIZE // 2
    for name in LIGHTS:
        for frame_id in TRUTH_IDS:
            write_png(pictures / name / f"{frame_id}.png", dataset.ground_truth.relit(name, frame_id, (half, half)))
    scores = score_relit_pictures(pictures, dataset, Silent())
    assert scores["size"] == [half, half]
    assert scores["relight"]["mean"]["psnr"] == PERFECT_PSNR


def test_missing_and_wrong_pictures_are_named(dataset, pictures):
    (pictures / "noon" / f"{TRUTH_IDS[1]}.png").rename(pictures / "noon" / f"{TEST_IDS[1]}.png")
    with pytest.raises(InputError, match=rf"lacks 1 of 4 pictures: noon/{TRUTH_IDS[1]}\.png"):
        score_relit_pictures(pictures, dataset, Silent())
    write_png(pictures / "noon" / f"{TRUTH_IDS[1]}.png", torch.zeros(SIZE, SIZE + 2, 3))
    with pytest.raises(InputError, match=rf"{SIZE + 2} x {SIZE} pixels, expected {SIZE} x {SIZE}"):
        score_relit_pictures(pictures, dataset, Silent())
    write_png(pictures / "noon" / f"{TRUTH_IDS[1]}.png", torch.zeros(SIZE, SIZE))
    with pytest.raises(InputError, match="is grey"):
        score_relit_pictures(pictures, dataset, Silent())
    repaint_all = torch.zeros(2 * SIZE, 2 * SIZE, 3)
    for path in pictures.rglob("*.png"):
        write_png(path, repaint_all)
    with pytest.raises(InputError, match=f"the dataset's pictures are {SIZE} x {SIZE}"):
        score_relit_pictures(pictures, dataset, Silent())
    with pytest.raises(InputError, match="lacks 4 of 4"):
        score_relit_pictures(pictures / "nowhere", dataset, Silent())


def test_a_clip_without_relit_truth_is_refused(dataset, pictures, tmp_path):
    writer = DatasetWriter(tmp_path / "real", "real", (SIZE, SIZE), 25.0, dataset.head)
    for split in ("train", "test"):
        frame = dataset.frames(split)[0]
        writer.add_frame(frame.id, split, frame.camera, frame.pose, dataset.load_rgba(frame))
    with pytest.raises(InputError, match="no true relit pictures"):
        score_relit_pictures(pictures, writer.finish(), Silent())

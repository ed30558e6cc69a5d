"""`examine_dataset`: every defect at once, with file and key, and the sound frames that remain."""

import json
from pathlib import Path

import pytest
import torch
from dataset_samples import IDS, write_dataset
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rgb_core.data.dataset import examine_dataset
from rgb_core.images import write_png


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "subject")


def edit(folder: Path, change) -> None:
    path = folder / "dataset.json"
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))


def test_a_sound_dataset_has_no_defect(folder: Path):
    dataset, defects = examine_dataset(folder)
    assert defects == []
    assert [frame.id for frame in dataset.all_frames] == list(IDS)


def test_all_defects_are_found_and_sound_frames_remain(folder: Path):
    def damage(record):
        record["frames"][0].update(K=[1, 1], expression=[0.0], joints="none")
        record["frames"][1]["w2c"][0][3] = float("nan")
        del record["frames"][1]["image"]
        record["splits"]["validation"] = ["nobody"]

    edit(folder, damage)
    write_png(folder / "semantic" / f"{IDS[0]}.png", torch.zeros(3, 3))
    dataset, defects = examine_dataset(folder)
    first, second = (f"{folder}/dataset.json, frame {name}: " for name in IDS[:2])
    assert defects == [
        f"{first}K has shape [2], expected [4]",
        f"{folder}/semantic/{IDS[0]}.png is 3 x 3 pixels, expected 16 x 12",
        f"{first}expression has shape [1], expected [2]",
        f"{first}joints must be numbers of shape [2, 3]",
        f"{second}w2c has a number that is not finite or beyond 3.4e38",
        f"{second}image is missing",
        f"{folder}/dataset.json, splits: validation names the frame 'nobody', which does not exist",
    ]
    assert [frame.id for frame in dataset.all_frames] == list(IDS[2:])
    assert dataset.splits["train"] == ()


def test_defects_of_the_dataset_itself_are_found_together(folder: Path):
    edit(folder, lambda record: record.update(fps=-1, light_frame="moon", width=0))
    dataset, defects = examine_dataset(folder)
    assert dataset is None
    assert [defect.split(": ")[1].split()[0] for defect in defects] == ["width", "fps", "light_frame"]


@pytest.mark.parametrize("frames", [{}, [], [3], [{"id": []}], None])
def test_without_frames_that_is_said_once(folder: Path, frames: object):
    edit(folder, lambda record: record.update(frames=frames))
    dataset, defects = examine_dataset(folder)
    assert dataset is None
    assert len(defects) == len(set(defects)) > 0


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from([10**400, "a\nb"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["train", "a\nb", ""]), inner),
    max_leaves=8,
)
TOP = (
    "format",
    "version",
    "subject",
    "width",
    "height",
    "fps",
    "head_model",
    "light_frame",
    "shape",
    "splits",
    "frames",
)
FRAME = ("id", "image", "semantic", "K", "w2c", "expression", "joints", "translation")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.dictionaries(st.sampled_from([*TOP, *((index, key) for index in range(2) for key in FRAME)]), JSON))
def test_any_value_in_any_key_is_read_or_a_defect(folder: Path, values: dict):
    path = folder / "dataset.json"
    sound = path.read_text()
    record = json.loads(sound)
    for place, value in values.items():
        if isinstance(place, str):
            record[place] = value
        elif isinstance(record["frames"], list) and place[0] < len(record["frames"]):
            frame = record["frames"][place[0]]
            if isinstance(frame, dict):
                frame[place[1]] = value
    path.write_text(json.dumps(record))
    try:
        dataset, defects = examine_dataset(folder)  # any exception fails the test
        assert dataset is not None or defects
        assert not any("\n" in defect for defect in defects)
    finally:
        path.write_text(sound)


def test_what_is_no_dataset(tmp_path: Path):
    assert examine_dataset(tmp_path / "none") == (None, [f"{tmp_path / 'none'} is not a folder"])

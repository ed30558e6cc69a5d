"""What a fit reads: weights by label, reductions, normal maps, frames that are left out."""

import dataclasses

import pytest
import torch

from rgb_core.data import DatasetWriter
from rgb_core.errors import InputError
from rgb_core.geometry.evidence import Evidence
from rgb_core.geometry.normal_maps import normal_maps
from rgb_core.heads import Pose
from rgb_core.images import write_png
from rgb_core.progress import Silent
from rgb_core.scene import Camera
from rgb_core.scene.labels import Label

SIZE = 16
CAMERA = Camera((20.0, 20.0, 8.0, 8.0), torch.tensor([[1.0, 0, 0, 0], [0, -1, 0, 0], [0, 0, -1, 1]]), SIZE, SIZE)


class Messages(Silent):
    """Keeps what was said."""

    def __init__(self):
        self.texts: list[str] = []

    def message(self, text: str) -> None:
        self.texts.append(text)


@pytest.fixture
def clip(patch, tmp_path):
    """Four frames of a square: labelled, unlabelled, without matte, empty."""
    writer = DatasetWriter(tmp_path / "clip", "square", (SIZE, SIZE), 25.0, patch)
    rgba = torch.zeros(SIZE, SIZE, 4)
    rgba[4:12, 4:12] = torch.tensor([0.5, 0.4, 0.3, 1.0])
    labels = torch.zeros(SIZE, SIZE, dtype=torch.uint8)
    labels[4:8, 4:12], labels[8:12, 4:8], labels[8:12, 8:12] = Label.HAIR, Label.SKIN, Label.CLOTH
    opaque, empty = rgba.clone(), rgba.clone()
    opaque[..., 3], empty[..., 3] = 1, 0
    for name, image, semantic in (
        ("labelled", rgba, labels), ("plain", rgba, None), ("opaque", opaque, None), ("empty", empty, None),
    ):  # fmt: skip
        writer.add_frame(name, "train", CAMERA, Pose.rest(2, 1), image, semantic)
    return writer.finish()


def test_frames_without_a_usable_matte_are_named_with_the_reason(clip):
    messages = Messages()
    evidence = Evidence(clip, SIZE, messages)
    assert [frame.id for frame in evidence.frames] == ["labelled", "plain"]
    (text,) = messages.texts
    assert "skipped 2" in text
    assert "opaque (it has no matte)" in text
    assert "empty (its matte is empty)" in text


def test_no_usable_frame_is_an_error(clip):
    alone = dataclasses.replace(clip, splits={"train": ("opaque",), "test": ()})
    with pytest.raises(InputError, match="add mattes"):
        Evidence(alone, SIZE, Silent())


def test_labels_say_what_counts(clip):
    batch = Evidence(clip, SIZE, Silent()).batch(torch.tensor([0, 1]))
    labelled, plain = range(2)
    assert batch.mask_weight[labelled, 9, 9] == 0  # cloth
    assert batch.mask_weight[labelled, 5, 5] == batch.mask_weight[labelled, 0, 0] == 1
    assert batch.colour_weight[labelled, 9, 5] == 1  # skin
    assert 0 < batch.colour_weight[labelled, 5, 5] < 1  # hair
    assert batch.colour_weight[labelled, 9, 9] == batch.colour_weight[labelled, 0, 0] == 0
    assert batch.mask_weight[plain].min() == 1
    assert torch.equal(batch.colour_weight[plain], batch.alpha[plain])


def test_labels_can_be_ignored(clip):
    evidence = Evidence(clip, SIZE, Silent(), semantics=False)
    assert evidence.hair(torch.tensor([0])) is None
    assert torch.equal(evidence.batch(torch.tensor([0])).mask_weight, torch.ones(1, SIZE, SIZE))
    assert Evidence(clip, SIZE, Silent()).hair(torch.tensor([0])).sum() == 32
    assert Evidence(clip, SIZE, Silent()).hair(torch.tensor([0, 1])) is None


def test_half_the_resolution_keeps_areas_and_cameras(clip):
    evidence = Evidence(clip, SIZE, Silent())
    whole, half = (evidence.batch(torch.tensor([1]), halve) for halve in (False, True))
    assert half.alpha.shape == (1, SIZE // 2, SIZE // 2)
    assert float(4 * half.alpha.sum()) == pytest.approx(float(whole.alpha.sum()))
    assert torch.allclose(2 * half.intrinsics, whole.intrinsics)


def test_dropped_frames_are_gone(clip):
    evidence = Evidence(clip, SIZE, Silent())
    evidence.drop({"labelled"})
    assert [frame.id for frame in evidence.frames] == ["plain"]
    assert evidence.times.tolist() == [1]
    assert evidence.hair(torch.tensor([0])) is None
    assert len(evidence.intrinsics) == len(evidence.world_to_camera) == 1


@pytest.mark.parametrize("size", [SIZE, SIZE // 2])
def test_normal_maps_are_read_where_they_are_opaque(clip, tmp_path, size):
    folder = tmp_path / "normals"
    folder.mkdir()
    normal = torch.nn.functional.normalize(torch.tensor([0.2, -0.4, 0.8]), dim=0)
    image = torch.ones(SIZE, SIZE, 4)
    image[..., :3] = (normal + 1) / 2
    image[:6, :, 3] = 0
    write_png(folder / "labelled.png", image)
    evidence = Evidence(clip, size, Silent(), normals=normal_maps(folder, clip))
    batch = evidence.batch(torch.tensor([0, 1]))
    assert batch.normal_weight[1].max() == 0  # no map
    counted = batch.normal_weight[0] > 0
    # of the square's 8 x 8 pixels two rows lie above the map and a quarter of the rest, but one row, is cloth
    assert int(counted.sum()) * (SIZE // size) ** 2 == 8 * 6 - 4 * 4
    assert torch.allclose(batch.normal[0][counted], normal.expand(int(counted.sum()), 3), atol=0.01)


def test_a_useless_folder_of_normal_maps_is_named(clip, tmp_path):
    with pytest.raises(InputError, match="is not a folder"):
        normal_maps(tmp_path / "nothing", clip)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no normal map of a training frame"):
        normal_maps(tmp_path / "empty", clip)
    write_png(tmp_path / "empty" / "plain.png", torch.zeros(SIZE, SIZE))
    with pytest.raises(InputError, match="grey"):
        normal_maps(tmp_path / "empty", clip).load(clip.frame("plain"), (SIZE, SIZE))

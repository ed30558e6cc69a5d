"""A clip in the wrong convention is refused and the one that fits is named; a doubtful one gets a warning."""

import json
from pathlib import Path

import pytest
import torch

from rgb_core.data.importers import import_dataset
from rgb_core.errors import InputError
from rgb_core.heads import save_head
from rgb_core.images import read_png, write_png
from rgb_core.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from rgb_core.scene.labels import Label

from . import exporters
from .messages import Messages
from .subjects import flame_like_head, make_clip

TURN = axis_angle_to_matrix(torch.tensor([0.0, 0.7, 0.0], dtype=torch.float64))


def edit(path: Path, change) -> None:
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))


@pytest.fixture
def native(tmp_path: Path) -> Path:
    """Pictures beside own tracking."""
    exporters.native(make_clip(flame_like_head()), tmp_path / "source")
    return tmp_path / "source"


def change_frames(source: Path, change) -> None:
    def change_all(record: dict) -> None:
        for frame in record["frames"]:
            change(frame)

    edit(source / "dataset.json", change_all)


def negate(frame: dict, *rows: int) -> None:
    for row in rows:
        frame["w2c"][row] = [-value for value in frame["w2c"][row]]


def scale_distance(frame: dict, factor: float) -> None:
    frame["translation"] = [factor * value for value in frame["translation"]]
    for row in frame["w2c"]:
        row[3] *= factor


def scale_focal(frame: dict, factor: float) -> None:
    frame["K"] = [factor * value for value in frame["K"]]


WRONG = {
    "OpenGL axes": (lambda frame: negate(frame, 1, 2), "with the camera's y and z negated"),
    "four times as large": (lambda frame: scale_distance(frame, 4), "with translations 4 times as small"),
    "four times as small": (lambda frame: scale_distance(frame, 0.25), "with translations 4 times as large"),
    "centimetres": (lambda frame: scale_distance(frame, 100), "with translations in centimetres"),
    "tracked at half the size": (lambda frame: scale_focal(frame, 0.5), "with intrinsics of pictures half the size"),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_the_convention_that_fits_is_named(native: Path, tmp_path: Path, mistake: str):
    change, expected = WRONG[mistake]
    change_frames(native, change)
    with pytest.raises(InputError, match=expected):
        import_dataset(native, tmp_path / "dataset")
    assert not (tmp_path / "dataset").exists()


def test_camera_to_world_matrices_are_recognised(native: Path, tmp_path: Path):
    def invert(frame: dict) -> None:
        matrix = torch.tensor(frame["w2c"], dtype=torch.float64)
        rotation = matrix[:, :3] @ TURN  # another camera than its inverse
        shift = matrix[:, 3:]
        frame["w2c"] = torch.cat([rotation.T, -rotation.T @ shift], 1).tolist()
        root = TURN.T @ axis_angle_to_matrix(torch.tensor(frame["joints"][0], dtype=torch.float64))
        frame["joints"][0] = matrix_to_axis_angle(root).tolist()

    change_frames(native, invert)
    with pytest.raises(InputError, match="camera matrix inverted"):
        import_dataset(native, tmp_path / "dataset")


def test_a_body_in_the_matte_is_a_warning(native: Path, tmp_path: Path):
    for path in (native / "pictures").iterdir():
        picture = read_png(path, dtype=torch.uint8)
        picture[30:, :80, 3] = 255
        write_png(path, picture)
    messages = Messages()
    imported = import_dataset(native, tmp_path / "dataset", progress=messages)
    assert 0.2 < imported.overlap < 0.6
    assert any("rgb check" in line for line in messages.lines)


def test_cloth_is_no_part_of_the_matte(native: Path, tmp_path: Path):
    for path in (native / "pictures").iterdir():
        picture = read_png(path, dtype=torch.uint8)
        labels = torch.where(picture[..., 3] == 0, Label.CLOTH, Label.SKIN).to(torch.uint8)
        picture[..., 3] = 255
        write_png(path, picture)
        write_png(native / "labels" / path.name, labels)
    change_frames(native, lambda frame: frame.update(semantic=frame["image"].replace("pictures", "labels")))
    imported = import_dataset(native, tmp_path / "dataset")
    assert imported.overlap > 0.97
    assert set(imported.dataset.semantic(imported.dataset.all_frames[0]).unique().tolist()) == {1, 16}


def test_tracking_of_other_pictures_is_refused(native: Path, tmp_path: Path):
    for path in (native / "pictures").iterdir():
        picture = read_png(path, dtype=torch.uint8)
        picture[..., 3] = 0
        picture[:12, :12, 3] = 255
        write_png(path, picture)
    with pytest.raises(InputError, match="not of these pictures"):
        import_dataset(native, tmp_path / "dataset")


def test_empty_mattes_are_refused(native: Path, tmp_path: Path):
    for path in (native / "pictures").iterdir():
        write_png(path, torch.zeros(80, 96, 4, dtype=torch.uint8))
    with pytest.raises(InputError, match="empty matte"):
        import_dataset(native, tmp_path / "dataset")


def test_a_mesh_that_fits_is_not_questioned(tmp_path: Path):
    exporters.hravatar(make_clip(flame_like_head()), tmp_path / "source")
    save_head(flame_like_head(), tmp_path / "model.npz")
    messages = Messages()
    import_dataset(tmp_path / "source", tmp_path / "dataset", tmp_path / "model.npz", progress=messages)
    assert messages.lines == []

"""Clips as users of other systems have them: unions, Windows and foreign paths, turned pictures, odd masks, links."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rgb_core.data.importers import import_dataset
from rgb_core.errors import InputError
from rgb_core.heads import save_head
from tests.importers import exporters
from tests.importers.subjects import flame_like_head, make_clip

FRAMES = 4


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A VHAP export, its head model and the canonical parameters that it is known by."""
    folder = tmp_path_factory.mktemp("vhap")
    save_head(flame_like_head(), folder / "flame.npz")
    exporters.vhap(make_clip(flame_like_head(), frames=FRAMES), folder / "seq")
    shutil.copy(folder / "seq/flame_param/00000.npz", folder / "seq/canonical_flame_param.npz")
    return folder


@pytest.fixture
def clip(exported: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    return Path(shutil.copytree(exported / "seq", tmp_path / "seq"))


@pytest.fixture
def load(exported: Path, tmp_path: Path) -> Callable:
    def run(folder: Path):
        return import_dataset(folder, tmp_path / "out", exported / "flame.npz", "vhap").dataset

    return run


def change_names(folder: Path, change: Callable[[str], str]) -> None:
    for path in folder.glob("transforms*.json"):
        record = json.loads(path.read_text())
        for frame in record["frames"]:
            for key in ("file_path", "fg_mask_path", "flame_param_path"):
                if key in frame:
                    frame[key] = change(frame[key])
        path.write_text(json.dumps(record))


@pytest.mark.parametrize(
    "change",
    [lambda name: name.replace("/", "\\"), "/home/someone/export/seq/".__add__, "C:\\export\\seq\\".__add__],
    ids=["windows", "absolute", "drive"],
)
def test_names_of_another_machine(clip: Path, load: Callable, change: Callable[[str], str]):
    change_names(clip, change)
    assert len(load(clip).all_frames) == FRAMES


def test_a_union_of_sequences_beside_it(clip: Path, load: Callable):
    """Both sequences have the same picture names; ids carry the sequence."""
    union = clip.parent / "UNION"
    union.mkdir()
    shutil.copy(clip / "canonical_flame_param.npz", union)
    for name, split in (("one", "train"), ("two", "test")):
        sequence = Path(shutil.copytree(clip, clip.parent / name))
        record = json.loads(next(sequence.glob("transforms.json")).read_text())
        (union / f"transforms_{split}.json").write_text(json.dumps(record))
    for name, split in (("one", "train"), ("two", "test")):
        path = union / f"transforms_{split}.json"
        record = json.loads(path.read_text())
        for frame in record["frames"]:
            for key in ("file_path", "fg_mask_path", "flame_param_path"):
                if key in frame:
                    frame[key] = f"../{name}/{frame[key]}"
        path.write_text(json.dumps(record))
    (union / "transforms_val.json").write_text(json.dumps({**record, "frames": []}))
    dataset = load(union)
    assert {frame.id.split("_")[0] for frame in dataset.frames("train")} == {"one"}
    assert {frame.id.split("_")[0] for frame in dataset.frames("test")} == {"two"}
    assert len(dataset.all_frames) == 2 * FRAMES


@pytest.mark.parametrize("name", ["../../x.png", "/etc/hostname", "..\\..\\x.png", "../x.png", "../a/../../x.png"])
def test_no_name_leads_further_out(clip: Path, load: Callable, name: str):
    (clip.parent / "x.png").write_bytes(b"")
    change_names(clip, lambda _: name)
    with pytest.raises(InputError, match="leads out of"):
        load(clip)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark(clip: Path, load: Callable, encoding: str):
    for path in clip.glob("transforms*.json"):
        path.write_text(path.read_text(), encoding=encoding)
    if encoding == "utf-8-sig":
        assert len(load(clip).all_frames) == FRAMES
    else:
        with pytest.raises(InputError, match="is not UTF-8 text"):
            load(clip)


@pytest.mark.parametrize("which", ["folder", "each", "whole"])
def test_links_that_the_user_made_are_followed(clip: Path, load: Callable, which: str):
    disk = clip.parent / "disk"
    disk.mkdir()
    source = clip
    if which == "folder":
        (clip / "images").rename(disk / "images")
        (clip / "images").symlink_to(disk / "images")
    elif which == "each":
        for path in list((clip / "images").iterdir()):
            path.rename(disk / path.name)
            path.symlink_to(disk / path.name)
    else:
        source = clip.parent / "link"
        source.symlink_to(clip)
    assert len(load(source).all_frames) == FRAMES


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_picture_is_turned_as_its_camera_says(clip: Path, load: Callable, orientation: int):
    """The upper half is blue and the lower red, whichever way the pixels lie in the file."""
    turn = {1: 0, 3: 180, 6: 90, 8: 270}[orientation]
    for path in (clip / "images").glob("*.png"):
        width, height = Image.open(path).size
        pixels = np.zeros((height, width, 3), np.uint8)
        pixels[: height // 2, :, 2] = pixels[height // 2 :, :, 0] = 200
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(pixels).rotate(turn, expand=True).save(path.with_suffix(".jpg"), quality=95, exif=exif)
        path.unlink()
    change_names(clip, lambda name: name.replace(".png", ".jpg") if "images" in name else name)
    dataset = load(clip)
    image = dataset.load_rgba(dataset.all_frames[0])
    assert (dataset.width, dataset.height) == (width, height)
    assert int(image[2, width // 2, 2]) > 150 > 60 > int(image[2, width // 2, 0])
    assert int(image[-2, width // 2, 0]) > 150


@pytest.mark.parametrize(
    ("save", "says"),
    [
        (lambda m: Image.fromarray(255 - m), "look inverted"),
        (lambda m: Image.fromarray(np.dstack([np.full_like(m, 255)] * 3 + [m])), "matte in the alpha channel"),
        (lambda m: Image.fromarray((m > 127).astype(np.uint8)), "holds 0 and 1"),
        (lambda m: Image.fromarray(m > 127), "1-bit PNG"),
        (lambda m: Image.fromarray(m.astype(np.uint16) * 257), "16-bit PNG"),
    ],
    ids=["inverted", "alpha", "zero one", "one bit", "sixteen bits"],
)
def test_an_odd_mask_is_named_and_what_it_looks_like(clip: Path, load: Callable, save: Callable, says: str):
    masks = next(path for path in clip.iterdir() if "mask" in path.name)
    for path in masks.glob("*.png"):
        save(np.array(Image.open(path))).save(path)
    with pytest.raises(InputError, match=rf"{masks.name}.*{says}"):
        load(clip)

"""Damaged clips of every layout: each ends in one sentence about the right file, and no dataset appears."""

import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from rgb_core.data.importers import import_dataset
from rgb_core.errors import InputError
from rgb_core.heads import save_head
from rgb_core.images import write_png

from . import exporters
from .subjects import flame_like_head, make_clip

PIXEL = torch.zeros(80, 96, 4, dtype=torch.uint8)


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three frames in every layout, and the head model."""
    root = tmp_path_factory.mktemp("exports")
    clip = make_clip(flame_like_head(), frames=3, neck=False, translated=False)
    for export in (
        exporters.metrical,
        exporters.imavatar,
        exporters.hravatar,
        exporters.vhap,
        exporters.insta,
        exporters.native,
    ):
        export(clip, root / export.__name__)
    save_head(clip.head, root / "model.npz")
    return root


def edit_json(name: str, change):
    """A damage that changes the JSON file `name`."""

    def damage(folder: Path) -> None:
        record = json.loads((folder / name).read_text())
        change(record)
        (folder / name).write_text(json.dumps(record))

    return damage


def edit_frame(name: str, **values):
    """A damage that sets keys of the second frame; None takes the key away."""

    def change(record: dict) -> None:
        frame = record["frames"][1] if "frames" in record else record["1.png"]
        for key, value in values.items():
            frame[key] = value
            if value is None:
                del frame[key]

    return edit_json(name, change)


def edit_checkpoint(block: str, key: str, value):
    """A damage that sets one array of the second .frame file."""

    def damage(folder: Path) -> None:
        path = folder / "checkpoint/00001.frame"
        record = torch.load(path, weights_only=False)
        record[block][key] = value
        torch.save(record, path)

    return damage


def edit_parameters(**arrays):
    """A damage that replaces arrays of the second .npz file."""

    def damage(folder: Path) -> None:
        path = folder / "flame_param/00001.npz"
        with np.load(path) as archive:
            found = dict(archive)
        np.savez(path, **{**found, **arrays})

    return damage


def write(name: str, data: bytes):
    """A damage that replaces a file's bytes."""
    return lambda folder: (folder / name).write_bytes(data)


def remove(name: str):
    """A damage that deletes a file."""
    return lambda folder: (folder / name).unlink()


def truncate(name: str):
    """A damage that keeps the first half of a file."""
    return lambda folder: (folder / name).write_bytes(
        (folder / name).read_bytes()[: (folder / name).stat().st_size // 2]
    )


def picture(name: str, pixels: torch.Tensor):
    """A damage that replaces a picture."""
    return lambda folder: write_png(folder / name, pixels)


def non_utf8_name(subfolder: str, suffix: bytes):
    """A damage that adds a file whose name is no UTF-8."""
    return lambda folder: Path(os.fsdecode(os.fsencode(folder / subfolder) + b"/\xff\xfe" + suffix)).write_bytes(b"")


def raw_nan(name: str, key: str):
    """A damage that puts NaN, which JSON does not have, in the place of the first number after `key`."""

    def damage(folder: Path) -> None:
        text = (folder / name).read_text()
        (folder / name).write_text(re.sub(rf'("{key}": \[+)[-0-9.e]+', r"\1NaN", text, count=1))

    return damage


FLAME_JSON, TRACKED, TRANSFORMS, NATIVE = "flame_params.json", "tracked_params.json", "transforms.json", "dataset.json"
IDENTITY_BUT_SCALED = (4 * np.eye(4)).tolist()
MALFORMED = {
    "metrical: truncated frame": ("metrical", truncate("checkpoint/00001.frame"), "00001.frame"),
    "metrical: empty frame": ("metrical", write("checkpoint/00001.frame", b""), "00001.frame"),
    "metrical: malicious frame": (
        "metrical",
        write("checkpoint/00001.frame", b"cos\nsystem\n(S'touch /tmp/importer_was_here'\ntR."),
        "00001.frame",
    ),
    "metrical: no camera": ("metrical", edit_checkpoint("opencv", "K", np.zeros((1, 2, 3))), "opencv: K has 6 numbers"),
    "metrical: eyes of one eye": ("metrical", edit_checkpoint("flame", "eyes", np.zeros((1, 6))), "eyes has 6 numbers"),
    "metrical: NaN": (
        "metrical",
        edit_checkpoint("flame", "exp", np.full((1, 100), np.nan)),
        "exp has a number that is",
    ),
    "metrical: too many": ("metrical", edit_checkpoint("flame", "exp", np.ones((1, 120))), "exp has 120 coefficients"),
    "metrical: text": ("metrical", edit_checkpoint("flame", "jaw", "open"), "jaw must be numbers"),
    "metrical: mirrored": ("metrical", edit_checkpoint("opencv", "R", -np.eye(3)[None]), "mirrors an axis"),
    "metrical: sheared": ("metrical", edit_checkpoint("opencv", "R", np.ones((1, 3, 3))), "not orthonormal"),
    "metrical: missing picture": ("metrical", remove("images/00001.png"), "has no picture of .*00001.frame"),
    "metrical: truncated picture": ("metrical", truncate("images/00001.png"), "00001.png is a truncated"),
    "metrical: other size": ("metrical", picture("images/00001.png", PIXEL[:40]), "96 x 40 pixels, expected 96 x 80"),
    "metrical: no matte": ("metrical", picture("images/00001.png", PIXEL[..., :3]), "no alpha and there is no mask"),
    "metrical: no picture at all": ("metrical", write("images/00001.png", b"hello"), "00001.png is not a PNG"),
    "metrical: name": ("metrical", non_utf8_name("checkpoint", b".frame"), "not UTF-8"),
    "metrical: label": (
        "metrical",
        picture("semantic/00001.png", torch.full((80, 96), 40, dtype=torch.uint8)),
        "holds the label 40",
    ),
    "metrical: coloured labels": (
        "metrical",
        picture("semantic/00001.png", torch.arange(3, dtype=torch.uint8).expand(80, 96, 3).contiguous()),
        "one number per pixel",
    ),
    "imavatar: cut JSON": ("imavatar", truncate(FLAME_JSON), "flame_params.json is not valid JSON"),
    "imavatar: no object": ("imavatar", write(FLAME_JSON, b"[]"), "must hold a JSON object"),
    "imavatar: no UTF-8": ("imavatar", write(FLAME_JSON, b'{"\xff": 1}'), "cannot read"),
    "imavatar: no frames": ("imavatar", edit_json(FLAME_JSON, lambda r: r.update(frames=[])), "frames is empty"),
    "imavatar: frame is a number": ("imavatar", edit_json(FLAME_JSON, lambda r: r.update(frames=[1])), "JSON object"),
    "imavatar: no intrinsics": (
        "imavatar",
        edit_json(FLAME_JSON, lambda r: r.pop("intrinsics")),
        "intrinsics is missing",
    ),
    "imavatar: no focal length": (
        "imavatar",
        edit_json(FLAME_JSON, lambda r: r.update(intrinsics=[0, 1, 0.5, 0.5])),
        "not positive",
    ),
    "imavatar: short pose": ("imavatar", edit_frame(FLAME_JSON, pose=[0.0] * 14), "frame 1: pose has 14 numbers"),
    "imavatar: no pose": ("imavatar", edit_frame(FLAME_JSON, pose=None), "frame 1: pose is missing"),
    "imavatar: ragged": ("imavatar", edit_frame(FLAME_JSON, world_mat=[[1, 0], [0]]), "world_mat must be numbers"),
    "imavatar: strings": ("imavatar", edit_frame(FLAME_JSON, expression=["a"]), "expression must be numbers"),
    "imavatar: NaN": ("imavatar", raw_nan(FLAME_JSON, "expression"), "expression has a number that is not finite"),
    "imavatar: lost picture": ("imavatar", edit_frame(FLAME_JSON, file_path="./image/99"), "which does not exist"),
    "imavatar: path out": ("imavatar", edit_frame(FLAME_JSON, file_path="../../../etc/passwd"), "leads out of"),
    "imavatar: surrogate": ("imavatar", edit_frame(FLAME_JSON, file_path="\ud800"), "not a UTF-8 name"),
    "imavatar: bad mask": ("imavatar", truncate("mask/2.png"), "2.png"),
    "imavatar: no mask": ("imavatar", remove("mask/2.png"), "no alpha and there is no mask"),
    "hravatar: no picture": ("hravatar", remove("images/1.png"), "1.png has no picture"),
    "hravatar: matrix": ("hravatar", edit_frame(TRACKED, world_mat=[1, 2, 3]), "world_mat has 3 numbers, expected 16"),
    "hravatar: scaled": ("hravatar", edit_frame(TRACKED, world_mat=IDENTITY_BUT_SCALED), "not orthonormal"),
    "hravatar: nothing tracked": ("hravatar", write(TRACKED, b"{}"), "tracks none of the pictures"),
    "hravatar: infinite": ("hravatar", edit_frame(TRACKED, expcode=[[1e300]]), "expcode has a number that is not"),
    "vhap: cut parameters": ("vhap", truncate("flame_param/00001.npz"), "00001.npz is not a readable"),
    "vhap: pickled": (
        "vhap",
        edit_parameters(expr=np.array([{}], dtype=object)),
        "key 'expr' cannot be read",
    ),
    "vhap: short rotation": ("vhap", edit_parameters(rotation=np.zeros((1, 2))), "rotation has 2 numbers"),
    "vhap: singular": (
        "vhap",
        edit_frame(TRANSFORMS, transform_matrix=np.zeros((4, 4)).tolist()),
        "transform_matrix does not start with a rotation",
    ),
    "vhap: lost parameters": ("vhap", remove("flame_param/00001.npz"), "flame_param_path names"),
    "vhap: no size": ("vhap", edit_frame(TRANSFORMS, w=None), "w is missing"),
    "insta: vertices lost": ("insta", write("meshes/00001.obj", b"v 0 0 0\nf 1 1 1\n"), "has 1 vertices, the neutral"),
    "insta: no numbers": ("insta", write("meshes/00001.obj", b"v a b c\n"), "00001.obj has a vertex"),
    "insta: infinite": ("insta", write("meshes/00001.obj", b"v 1 2 inf\n"), "00001.obj has a vertex"),
    "insta: expression": ("insta", write("flame/exp/00001.txt", b"1 2 x"), "00001.txt is not a list of numbers"),
    "insta: no meshes": (
        "insta",
        lambda folder: shutil.rmtree(folder / "meshes"),
        "has no mesh of any frame",
    ),
    "native: other format": ("native", edit_json(NATIVE, lambda r: r.update(format="coco")), "expected 'rgb-dataset'"),
    "native: no head": ("native", remove("model.npz"), "head_model names"),
    "native: joints": ("native", edit_frame(NATIVE, joints=[[0, 0, 0]]), r"joints has shape \[1, 3\]"),
    "native: same id": ("native", edit_frame(NATIVE, id="shot_0"), "two frames with the id 'shot_0'"),
    "native: id of a path": ("native", edit_frame(NATIVE, id="../../x"), "cannot be a file name"),
    "native: light": ("native", edit_json(NATIVE, lambda r: r.update(light_frame="sun")), "light_frame is 'sun'"),
    "native: split": ("native", edit_json(NATIVE, lambda r: r.update(splits={"train": []})), "leave out the frame"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_one_sentence_about_the_right_file(exports: Path, tmp_path: Path, case: str):
    layout, damage, message = MALFORMED[case]
    source = tmp_path / "source"
    shutil.copytree(exports / layout, source)
    damage(source)
    head_file = None if layout in ("insta", "native") else exports / "model.npz"
    with pytest.raises(InputError, match=message) as caught:
        import_dataset(source, tmp_path / "dataset", head_file)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "dataset/dataset.json").exists()
    assert not Path("/tmp/importer_was_here").exists()
    written = {path.name for path in tmp_path.iterdir()} - {"source", "dataset"}
    assert {name.split(".")[0] for name in written} <= {"outside"}


def test_the_undamaged_exports_are_fine(exports: Path, tmp_path: Path):
    """Otherwise the cases above would prove nothing."""
    for layout in ("metrical", "imavatar", "hravatar", "vhap", "insta", "native"):
        head_file = None if layout in ("insta", "native") else exports / "model.npz"
        import_dataset(exports / layout, tmp_path / layout, head_file)


def test_no_such_folder_or_layout(exports: Path, tmp_path: Path):
    with pytest.raises(InputError, match="is not a folder"):
        import_dataset(tmp_path / "none", tmp_path / "dataset")
    with pytest.raises(InputError, match="no layout is called 'flame'"):
        import_dataset(exports / "native", tmp_path / "dataset", layout="flame")
    with pytest.raises(InputError, match=r"holds no \.frame file"):
        import_dataset(exports / "native", tmp_path / "dataset", exports / "model.npz", layout="metrical")


def test_several_clips_are_not_mixed(exports: Path, tmp_path: Path):
    for name in ("one", "two"):
        shutil.copytree(exports / "imavatar", tmp_path / "subject" / name)
    with pytest.raises(InputError, match=r"several clips \(one, two\)"):
        import_dataset(tmp_path / "subject", tmp_path / "dataset", exports / "model.npz")

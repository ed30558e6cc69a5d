"""What an import does to files: links, copies, resumes, sizes and splits; and the command around it."""

import json
import os
import re
import typing
from pathlib import Path

import pytest
import torch

from rgb_cli.commands.import_ import import_
from rgb_core.data.importers import LAYOUTS, SourceFolder, detect, import_dataset
from rgb_core.data.importers.source import natural_key, split_by_time
from rgb_core.errors import InputError
from rgb_core.heads import load_head, save_head
from rgb_core.images import read_png, write_png
from rgb_core.scene.labels import Label
from tests.commands import run_rgb

from . import exporters
from .messages import Messages
from .subjects import SIZE, flame_like_head, make_clip


@pytest.fixture(scope="module")
def clip():
    """What every layout can express: no neck, no translation."""
    return make_clip(flame_like_head(), neck=False, translated=False)


@pytest.fixture
def model(clip, tmp_path: Path) -> Path:
    save_head(clip.head, tmp_path / "model.npz")
    return tmp_path / "model.npz"


@pytest.fixture
def metrical(clip, tmp_path: Path) -> Path:
    exporters.metrical(clip, tmp_path / "source")
    return tmp_path / "source"


def test_pictures_that_need_no_change_are_linked_not_copied(metrical: Path, model: Path, tmp_path: Path):
    import_dataset(metrical, tmp_path / "linked", model)
    import_dataset(metrical, tmp_path / "copied", model, copy=True)
    original = os.stat(metrical / "images/00000.png")
    assert os.path.samestat(original, os.stat(tmp_path / "linked/images/00000.png"))
    copy = tmp_path / "copied/images/00000.png"
    assert not os.path.samestat(original, os.stat(copy))
    assert copy.read_bytes() == (metrical / "images/00000.png").read_bytes()


def test_where_hard_links_fail_symbolic_ones_serve(metrical: Path, model: Path, tmp_path: Path, monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    import_dataset(metrical, tmp_path / "linked", model)
    link = tmp_path / "linked/images/00000.png"
    assert link.is_symlink()
    assert link.resolve() == (metrical / "images/00000.png").resolve()


@pytest.mark.parametrize("export", [exporters.metrical, exporters.imavatar])
def test_an_interrupted_import_continues_to_the_same_dataset(clip, model: Path, tmp_path: Path, export):
    export(clip, tmp_path / "source")
    out = tmp_path / "dataset"
    with pytest.raises(KeyboardInterrupt):
        import_dataset(tmp_path / "source", out, model, progress=Messages("importing pictures", 3))
    assert not (out / "dataset.json").exists()
    before = {path.name: path.stat().st_mtime_ns for path in (out / "images").iterdir()}
    assert len(before) == 3
    import_dataset(tmp_path / "source", out, model)
    assert all((out / "images" / name).stat().st_mtime_ns == time for name, time in before.items())
    import_dataset(tmp_path / "source", tmp_path / "straight", model)
    assert (out / "dataset.json").read_bytes() == (tmp_path / "straight/dataset.json").read_bytes()
    names = sorted(str(path.relative_to(out)) for path in out.rglob("*"))
    assert names == sorted(str(path.relative_to(tmp_path / "straight")) for path in (tmp_path / "straight").rglob("*"))


def test_a_finished_dataset_is_not_touched(clip, metrical: Path, model: Path, tmp_path: Path):
    import_dataset(metrical, tmp_path / "dataset", model)
    before = (tmp_path / "dataset/dataset.json").read_bytes()
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "dataset").rglob("*") if path.is_file()}
    said = Messages()
    again = import_dataset(metrical, tmp_path / "dataset", model, progress=said)
    assert any("finished import" in text for text in said.lines)
    assert len(again.dataset.all_frames) == len(clip.frames)
    with pytest.raises(InputError, match="other inputs or settings"):
        import_dataset(metrical, tmp_path / "dataset", model, copy=True)
    assert all(path.stat().st_mtime_ns == time for path, time in written.items() if path.name != ".rgb-run.lock")
    assert (tmp_path / "dataset/dataset.json").read_bytes() == before
    import_dataset(metrical, tmp_path / "dataset", model, copy=True, force=True)
    assert not (tmp_path / "dataset/images/00000.png").is_symlink()


def test_the_larger_pictures_win_with_their_labels(clip, model: Path, tmp_path: Path):
    """Labels of half the size are repeated; each keeps its place."""
    exporters.metrical(clip, tmp_path / "source")
    for path in (tmp_path / "source/images").iterdir():
        large = read_png(path, dtype=torch.uint8).repeat_interleave(2, 0).repeat_interleave(2, 1)
        write_png(tmp_path / "source/images.HQ" / path.name, large)
        labels = torch.zeros(SIZE[1], SIZE[0], dtype=torch.uint8)
        labels[10, 20] = Label.HAIR
        write_png(tmp_path / "source/semantic" / path.name, labels)
    dataset = import_dataset(tmp_path / "source", tmp_path / "dataset", model).dataset
    assert (dataset.width, dataset.height) == (2 * SIZE[0], 2 * SIZE[1])
    frame = dataset.all_frames[0]
    assert frame.camera.intrinsics == pytest.approx([2 * value for value in clip.frames[0].camera.intrinsics])
    labels = dataset.semantic(frame)
    assert (labels == Label.HAIR).nonzero().tolist() == [[20, 40], [20, 41], [21, 40], [21, 41]]


def test_detection_follows_the_order_of_the_table(clip, tmp_path: Path):
    """A folder that grows one marker after another changes to the more specific layout each time."""
    source = tmp_path / "source"
    exporters.native(clip, source)
    assert detect(SourceFolder(source)).name == "native"
    exporters.insta(clip, source)
    assert detect(SourceFolder(source)).name == "insta"
    exporters.imavatar(clip, source)
    assert detect(SourceFolder(source)).name == "imavatar"
    exporters.imavatar(clip, source, name="flame_params_optimized.json")
    assert detect(SourceFolder(source)).name == "monofacecompute"
    exporters.hravatar(clip, source)
    assert detect(SourceFolder(source)).name == "hravatar"
    exporters.vhap(clip, source)
    assert detect(SourceFolder(source)).name == "vhap"
    exporters.metrical(clip, source)
    assert detect(SourceFolder(source)).name == "metrical"
    assert next(iter(LAYOUTS)) == "metrical"
    assert list(LAYOUTS)[-1] == "native"


def test_an_empty_folder_lists_what_is_known(tmp_path: Path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"no layout that rgb import knows.*flame_params\.json \(imavatar\)"):
        import_dataset(tmp_path / "empty", tmp_path / "dataset")


def test_insta_splits_and_holes(clip, tmp_path: Path):
    source = tmp_path / "source"
    exporters.insta(clip, source)
    (source / "meshes/00002.obj").unlink()
    record = json.loads((source / "transforms.json").read_text())
    exporters.write_json(source / "transforms_test.json", {**record, "frames": record["frames"][4:]})
    exporters.write_json(source / "transforms_val.json", {**record, "frames": record["frames"][5:]})
    messages = Messages()
    dataset = import_dataset(source, tmp_path / "dataset", progress=messages).dataset
    assert dataset.splits == {"train": ("00000", "00001", "00003"), "test": ("00004", "00005")}
    assert any("1 frames without a mesh" in line for line in messages.lines)


def test_the_last_350_frames_are_the_test():
    assert split_by_time(2000).count("test") == 350
    assert split_by_time(2000)[1649:1651] == ["train", "test"]
    assert split_by_time(100).count("test") == 15
    assert split_by_time(1) == ["train"]


def test_names_sort_by_number():
    assert sorted(["f10", "f9", "a", "2", "10"], key=natural_key) == ["2", "10", "a", "f9", "f10"]


def test_the_help_names_every_layout():
    hints = typing.get_type_hints(import_, include_extras=True)
    text = hints["layout"].__metadata__[0].help
    assert re.findall(r"[a-z-]+", text.split(";")[0].replace(" or ", ", ")) == list(LAYOUTS)


def test_the_command(metrical: Path, model: Path, tmp_path: Path):
    result = run_rgb("import", metrical, tmp_path / "dataset", "--head", model, "--json")
    assert result.returncode == 0, result.stderr
    printed = json.loads(result.stdout)
    assert printed["layout"] == "metrical"
    assert printed["train frames"] + printed["test frames"] == 6
    assert load_head(tmp_path / "dataset/head.npz").name == "synthetic"


def test_the_command_ends_bad_input_with_one_sentence(metrical: Path, tmp_path: Path):
    result = run_rgb("import", metrical, tmp_path / "dataset")
    assert result.returncode == 2
    assert "--head" in result.stderr
    assert "flame2020" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "dataset").exists()


@pytest.mark.parametrize("correction", [{"fps": 50.0}, {"light_frame": "camera"}], ids=["fps", "light_frame"])
def test_a_corrected_source_is_not_the_same_data(metrical: Path, model: Path, tmp_path: Path, correction: dict):
    source = import_dataset(metrical, tmp_path / "native", model).dataset.folder
    import_dataset(source, tmp_path / "dataset")
    record = json.loads((source / "dataset.json").read_text())
    assert all(record.get(name) != value for name, value in correction.items())
    (source / "dataset.json").write_text(json.dumps({**record, **correction}))
    with pytest.raises(InputError, match="other inputs or settings"):
        import_dataset(source, tmp_path / "dataset")

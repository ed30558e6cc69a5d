"""Malformed native datasets."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from rgb_core.data import load_dataset
from rgb_core.images import write_png
from tests.data.dataset_samples import write_dataset

from .cases import DEEP, Case


def _edited(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = write_dataset(folder / "subject") / "dataset.json"
        record = json.loads(path.read_text())
        change(record)
        path.write_text(json.dumps(record))
        return path.parent

    return make


def _frame(**values: Any) -> Callable[[Path], Path]:
    return _edited(lambda record: record["frames"][1].update(values))


def _top(**values: Any) -> Callable[[Path], Path]:
    return _edited(lambda record: record.update(values))


def _replaced(name: str, data: bytes | None) -> Callable[[Path], Path]:
    """A file of the dataset with other bytes, or gone."""

    def make(folder: Path) -> Path:
        path = write_dataset(folder / "subject") / name
        path.unlink()
        if data is not None:
            path.write_bytes(data)
        return folder / "subject"

    return make


def _picture(name: str, *shape: int) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        write_png(write_dataset(folder / "subject") / name, torch.zeros(*shape))
        return folder / "subject"

    return make


def _loop(folder: Path) -> Path:
    """A picture that is a link to itself."""
    path = write_dataset(folder / "subject") / "images/00001.png"
    path.unlink()
    path.symlink_to(path)
    return folder / "subject"


def _shortened(folder: Path) -> Path:
    path = write_dataset(folder / "subject") / "images/00001.png"
    path.write_bytes(path.read_bytes()[:200])
    return folder / "subject"


def _read_all(folder: Path) -> None:
    dataset = load_dataset(folder)
    for frame in dataset.all_frames:
        dataset.load_rgba(frame)


def _case(problem: str, make: Callable[[Path], Path], says: str, read: Callable[[Path], object] = load_dataset) -> Case:
    return Case("native dataset", problem, make, read, says)


CASES = [
    _case("folder that is not there", lambda folder: folder / "none", "is not a folder"),
    _case("empty folder", lambda folder: folder, "is empty"),
    _case("no dataset.json", _replaced("dataset.json", None), "rgb import converts other layouts"),
    _case("dataset.json that is no JSON", _replaced("dataset.json", b"{"), "is not valid JSON"),
    _case("dataset.json of 100,000 brackets", _replaced("dataset.json", DEEP.encode()), "is not valid JSON"),
    _case("number of 5,000 digits", _replaced("dataset.json", b'{"a": ' + b"9" * 5000 + b"}"), "is not valid JSON"),
    _case("dataset.json in UTF-16", _replaced("dataset.json", "{}".encode("utf-16")), "cannot read"),
    _case("dataset.json that holds a list", _replaced("dataset.json", b"[]"), "must hold a JSON object, not a list"),
    _case("another format", _top(format="nerf"), "format is 'nerf', expected 'rgb-dataset'"),
    _case("version of the future", _top(version=2), "version 2 is unknown"),
    _case("fps of 401 digits", _top(fps=10**400), "fps must be a positive number"),
    _case("width of zero", _top(width=0), "width must be a positive integer"),
    _case("unknown light frame", _top(light_frame="moon"), "light_frame is 'moon', expected one of"),
    _case("head model that is not there", _top(head_model="x.npz"), "head_model names"),
    _case("identity of another length", _top(shape=[1, 2]), "shape has shape [2], expected [1]"),
    _case("no frames", _top(frames=[]), "frames is empty"),
    _case("frame that is a number", _top(frames=[3]), "frame number 0 must be a JSON object"),
    _case("split of unknown frames", _top(splits={"train": ["9"]}), "names the frame '9', which does not exist"),
    _case("split of lists", _top(splits={"train": [["0"]]}), "names the frame ['0'], which does not exist"),
    _case("no training frame", _top(splits={"train": []}), "train is empty"),
    _case("id that is a path", _frame(id="../1"), "cannot be a file name"),
    _case("id with a line break", _frame(id="a\nb"), "cannot be a file name"),
    _case("id that is no UTF-8", _frame(id="\udcff"), "cannot be a file name"),
    _case("repeated id", _frame(id="00000"), "has the id '00000' more than once"),
    _case("coefficients too few", _frame(expression=[1]), "expression has shape [1], expected [2]"),
    _case("coefficients that are text", _frame(expression=["a", "b"]), "expression must be numbers"),
    _case("ragged joints", _frame(joints=[[0, 0, 0], [0]]), "joints must be numbers"),
    _case("NaN", _frame(translation=[0, float("nan"), 0]), "translation has a number that is not finite"),
    _case("number beyond single precision", _frame(translation=[0, 1e39, 0]), "beyond 3.4e38"),
    _case("negative focal length", _frame(K=[-40, 40, 8, 6]), "positive focal lengths"),
    _case("singular camera", _frame(w2c=[[0] * 4] * 3), "w2c is not invertible"),
    _case("OpenGL camera", _frame(w2c=[[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, -1]]), "behind the camera"),
    _case("camera in millimetres", _frame(w2c=[[1, 0, 0, 0], [0, -1, 0, 0], [0, 0, -1, 930]]), "930 m away"),
    _case("picture that is not there", _replaced("images/00001.png", None), "image names"),
    _case("picture with a name of 5,000 letters", _frame(image="a" * 5000), "cannot be read"),
    _case("picture that links to itself", _loop, "image names"),
    _case("picture of another size", _picture("images/00001.png", 8, 8, 4), "8 x 8 pixels, expected 16 x 12"),
    _case("picture without alpha", _picture("images/00001.png", 12, 16, 3), "is RGB, expected RGBA"),
    _case("labels in colour", _picture("semantic/00001.png", 12, 16, 3), "is RGB, expected grey"),
    _case("empty picture file", _replaced("images/00001.png", b""), "is not a PNG file"),
    _case("picture cut short", _shortened, "is a truncated or corrupt PNG", _read_all),
]

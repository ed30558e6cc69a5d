"""`rgb head` converts and describes head models, and answers bad input in one sentence."""

import json
import pickle
from pathlib import Path

import pytest
from flame_samples import VERTICES, flame_arrays, write_eyelids, write_flame, write_landmarks, write_masks

from rgb_core.heads import load_head
from tests.commands import run_rgb


@pytest.fixture(scope="module")
def flame(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_flame(tmp_path_factory.mktemp("flame") / "flame2023.pkl", flame_arrays())


def test_convert_with_everything(flame: Path, tmp_path: Path):
    write_eyelids(tmp_path)
    write_landmarks(tmp_path / "landmark_embedding.npy", full=True)
    write_masks(tmp_path / "FLAME_masks.pkl")
    result = run_rgb("head",
        "convert", flame, "-o", tmp_path / "out" / "head.npz", "--eyelids", tmp_path, "--json",
        "--masks", tmp_path / "FLAME_masks.pkl", "--landmarks", tmp_path / "landmark_embedding.npy",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    printed = json.loads(result.stdout)
    assert printed["name"] == "flame2023"
    assert printed["vertices"] == VERTICES
    assert printed["expressions"] == 102
    head = load_head(tmp_path / "out" / "head.npz")
    assert head.expression_names[-2:] == ("eyelidLeft", "eyelidRight")
    described = run_rgb("head", "info", tmp_path / "out" / "head.npz", "--json")
    assert described.returncode == 0
    assert json.loads(described.stdout) == {key: value for key, value in printed.items() if key != "file"}


def test_refusals_are_one_sentence_and_leave_nothing(flame: Path, tmp_path: Path):
    (tmp_path / "evil.pkl").write_bytes(b"cos\nsystem\n(Vtouch " + str(tmp_path / "canary").encode() + b"\ntR.")
    (tmp_path / "other.pkl").write_bytes(pickle.dumps({"weights": 1}))
    out = tmp_path / "out" / "head.npz"
    for arguments, expected in (
        (("convert", tmp_path / "evil.pkl", "-o", out), "asks for 'os.system'"),
        (("convert", tmp_path / "absent.pkl", "-o", out), "https://flame.is.tue.mpg.de"),
        (("convert", tmp_path, "-o", out), "ICT-FaceKit"),
        (("info", tmp_path / "other.pkl"), "key 'v_template' holds no array"),
    ):
        result = run_rgb("head", *arguments)
        assert result.returncode == 2, arguments
        assert expected in result.stderr
        assert result.stderr.count("\n") == 1
    assert not out.parent.exists()
    assert not (tmp_path / "canary").exists()


def test_help_has_examples():
    for command in ("convert", "info"):
        assert f"Example: rgb head {command}" in run_rgb("head", command, "--help").stdout

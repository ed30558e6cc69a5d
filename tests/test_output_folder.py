"""Whose a folder is: the same run continues or is done, anything else is one sentence, and nobody's files are lost."""

import subprocess
import sys
from pathlib import Path

import pytest

from rgb_core.errors import InputError
from rgb_core.output_folder import MARKER, OutputFolder


def run(folder: Path, kind: str = "dataset", of: str = "one", force: bool = False, stops: bool = False) -> bool:
    """A run that writes a file and finishes, or stops before that; whether it had been finished before."""
    with OutputFolder.claim(folder, kind, of, force) as owned:
        if owned.finished:
            return True
        (folder / "work.txt").write_text(of)
        if stops:
            raise KeyboardInterrupt
        owned.finish()
    return False


def interrupted(folder: Path, **options: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(folder, stops=True, **options)


def visible(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.startswith(".")}


def test_a_finished_run_is_known_again_and_not_repeated(tmp_path: Path):
    assert not run(tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir() if path.name != ".rgb-run.lock"}
    assert run(tmp_path / "out")
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_an_unfinished_run_goes_on_with_what_it_had(tmp_path: Path):
    interrupted(tmp_path / "out")
    with OutputFolder.claim(tmp_path / "out", "dataset", "one") as owned:
        assert not owned.finished
        assert (tmp_path / "out/work.txt").read_text() == "one"


@pytest.mark.parametrize("finished", [True, False])
def test_the_run_of_other_settings_is_replaced_by_force_alone(tmp_path: Path, finished: bool):
    run(tmp_path / "out") if finished else interrupted(tmp_path / "out")
    state = "finished" if finished else "unfinished"
    with pytest.raises(InputError, match=f"the {state} dataset of other inputs or settings.*--force"):
        run(tmp_path / "out", of="two")
    assert (tmp_path / "out/work.txt").read_text() == "one"
    (tmp_path / "out/left").mkdir()
    assert not run(tmp_path / "out", of="two", force=True)
    assert (tmp_path / "out/work.txt").read_text() == "two"
    assert visible(tmp_path / "out") == {"work.txt"}


@pytest.mark.parametrize("force", [True, False])
def test_another_kind_of_work_is_never_replaced(tmp_path: Path, force: bool):
    run(tmp_path / "out", kind="avatar")
    with pytest.raises(InputError, match="holds avatar, finished; choose another folder for the dataset"):
        run(tmp_path / "out", force=force)
    assert visible(tmp_path / "out") == {"work.txt"}


@pytest.mark.parametrize("force", [True, False])
def test_somebody_elses_files_are_never_touched(tmp_path: Path, force: bool):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="is not empty and no run of rgb claimed it"):
        run(tmp_path, force=force)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("text", ["{", "[]", '{"format": "other"}', "[" * 99999, "\udcff"])
def test_a_damaged_marker_is_nobodys_claim(tmp_path: Path, text: str):
    run(tmp_path / "out")
    (tmp_path / "out" / MARKER).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError, match="choose another folder"):
        run(tmp_path / "out", force=True)
    assert visible(tmp_path / "out") == {"work.txt"}


def test_a_marker_is_read_up_to_a_sensible_size(tmp_path: Path):
    run(tmp_path / "out")
    marker = tmp_path / "out" / MARKER
    marker.write_text(marker.read_text() + " " * 100_000)
    with pytest.raises(InputError, match="choose another folder"):
        run(tmp_path / "out")


def test_a_run_that_wrote_nothing_leaves_no_trace(tmp_path: Path):
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "new", tmp_path / "empty"):
        with pytest.raises(InputError), OutputFolder.claim(folder, "dataset", "one"):
            raise InputError("the input is unusable")
    assert not (tmp_path / "new").exists()
    assert visible(tmp_path / "empty") == set()
    assert not run(tmp_path / "empty", of="two")


def test_a_folder_that_cannot_be_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("mine")
    for folder in (tmp_path / "file", tmp_path / "file" / "out"):
        with pytest.raises(InputError, match=f"cannot write to {folder}"):
            run(folder)
    assert (tmp_path / "file").read_text() == "mine"


def test_two_runs_at_once_are_refused_until_the_first_dies(tmp_path: Path):
    """The lock goes with its process, even one that is killed."""
    code = (
        "import sys, time; from rgb_core.output_folder import OutputFolder\n"
        "with OutputFolder.claim(sys.argv[1], 'dataset', 'one'): print('owned', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "owned\n"
        with pytest.raises(InputError, match="another run is writing to"):
            run(tmp_path / "out")
        other.kill()
        other.wait()
    assert not run(tmp_path / "out")

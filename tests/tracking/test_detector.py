"""The detector's process: its protocol, its environment, and what is said when neither can be had."""

import importlib.util
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from rgb_core.errors import InputError
from rgb_core.heads import builtin_head
from rgb_core.progress import Silent
from rgb_core.tracking.detect import detector_environment as environment
from rgb_core.tracking.detect import interpreters
from rgb_core.tracking.detect.correspondence import find_correspondence
from rgb_core.tracking.detect.detector import DetectorProcess, start_detector
from rgb_core.tracking.landmarks import LEFT_EYE, OUTER_LIPS, RIGHT_EYE

_ECHO = """
import struct, sys
requests, replies = sys.stdin.buffer, sys.stdout.buffer
replies.write(b"ready 0.10.21\\n"); replies.flush()
while line := requests.readline().split():
    width, height = int(line[1]), int(line[2])
    pixels = requests.read(3 * width * height)
    if line[0] == b"find":
        if pixels[0] == 13:
            sys.exit("out of memory")
        count = pixels[0]
        replies.write(b"%d\\n" % count + struct.pack("<f", pixels[1]) * (count * 4))
    elif line[0] == b"landmarks":
        count = int(line[3])
        places = struct.unpack("<%df" % (4 * count), requests.read(16 * count))
        replies.write(b"%d\\n" % count + b"".join(struct.pack("<f", side) * (478 * 3) for side in places[2::4]))
    else:
        replies.write(b"1\\n" + pixels[::3])
    replies.flush()
"""


def fake_python(folder: Path, program: str) -> Path:
    """An interpreter that runs `program` whatever it is asked to run."""
    script = folder / "program.py"
    script.write_text(program)
    path = folder / "python"
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$(dirname "$0")/{script.name}"\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def picture(first: int, second: int = 0) -> torch.Tensor:
    image = torch.arange(5 * 7 * 3, dtype=torch.uint8).view(5, 7, 3)
    image[0, 0, :2] = torch.tensor([first, second], dtype=torch.uint8)
    return image


def test_pictures_go_in_and_numbers_come_out(tmp_path: Path) -> None:
    with DetectorProcess(fake_python(tmp_path, _ECHO)) as detector:
        assert detector.find(picture(0)).shape == (0, 4)
        places = detector.find(picture(2, 9))
        assert places.shape == (2, 4)
        assert bool((places == 9).all())
        faces = detector.landmarks(picture(1), torch.tensor([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]]))
        assert faces.shape == (2, 478, 3)
        assert bool((faces[0] == 3).all())
        assert bool((faces[1] == 7).all())
        assert torch.equal(detector.matte(picture(1)), picture(1)[..., 0])


def test_a_process_that_dies_is_one_sentence_with_its_last_words(tmp_path: Path) -> None:
    with (
        DetectorProcess(fake_python(tmp_path, _ECHO)) as detector,
        pytest.raises(InputError, match=r"ended: out of memory; run the same command again"),
    ):
        detector.find(picture(13))


@pytest.mark.parametrize(
    ("program", "words"),
    [("raise SystemExit('no module named mediapipe')", "no module named mediapipe"), ("print('ready 0.9.0')", "0.9.0")],
)
def test_a_process_that_does_not_start_says_what_to_install(tmp_path: Path, program: str, words: str) -> None:
    with pytest.raises(InputError, match=f"{words}.*pip install mediapipe==0.10.21"):
        DetectorProcess(fake_python(tmp_path, program))


@pytest.fixture
def no_mediapipe(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without mediapipe and with an empty cache folder."""
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "mediapipe" else find(name))
    monkeypatch.setenv("RGB_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_without_a_network_the_user_is_told_what_to_install(
    no_mediapipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(command: list[str], **options: object) -> None:
        raise subprocess.CalledProcessError(
            1, command, stderr="WARNING: retrying\nERROR: No matching distribution found"
        )

    monkeypatch.setattr(environment, "fitting_python", lambda: Path(sys.executable))
    monkeypatch.setattr(environment.venv, "create", lambda folder, **options: None)
    monkeypatch.setattr(environment.subprocess, "run", refused)
    with pytest.raises(InputError, match=r"No matching distribution found\); pip install mediapipe==0.10.21"):
        environment.detector_python(Silent())
    assert not list(no_mediapipe.iterdir())  # nothing half made


def test_the_environment_is_made_once_and_a_broken_one_again(
    no_mediapipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def make(folder: Path, **options: object) -> None:
        made.append(folder)
        (Path(folder) / "bin").mkdir()
        fake_python(Path(folder) / "bin", _ECHO)

    monkeypatch.setattr(environment, "fitting_python", lambda: Path(sys.executable))
    monkeypatch.setattr(environment.venv, "create", make)
    monkeypatch.setattr(environment, "_install", lambda folder: None)
    for _ in range(2):
        environment.detector_python(Silent())
    assert len(made) == 1
    folder = environment.environment_folder()
    assert folder.parent == no_mediapipe
    fake_python(folder / "bin", "raise SystemExit('broken')")
    start_detector(Silent()).close()
    assert len(made) == 2


def other_python(folder: Path, name: str, version: tuple[int, int], works: bool = True) -> Path:
    """A program that says it is a Python of some version."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    answer = f'echo "{path}"; echo {version[0]}; echo {version[1]}' if works else "exit 127"
    path.write_text(f"#!/bin/sh\n{answer}\n")
    path.chmod(0o755)
    return path


def test_a_python_that_is_too_new_finds_another(
    no_mediapipe: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The first one is a leftover that does not start, the second one lies about its version."""
    monkeypatch.setattr(interpreters, "_running", lambda: (3, 14))
    places = tmp_path / "places"
    monkeypatch.setenv("PATH", str(places))
    other_python(places, "python3.12", (3, 12), works=False)
    other_python(places, "python3.11", (3, 13))
    with pytest.raises(InputError, match=r"needs Python 3.9 to 3.12 beside this Python 3.14.*uv python install"):
        environment.detector_python(Silent())
    assert not list(no_mediapipe.glob("*"))  # said at once
    found = other_python(places, "python3.10", (3, 10))
    assert interpreters.fitting_python() == found
    managed = other_python(tmp_path / "managed", "python", (3, 11))
    (places / "uv").write_text(f'#!/bin/sh\nfor last; do :; done\n[ "$last" = 3.11 ] && echo "{managed}"\n')
    (places / "uv").chmod(0o755)
    assert interpreters.fitting_python() == managed


@pytest.mark.slow
def test_mediapipe_itself_finds_the_built_in_head() -> None:
    """The landmarks lie where their names say; skipped where the detector cannot be installed."""
    try:
        detector = start_detector(Silent())
    except InputError as error:
        pytest.skip(str(error))
    head = builtin_head()
    with detector:
        found = find_correspondence(head, detector).points(head.vertices)
    assert head.landmarks68 is not None
    marks = head.vertices[head.landmarks68]
    for indices, known in ((LEFT_EYE, marks[42:48]), (RIGHT_EYE, marks[36:42]), (OUTER_LIPS, marks[48:60])):
        assert float((found[list(indices)].mean(0) - known.mean(0)).norm()) < 0.006  # metres

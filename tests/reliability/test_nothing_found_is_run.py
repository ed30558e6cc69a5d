"""Python files in the current folder, and caches that others can write or that are damaged, are never run."""

import ast
import contextlib
import os
import pickle
import re
import resource
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from kernel_runtime import machine_code, private

from rgb_core.errors import InputError
from rgb_core.progress import Silent
from rgb_core.tracking.detect import detector_environment
from tests.commands import TINY, CommandServer

ROOT = Path(__file__).parents[2]
PLANTED = ("pickle", "json", "site", "sitecustomize", "numba/__init__", "numpy/__init__", "pip/__main__", "ensurepip")
_PROGRAM = (
    "import torch; from simple_knn._C import distCUDA2;"
    "print(distCUDA2(torch.rand(50, 3, generator=torch.Generator().manual_seed(0))).sum().item())"
)


def environment(**changes: str) -> dict[str, str]:
    """This process's, in which no import leads to the current folder, as in that of an installed program."""
    paths = os.pathsep.join(path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path)
    return {**os.environ, "PYTHONPATH": paths, **changes}


def compute(folder: Path, cache: Path) -> str:
    """What one kernel says in a process that stands in `folder`."""
    caches = environment(RGB_CACHE_DIR=str(cache), NUMBA_CACHE_DIR=str(cache / "theirs"))
    command = [sys.executable, "-P", "-c", _PROGRAM]
    done = subprocess.run(command, cwd=folder, env=caches, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of files that leave a mark when they are imported or run."""
    folder = tmp_path_factory.mktemp("planted")
    for name in PLANTED:
        path = folder / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"open({str(folder / 'RAN')!r}, 'a').write({name!r} + chr(10))\nraise SystemExit(1)\n")
    yield folder
    assert not (folder / "RAN").exists(), (folder / "RAN").read_text()


@pytest.fixture(scope="module")
def compiled(planted: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A cache that was empty, and what a kernel said that was compiled into it."""
    cache = tmp_path_factory.mktemp("caches") / "cache"
    return cache, compute(planted, cache)


def test_compiling_runs_no_file_of_the_current_folder(compiled: tuple[Path, str], planted: Path):
    assert not (planted / "RAN").exists()
    assert list((compiled[0] / "numba").rglob("*.nbc"))
    assert not (compiled[0] / "theirs").exists()


def test_a_damaged_kernel_cache_is_made_anew(compiled: tuple[Path, str], planted: Path):
    """Emptied, cut and changed files of every kind, and pickles that would run something."""
    cache, said = compiled
    trap = pickle.dumps(_Trap(planted / "RAN"))
    damages = [lambda data: b"", lambda data: data[: len(data) // 2], _flipped, lambda data: trap]
    files = sorted((cache / "numba").rglob("*.nb?"))
    assert len(files) >= 2
    for index, path in enumerate(files):
        path.write_bytes(damages[index % len(damages)](path.read_bytes()))
    assert compute(planted, cache) == said


def test_no_command_runs_a_file_of_the_current_folder(planted: Path, demo: tuple[Path, dict], tmp_path: Path):
    """All but view, which serves until it is stopped, and bench."""
    avatar, dataset, geometry = (demo[0] / name for name in ("avatar", "dataset", "geometry"))
    commands = (
        ["demo", "-o", tmp_path / "demo", "--quiet", *TINY, "--set", "synthetic.frames=3"],
        ["synth", "-o", tmp_path / "synth", "--frames", "2", "--size", "48"],
        ["fit-geometry", dataset, "-o", tmp_path / "geometry", *TINY],
        ["fit-gaussians", dataset, "--geometry", geometry, "-o", tmp_path / "fitted", *TINY],
        ["relight", avatar, "--envmap", "sun", "-o", tmp_path / "relit", "--count", "1", "--size", "48"],
        ["animate", avatar, "--drive", dataset, "-o", tmp_path / "animated", "--size", "48"],
        ["eval", avatar, dataset, "-o", tmp_path / "report"],
        ["export", avatar, "-o", tmp_path / "head.ply"],
        ["export", avatar, "-o", tmp_path / "head.glb"],
        ["import", dataset, tmp_path / "imported"],
        ["check", dataset, "-o", tmp_path / "checked"],
        ["info", avatar],
        ["head", "info", avatar / "head.npz"],
        ["presets"],
        ["doctor"],
        ["--version"],
        # These end in a refusal: no subject that lacks masks, and no video, after ffmpeg has looked at it.
        ["patch-dataset", "-i", dataset / "semantic", "-o", demo[0]],
        ["track", __file__, "-o", tmp_path / "tracked"],
        ["fit", __file__, "-o", tmp_path / "fit"],
    )
    with contextlib.closing(CommandServer(planted, environment())) as server:
        for command in commands:
            done = server.run(*command)
            assert done.returncode == (2 if command[0] in ("patch-dataset", "track", "fit") else 0), done
            assert not (planted / "RAN").exists(), command


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "pickle", "pipe", "folder"])
@pytest.mark.parametrize("kind", ["index", "data"])
def test_one_damaged_file_counts_as_none(tmp_path: Path, damage: str, kind: str):
    files = machine_code._VerifiedFiles(str(tmp_path), "kernel", "stamp")
    files.save("key", ("code",))
    assert files.load("key") == ("code",)
    path = next(tmp_path.glob("*.nbi" if kind == "index" else "*.nbc"))
    whole = path.read_bytes()
    path.unlink()
    if damage == "pipe":
        os.mkfifo(path, 0o600)
    elif damage == "folder":
        path.mkdir()
    else:
        trap = pickle.dumps(_Trap(tmp_path / "RAN"))
        path.write_bytes({"empty": b"", "cut": whole[:-1], "flipped": _flipped(whole), "pickle": trap}[damage])
    assert files.load("key") is None
    assert not (tmp_path / "RAN").exists()
    if damage != "folder":
        files.save("key", ("code",))
        assert files.load("key") == ("code",)


def test_a_cache_without_room_costs_only_time(tmp_path: Path):
    files = machine_code._VerifiedFiles(str(tmp_path), "kernel", "stamp")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
    try:
        files.save("key", ("code",))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert files.load("key") is None
    assert list(tmp_path.iterdir()) == []
    files.save("key", ("code",))
    assert files.load("key") == ("code",)


def test_a_kernel_is_compiled_anew_when_a_file_of_its_package_changes(tmp_path: Path):
    """What it calls is compiled into it, so the file that it stands in does not say enough."""
    (tmp_path / "kernel.py").write_text("")
    before = machine_code._Locator(compute, str(tmp_path / "kernel.py")).get_source_stamp()
    (tmp_path / "helper.py").write_text("changed")
    machine_code._sources.cache_clear()
    assert machine_code._Locator(compute, str(tmp_path / "kernel.py")).get_source_stamp() != before


@pytest.mark.parametrize("kind", ["writable", "foreign", "file", "missing"])
def test_only_a_private_cache_folder_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str):
    wanted = tmp_path / "cache"
    if kind == "file":
        wanted.write_text("")
    elif kind != "missing":
        wanted.mkdir(mode=0o755)
        if kind == "writable":
            wanted.chmod(0o777)
        else:
            monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    monkeypatch.setenv("RGB_CACHE_DIR", str(wanted))
    monkeypatch.setattr(private.tempfile, "gettempdir", lambda: str(tmp_path))
    if kind == "missing":
        assert private.cache_root() == wanted
        assert stat.S_IMODE(wanted.stat().st_mode) == 0o700
        return
    if kind == "foreign":
        monkeypatch.setattr(private.tempfile, "mkdtemp", lambda prefix: str(tmp_path / "mine"))
    with pytest.warns(private.CacheWarning, match="set RGB_CACHE_DIR to a folder of yours"):
        used = private.cache_root()
    assert used != wanted
    assert kind == "file" or not list(wanted.iterdir())


def test_a_file_of_another_user_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    private.write_private(tmp_path / "entry", b"code")
    assert private.read_private(tmp_path / "entry") == b"code"
    (tmp_path / "entry").chmod(0o666)
    with pytest.raises(PermissionError):
        private.read_private(tmp_path / "entry")
    (tmp_path / "entry").chmod(0o600)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(PermissionError):
        private.read_private(tmp_path / "entry")


def test_the_detector_is_installed_from_named_wheels_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Isolated, away from the user's folder, every file by its checksum, and no source is built."""
    calls = []

    def record(command: list[str], **options: object) -> None:
        calls.append((command, options["cwd"]))
        raise subprocess.CalledProcessError(1, command, stderr="ERROR: stop here")

    monkeypatch.setenv("RGB_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(detector_environment.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(detector_environment, "fitting_python", lambda: Path(sys.executable))
    monkeypatch.setattr(detector_environment.venv, "create", lambda folder, **options: None)
    monkeypatch.setattr(detector_environment.subprocess, "run", record)
    with pytest.raises(InputError, match="stop here"):
        detector_environment.detector_python(Silent())
    [(command, folder)] = calls
    assert command[1:4] == ["-I", "-m", "pip"]
    assert {"--require-hashes", "--no-deps", "--only-binary"} <= set(command)
    assert Path(folder).is_relative_to(tmp_path / "cache")
    listed = Path(command[-1]).read_text().replace("\\\n", "").splitlines()[1:]
    assert {line.split("==")[0] for line in listed} == {"mediapipe", "numpy", "protobuf", "absl-py"}
    assert all("--hash=sha256:" in line for line in listed)


def test_an_environment_that_others_can_write_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RGB_CACHE_DIR", str(tmp_path / "cache"))
    folder = detector_environment.environment_folder()
    folder.mkdir(parents=True)
    (folder / "ready").touch()
    assert detector_environment._is_ready(folder)
    folder.chmod(0o777)
    assert not detector_environment._is_ready(folder)


def test_every_child_python_is_isolated():
    """Each place that starts this interpreter or another Python gives it -I, or at least -P."""
    sources = [path for name in ("rgb_core", "rgb_cli", "submodules") for path in (ROOT / name).rglob("*.py")]
    starts = [
        [ast.unparse(part) for part in node.elts]
        for path in sources
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.List) and node.elts and re.search(r"python|sys\.executable", ast.unparse(node.elts[0]))
    ]
    assert len(starts) >= 4
    assert [start for start in starts if start[1] not in ("'-I'", "'-P'")] == []


class _Trap:
    """A pickle that leaves a mark when it is loaded."""

    def __init__(self, mark: Path):
        self._mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch '{self._mark}'",)


def _flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :]

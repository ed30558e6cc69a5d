"""`rgb doctor` finds what is there and says what to do about what is not."""

import importlib
import importlib.util
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from kernel_runtime.cuda import CudaModule

doctor = importlib.import_module("rgb_cli.commands.doctor")  # the package has a function of this name


def program(path: Path, body: str) -> None:
    path.write_text(f"#!{sys.executable}\n{body}\n")
    path.chmod(0o755)


def test_head_files_are_found_in_the_usual_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RGB_HEADS", os.pathsep.join([str(tmp_path / "a"), str(tmp_path / "b")]))
    assert "no FLAME in" in doctor._head_models()
    assert "register at" in doctor._head_models()
    places = ["b/deep/FLAME2020/generic_model.pkl", "assets/flame2023_no_jaw.pkl", "home/.cache/rgb/FLAME2023.npz"]
    for place in [*places, "b/far/too/deep/generic_model.pkl", "assets/other.pkl"]:
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).touch()
    found = doctor._head_models().split(", ")
    assert {Path(path).resolve() for path in found} == {tmp_path / place for place in places}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("print('570.86.15')", "570.86.15"),
        ("raise SystemExit(9)", "BROKEN: nvidia-smi sees no GPU"),
        ("import time; time.sleep(9)", "BROKEN: nvidia-smi does not answer"),
    ],
)
def test_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, says: str):
    program(tmp_path / "nvidia-smi", body)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(doctor, "_DRIVER_SECONDS", 0.5)
    assert doctor._driver().startswith(says)
    (tmp_path / "nvidia-smi").unlink()
    assert "install its driver" in doctor._driver()


def test_missing_packages_say_how_to_get_them(monkeypatch: pytest.MonkeyPatch):
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    assert "pip install" in doctor._version("torch", doctor._INSTALL)


def test_an_ffmpeg_without_h264_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    program(tmp_path / "ffmpeg", "print('ffmpeg version 1')")
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "ffmpeg"))
    assert "cannot write H.264" in doctor._video()


def test_a_cache_that_cannot_be_used_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RGB_CACHE_DIR", str(tmp_path / "mine"))
    assert doctor._cache() == f"{tmp_path / 'mine'} (empty; --clear-caches deletes it)"
    (tmp_path / "file").touch()
    monkeypatch.setenv("RGB_CACHE_DIR", str(tmp_path / "file"))
    assert "is no folder" in doctor._cache()
    assert "set RGB_CACHE_DIR" in doctor._cache()


def test_caches_are_listed_and_deleted_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RGB_CACHE_DIR", str(tmp_path))
    for name, size in (("numba/a/b", 3_000_000), ("mediapipe-1-py3/ready", 1_400_000), ("notes/mine", 9)):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(bytes(size))
    assert "(mediapipe-1-py3 1 MB, numba 3 MB; " in doctor._cache()
    doctor.doctor(clear_caches=True, as_json=True)
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]
    assert "(empty; " in doctor._cache()


def test_without_a_home_nothing_ends_in_a_traceback(monkeypatch: pytest.MonkeyPatch):
    def homeless(_: object = None) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    monkeypatch.delenv("RGB_CACHE_DIR", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(os, "environ", {"PATH": os.environ["PATH"], "HOME": "/nonexistent"})
    doctor.head_folders()
    doctor._cache()


@pytest.mark.skipif(importlib.util.find_spec("cuda") is None, reason="needs cuda-core and nvidia-cuda-nvrtc")
def test_kernels_are_compiled_ahead_without_a_gpu(tmp_path: Path, monkeypatch):
    from kernel_runtime import ahead
    from training_kernels import cuda

    monkeypatch.setenv("RGB_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(ahead, "PACKAGES", ("training_kernels",))
    modules = [module for module in CudaModule.registry if module.source.package == cuda.__name__.split(".")[0]]
    monkeypatch.setattr(CudaModule, "registry", modules)
    kernels = sum(len(module.kernels) for module in modules)
    assert doctor._warm("sm_90").startswith(f"{kernels} for sm_90 in ")
    assert len(list((tmp_path / "cubins").iterdir())) == sum(len(module.units()) for module in modules)
    assert doctor._warm("sm_1").startswith("BROKEN: training_kernels/")


_WARM = """
import importlib
from kernel_runtime.jit import parallel_kernels
assert importlib.import_module("rgb_cli.commands.doctor")._warm("cpu").endswith(" s")
declared = [kernel for kernel, usual in parallel_kernels.items() if usual]
assert all(kernel._cache.holds_anything() for kernel in declared)
"""


def test_kernels_of_the_cpu_are_compiled_ahead():
    """In a process of its own: caches stay where they were when their kernels were imported."""
    done = subprocess.run([sys.executable, "-c", _WARM], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

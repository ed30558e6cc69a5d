"""The CUDA kernels of an optimisation step run as host code, without a GPU."""

import shutil

import pytest
from emulation import Emulator
from kernel_runtime.cuda import Kernel
from step_checks import (
    check_attaching,
    check_moves,
    check_priors,
    check_similarity,
    check_steps_of_rows,
    check_unevenness,
)

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")


@pytest.fixture(scope="module")
def emulator(tmp_path_factory) -> Emulator:
    return Emulator(tmp_path_factory.mktemp("emulation"))


@pytest.fixture(autouse=True)
def on_emulation(emulator, monkeypatch):
    monkeypatch.setattr(Kernel, "launch", lambda kernel, *args: emulator.launch(kernel, *args))


@pytest.mark.parametrize("points", [1, 255, 700])
def test_priors(points: int):
    check_priors("cpu", points)


def test_unevenness():
    check_unevenness("cpu")


@pytest.mark.parametrize(("points", "frames"), [(1, 1), (300, 3), (700, 50)])
def test_moves(points: int, frames: int):
    check_moves("cpu", points, frames)


def test_attaching():
    check_attaching("cpu")


@pytest.mark.parametrize("shape", [(16, 16, 1), (37, 50, 3), (5, 4, 2)])
def test_similarity(shape: tuple[int, ...]):
    check_similarity("cpu", shape)


@pytest.mark.parametrize("rows", [0, 1, 500])
def test_steps_of_rows(rows: int):
    check_steps_of_rows("cpu", rows)

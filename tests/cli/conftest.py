"""A synthetic subject and its avatar, small enough to make in seconds, shared by all tests of the command line."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TINY = [
    "--set", "synthetic.frames=6",
    "--set", "synthetic.test_frames=2",
    "--set", "synthetic.size=64",
    "--set", "synthetic.samples=1",
    "--set", "synthetic.shadow_rays=4",
    "--set", "synthetic.ground_truth_every=2",
    "--set", "synthetic.relight=[sun]",
    "--set", "geometry.image_size=64",
    "--set", "geometry.steps=6",
    "--set", "geometry.batch=2",
    "--set", "gaussians.image_size=64",
    "--set", "gaussians.steps=24",
    "--set", "gaussians.gaussians=600",
    "--set", "gaussians.checkpoint_every=8",
    "--set", "gaussians.density.interval=10",
    "--set", "gaussians.density.max_gaussians=700",
]  # fmt: skip


def run_rgb(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    code = "from rgb_cli.app import main; main()"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    """The folder of a tiny `rgb demo` and what it printed as JSON."""
    out = tmp_path_factory.mktemp("demo") / "out"
    result = run_rgb("demo", "-o", out, "--quiet", "--json", *TINY)
    assert result.returncode == 0, result.stderr
    return out, json.loads(result.stdout)


@pytest.fixture
def copied_dataset(demo: tuple[Path, dict], tmp_path: Path) -> Path:
    """A copy of the demo's dataset to damage."""
    return Path(shutil.copytree(demo[0] / "dataset", tmp_path / "dataset"))

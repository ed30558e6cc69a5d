"""What the tests of the command line share."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def copied_dataset(demo: tuple[Path, dict], tmp_path: Path) -> Path:
    """A copy of the demo's dataset to damage."""
    return Path(shutil.copytree(demo[0] / "dataset", tmp_path / "dataset"))

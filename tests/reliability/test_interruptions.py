"""Every command that takes long is killed four times and runs out of room, and continues to the same files."""

import random
from pathlib import Path

import pytest

from tests.commands import server

from .interruptions import Trial, commands


@pytest.mark.parametrize("name", commands(Path()))
def test_kills_and_a_full_disk_change_nothing(demo: tuple[Path, dict], tmp_path: Path, name: str):
    trial = Trial(commands(demo[0])[name], tmp_path, server())
    assert trial.killed(4, random.Random(f"{name} 0")) == []
    assert trial.short_files(trial.bytes // 20) == []

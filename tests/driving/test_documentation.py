"""What people will copy from the documentation drives an avatar."""

from pathlib import Path

import pytest

from rgb_core.avatar import Avatar
from rgb_core.driving import DriveOptions, load_motion
from rgb_core.progress import Silent
from tests.documentation.blocks import DOCS, Block, blocks_of

EXAMPLES = [block for block in blocks_of(DOCS / "driving.md") if block.language in ("json", "yaml")]


@pytest.mark.parametrize("block", EXAMPLES, ids=str)
def test_the_examples_are_read(avatar: Avatar, tmp_path: Path, block: Block):
    path = tmp_path / f"example.{block.language}"
    path.write_text(block.code)
    motion = load_motion(path, avatar, DriveOptions(tmp_path / "work"), Silent())
    jaw = motion.poses.expression[:, avatar.head.expression_index("jawOpen")]
    assert float(jaw.max() - jaw.min()) > 0.4


def test_there_is_an_example_of_each_file():
    assert {block.language for block in EXAMPLES} == {"json", "yaml"}

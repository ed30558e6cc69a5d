"""The list of what keeps which promise names tests that exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIST = ROOT / "docs" / "reliability_tests.md"


def test_every_test_of_the_list_exists():
    named, sources = 0, ""
    for mention in re.findall(r"`([^`]+)`", LIST.read_text(encoding="utf-8")):
        path, _, name = mention.partition("::")
        if path.startswith("tests/"):
            sources = (ROOT / path).read_text(encoding="utf-8")
        if name:  # without a path it lies in the file before
            named += 1
            assert f"def {name}(" in sources, mention
    assert named > 40

"""The head that ships with the package: MakeHuman's, CC0 (see LICENCE.md beside it)."""

import functools
from pathlib import Path

from ..model import HeadModel
from ..storage import load_head

BUILTIN_HEAD = Path(__file__).with_name("head.npz")


@functools.cache
def builtin_head() -> HeadModel:
    """The built-in head: 52 ARKit expressions, joints root, neck, jaw, left_eye, right_eye."""
    return load_head(BUILTIN_HEAD)

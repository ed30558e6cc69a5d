"""Five hundred inputs made by chance: each is read, or refused in one sentence."""

from .generated import TARGETS, faults

COUNT = 504


def test_five_hundred_generated_inputs():
    assert COUNT % len(TARGETS) == 0
    assert list(faults(COUNT, seed=0)) == []

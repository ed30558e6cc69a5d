"""The kernels of an optimisation step on a GPU; their emulated twins have the same checks."""

import pytest
import torch
from step_checks import (
    check_attaching,
    check_moves,
    check_priors,
    check_similarity,
    check_steps_of_rows,
    check_unevenness,
)

POINTS = [1, 255, 700, 20_000]
MOVES = [(1, 1), (300, 3), (20_000, 200)]
SHAPES = [(16, 16, 1), (37, 50, 3), (5, 4, 2), (300, 300, 3)]
ROWS = [0, 1, 500, 100_000]

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU"),
]


@pytest.mark.parametrize("points", POINTS)
def test_priors(points: int):
    check_priors("cuda", points)


def test_unevenness():
    check_unevenness("cuda")


@pytest.mark.parametrize(("points", "frames"), MOVES)
def test_moves(points: int, frames: int):
    check_moves("cuda", points, frames)


def test_attaching():
    check_attaching("cuda")


@pytest.mark.parametrize("shape", SHAPES)
def test_similarity(shape: tuple[int, ...]):
    check_similarity("cuda", shape)


@pytest.mark.parametrize("rows", ROWS)
def test_steps_of_rows(rows: int):
    check_steps_of_rows("cuda", rows)

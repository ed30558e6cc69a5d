"""An avatar on the built-in head that was never fitted."""

from dataclasses import replace

import pytest
import torch

from rgb_core.avatar import Avatar
from rgb_core.avatar.trained_range import TrainedRange
from rgb_core.benchmarking.scenes import bench_avatar
from rgb_core.progress import Silent


class Told(Silent):
    """Keeps what the user was told."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def message(self, text: str) -> None:
        self.messages.append(text)


@pytest.fixture(scope="session")
def avatar() -> Avatar:
    """Saw every expression from 0 to 0.9, no joint but the root, and a resting face at 0."""
    base = bench_avatar(200)
    expressions, joints = len(base.head.expression_names), base.head.joint_count
    still = torch.zeros(joints, 3)
    return replace(
        base, trained=TrainedRange(torch.zeros(expressions), torch.full((expressions,), 0.9), torch.zeros(expressions),
                                   still, still)
    )  # fmt: skip

"""The protocol of `rgb eval --refine`: each test frame's pose and expression refined on its own picture."""

from collections.abc import Callable, Mapping, Sequence

import torch

from ..avatar import Avatar
from ..data import Dataset, Frame
from ..heads import Pose
from ..progress import Progress
from .config import RetrackingConfig, RetrackingWeights
from .refine import refine_frames

SWEEPS = 50
PROTOCOL = RetrackingConfig(sweeps=SWEEPS, image_size=512, levels=3, losses=RetrackingWeights(temporal=0.0))
"""Frames know nothing of each other; otherwise as the clip is tracked again, up to the size of the scores."""


def on_test_pictures(
    avatar: Avatar, dataset: Dataset, progress: Progress, device: torch.device
) -> Callable[[Sequence[Frame]], Mapping[str, Pose]]:
    """What refines test frames in at most SWEEPS steps; nothing else of the avatar changes."""
    return lambda frames: refine_frames(avatar, dataset, frames, PROTOCOL, progress, device)

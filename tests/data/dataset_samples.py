"""A native dataset of three tiny frames, made in milliseconds."""

from pathlib import Path

import torch

from rgb_core.data import DatasetWriter
from rgb_core.heads import HeadModel, Pose
from rgb_core.scene import Camera

SIZE = (16, 12)
IDS = ("00000", "00001", "00002")
# OpenCV: the head at the origin, seen from 1 m along +z, y down.
CAMERA = Camera((40.0, 40.0, 8.0, 6.0), torch.tensor([[1.0, 0, 0, 0], [0, -1, 0, 0], [0, 0, -1, 1]]), *SIZE)


def tiny_head() -> HeadModel:
    """A tetrahedron with two expressions and two joints."""
    return HeadModel(
        name="tiny",
        vertices=torch.tensor([[0.0, 0, 0], [0.1, 0, 0], [0, 0.1, 0], [0, 0, 0.1]]),
        faces=torch.tensor([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]]),
        shape_basis=torch.zeros(1, 4, 3),
        expression_basis=torch.zeros(2, 4, 3),
        expression_names=("smile", "frown"),
        pose_basis=torch.zeros(0, 4, 3),
        joint_positions=torch.tensor([[0.0, -0.1, 0], [0, 0, 0.05]]),
        joint_parents=torch.tensor([-1, 0]),
        joint_names=("root", "jaw"),
        skin_weights=torch.tensor([[1.0, 0]] * 4),
        region=torch.zeros(4, dtype=torch.uint8),
    )


def write_dataset(folder: Path) -> Path:
    """Two training frames with labels and a test frame without, noise for pixels, one environment map."""
    writer = DatasetWriter(folder, "tiny", SIZE, 25.0, tiny_head())
    for index, name in enumerate(IDS):
        pixels = torch.randint(0, 256, (SIZE[1], SIZE[0], 4), generator=torch.Generator().manual_seed(index))
        labels = torch.full((SIZE[1], SIZE[0]), index + 1, dtype=torch.uint8) if index < 2 else None
        pose = Pose(torch.tensor([0.5, 0.25]), torch.full((2, 3), 0.1 * index), torch.tensor([0, 0, 0.01 * index]))
        split = "train" if index < 2 else "test"
        writer.add_frame(name, split, CAMERA, pose, pixels.to(torch.uint8), labels)
    writer.add_envmap("noon", torch.ones(3, 4, 8))
    writer.finish()
    return folder

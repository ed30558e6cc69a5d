"""How well an avatar tracks the frames that it was fitted to, after their poses were put off by a known amount.

Usage: python benchmarks/retracking.py AVATAR DATASET [--frames N] [--size PIXELS] [--device NAME]

Every test frame's joints are turned by 1.1 degrees per axis, its head moved by 1.5 mm and its expressions changed by
0.08 (standard deviations). Distances are those of the skin's vertices in the picture, from where the dataset has them.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import torch

from rgb_core.avatar import Avatar, load_avatar
from rgb_core.data import Frame, load_dataset
from rgb_core.devices import resolve_device
from rgb_core.heads import Pose
from rgb_core.heads.regions import Region
from rgb_core.progress import Silent
from rgb_core.retracking import RetrackingConfig, refine_frames

_TURN, _SHIFT, _EXPRESSION = 0.02, 0.0015, 0.08  # radians, metres, coefficient


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("avatar", type=Path)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    avatar, dataset = load_avatar(arguments.avatar), load_dataset(arguments.dataset)
    frames = list(dataset.frames("test"))[: arguments.frames]
    generator = torch.Generator().manual_seed(0)
    moved = [replace(frame, pose=disturbed(frame.pose, generator)) for frame in frames]
    config = RetrackingConfig(image_size=arguments.size)
    found = refine_frames(avatar, dataset, moved, config, Silent(), resolve_device(arguments.device))
    for name, poses in (("before", {frame.id: frame.pose for frame in moved}), ("after", found)):
        distances = torch.tensor([distance(avatar, frame, poses[frame.id]) for frame in frames])
        print(f"{name}: {distances.mean():.2f} pixels, {distances.max():.2f} at most, over {len(frames)} frames")


def disturbed(pose: Pose, generator: torch.Generator) -> Pose:
    """A pose that is off."""
    expression, joints, translation = (torch.randn(values.shape, generator=generator) for values in pose.tensors)
    return Pose(
        (pose.expression + _EXPRESSION * expression).clamp_min(0),
        pose.joints + _TURN * joints,
        pose.translation + _SHIFT * translation,
    )


def distance(avatar: Avatar, frame: Frame, pose: Pose) -> float:
    """Mean distance of the skin in two poses, pixels of the dataset's pictures."""
    camera = frame.camera.with_scaled_focal(avatar.focal_scale)
    skin = avatar.head.region == Region.SKIN
    places = [camera.project(avatar.head.pose(each).vertices[skin])[0] for each in (pose, frame.pose)]
    return float((places[0] - places[1]).norm(dim=1).mean())


if __name__ == "__main__":
    main()

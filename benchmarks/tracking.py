"""What `rgb track` makes of a video: landmark errors, overlap, jitter, time; against the truth where there is one.

Usage: python benchmarks/tracking.py VIDEO                      figures of quality.json, time of the whole command
       python benchmarks/tracking.py DATASET [--head HEAD.npz]  a synthetic dataset as a bare video over grey: errors of
                                                                pose (after rigid alignment) and ARKit expressions
       ... --keep FOLDER                                        the tracked dataset stays there
       python benchmarks/tracking.py DATASET --tracked FOLDER --poses GEOMETRY
                                                                the same errors of what `rgb retrack` made of FOLDER

The first run installs the face detector; its time is not counted.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from rgb_core.data import Dataset, Frame, load_dataset
from rgb_core.geometry import load_geometry
from rgb_core.heads import builtin_head, load_head
from rgb_core.heads.arkit import arkit_parts
from rgb_core.heads.pose import skull_rotation
from rgb_core.images.video import write_video
from rgb_core.progress import Silent
from rgb_core.rotations import axis_angle_to_matrix
from rgb_core.tracking import track
from rgb_core.tracking.detect.detector import start_detector

GREY = 150


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("--head", type=Path)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--tracked", type=Path)
    parser.add_argument("--poses", type=Path)
    arguments = parser.parse_args()
    if arguments.tracked:
        known, clip = (load_dataset(folder, pictures=False) for folder in (arguments.source, arguments.tracked))
        compare(known, clip, load_geometry(arguments.poses).refined(clip.all_frames))
        return
    head = load_head(arguments.head) if arguments.head else builtin_head()
    with start_detector(Silent()), tempfile.TemporaryDirectory() as folder:
        video = arguments.source
        truth = load_dataset(video) if video.is_dir() else None
        if truth is not None:
            video = Path(folder) / "clip.mp4"
            write_video(video, over_grey(truth), 25.0, 9.5)
        start = time.perf_counter(), os.times()
        tracked = track(video, arguments.keep or Path(folder) / "out", head, Silent())
        wall, before, after = time.perf_counter() - start[0], start[1], os.times()
        seconds = sum(after[:4]) - sum(before[:4])
        print(f"{len(tracked.dataset.all_frames)} frames in {wall:.0f} s, {seconds:.0f} s of processor time")
        for part, errors in tracked.quality["landmark_error_px"].items():
            print(f"landmarks, {part:8} median {errors['median']:.2f} px, 95th percentile {errors['p95']:.2f} px")
        for key in ("face_overlap", "jitter", "coverage", "focal_px", "picture_size"):
            print(key, json.dumps(tracked.quality[key]))
        if truth is not None:
            compare(truth, tracked.dataset, tracked.dataset.all_frames)


def over_grey(dataset: Dataset) -> Iterator[Tensor]:
    """The dataset's pictures over grey."""
    for frame in dataset.all_frames:
        rgba = dataset.load_rgba(frame).float()
        alpha = rgba[..., 3:] / 255
        yield (rgba[..., :3] * alpha + (1 - alpha) * GREY).round().byte()


def compare(truth: Dataset, tracked: Dataset, frames: Sequence[Frame]) -> None:
    """Print the pose error, after the best constant rotation between the two head frames, and expression errors."""
    exact = json.loads((truth.folder / "ground_truth" / "coefficients.json").read_text())["frames"]
    known = [truth.all_frames[int(frame.id)] for frame in frames]
    joint_names = tracked.head.joint_names
    turned = [
        torch.stack(
            [frame.camera.world_to_camera[:, :3].double() @ matrix for frame, matrix in zip(some, roots, strict=True)]
        )
        for some, roots in (
            (known, axis_angle_to_matrix(torch.tensor([exact[frame.id]["root"] for frame in known]).double())),
            (frames, skull_rotation(torch.stack([frame.pose.joints for frame in frames]).double(), joint_names)),
        )
    ]
    left, _, right = torch.linalg.svd((turned[0].mT @ turned[1]).sum(0))
    constant = left @ torch.diag(torch.tensor([1.0, 1.0, float(torch.linalg.det(left @ right))]).double()) @ right
    difference = (turned[0] @ constant).mT @ turned[1]
    angle = ((difference.diagonal(dim1=1, dim2=2).sum(1) - 1) / 2).clamp(-1, 1).acos().rad2deg()
    most = angle.quantile(0.95)
    print(f"pose error mean {angle.mean():.2f}, median {angle.median():.2f}, 95th percentile {most:.2f} deg")
    true = torch.tensor([exact[frame.id]["expression"] for frame in known])
    found = torch.stack([frame.pose.expression for frame in frames])
    names = tracked.head.expression_names
    print(f"{'expression':18} mean error  correlation  true mean")
    errors = []
    for index, name in enumerate(truth.head.expression_names):
        same = [place for place, other in enumerate(names) if arkit_parts(name) & arkit_parts(other)]
        if same:
            pair = torch.stack([found[:, same].amax(1), true[:, index]])
            errors.append((pair[0] - pair[1]).abs().mean())
            print(f"{name:18} {errors[-1]:10.3f} {torch.corrcoef(pair)[0, 1]:12.2f} {pair[1].mean():10.3f}")
    print(f"{'all':18} {torch.stack(errors).mean():10.3f} {'':12} {true.mean():10.3f}")


if __name__ == "__main__":
    main()

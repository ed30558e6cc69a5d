"""How well the collar's line of a tracked clip agrees with one that was marked by hand in twenty of its frames.

Usage: python benchmarks/collar.py DATASET [--marks MARKS.json]     DATASET is what `rgb track` wrote for that clip

Marks are lines by number of the video's frame, [x, y] in its pixels from the head's right to its left side. Above the
line, between its ends, is the neck; `matte` is compared with that from the height of the line's upper ends down.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from rgb_core.data import load_dataset

MARKS = Path(__file__).with_name("collar_justin.json")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--marks", type=Path, default=MARKS)
    arguments = parser.parse_args()
    dataset = load_dataset(arguments.dataset)
    left, top, width, height = json.loads((arguments.dataset / "dataset.json").read_text())["source"]["crop"]
    scale = torch.tensor([dataset.width / width, dataset.height / height])
    overlaps, inside = [], []
    frames = {int(frame.id): frame for frame in dataset.all_frames}
    for number, line in json.loads(arguments.marks.read_text()).items():
        points = (torch.tensor(line) - torch.tensor([left, top])) * scale
        neck, considered = regions(points, dataset.width, dataset.height)
        shown = dataset.load_rgba(frames[int(number)])[..., 3] / 255
        kept = (shown > 0.5) & considered
        overlaps.append(float((kept & neck).sum() / (kept | neck).sum()))
        inside.append(float((shown * (considered & ~neck)).sum() / neck.sum()))
        print(
            f"frame {number:>5}: overlap {overlaps[-1]:.3f}, matte below the line {inside[-1]:.4f} of the neck's area"
        )
    print(
        f"overlap mean {sum(overlaps) / len(overlaps):.3f}, least {min(overlaps):.3f}; below {max(inside):.4f} at most"
    )


def regions(line: Tensor, width: int, height: int) -> tuple[Tensor, Tensor]:
    """bool [H, W]: the neck above a line [K, 2], and all that is considered, above and below it."""
    highest = float(torch.maximum(line[0, 1], line[-1, 1]))
    columns = (float(line[:, 0].min()), float(line[:, 0].max()))
    outline = [(columns[0], highest), *map(tuple, line.tolist()), (columns[1], highest)]
    neck = Image.new("1", (width, height))
    ImageDraw.Draw(neck).polygon(outline, fill=1)
    considered = torch.zeros(height, width, dtype=torch.bool)
    considered[round(highest) : round(float(line[:, 1].max())) + 12, round(columns[0]) : round(columns[1]) + 1] = True
    return torch.from_numpy(np.array(neck)) & considered, considered


if __name__ == "__main__":
    main()

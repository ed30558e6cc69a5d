"""What the whites of the eyes say of a clip's skin, before any fit: `python benchmarks/skin_level.py DATASET ...`.

Prints the albedo of the face (linear red, green, blue) that `rgb_core.training.whites` finds in every dataset, and the
true one where the dataset has true albedos: the mean over pixels labelled skin and nose.
"""

import argparse
from pathlib import Path

import torch

from rgb_core.data import Dataset, load_dataset
from rgb_core.images import srgb_bytes_to_linear
from rgb_core.images.png import read_png
from rgb_core.scene.labels import Label, has_label
from rgb_core.training.whites import skin_beside_whites


def true_skin(dataset: Dataset) -> torch.Tensor | None:
    """[3] mean true albedo of skin and nose over the frames that have one."""
    found = []
    for frame in dataset.frames("test"):
        path = dataset.folder / "ground_truth" / "albedo" / f"{frame.id}.png"
        labels = dataset.semantic(frame)
        if path.is_file() and labels is not None:
            rgba = read_png(path, 4, (dataset.width, dataset.height), torch.uint8)
            skin = has_label(labels, (Label.SKIN, Label.NOSE)) & (rgba[..., 3] == 255)
            found.append(srgb_bytes_to_linear(rgba[..., :3])[skin])
    return torch.cat(found).mean(0) if found else None


def main() -> None:
    """Print a line for every dataset."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", type=Path, nargs="+")
    for folder in parser.parse_args().datasets:
        dataset = load_dataset(folder)
        for name, albedo in (
            ("found", skin_beside_whites(dataset, dataset.frames("train"))),
            ("true", true_skin(dataset)),
        ):
            values = "-" if albedo is None else " ".join(f"{value:.3f}" for value in albedo.tolist())
            print(f"{folder.name:12s} {name:6s} {values}", flush=True)


if __name__ == "__main__":
    main()

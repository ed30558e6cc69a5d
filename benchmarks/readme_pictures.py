"""Draws the pictures of README.md: truth, avatar, its layers, and the avatar under other lights.

python benchmarks/readme_pictures.py AVATAR DATASET docs/images --frame 00168
"""

import argparse
from pathlib import Path

import torch

from rgb_core.avatar import load_avatar
from rgb_core.data import load_dataset
from rgb_core.images import linear_to_srgb, to_bytes, write_png
from rgb_core.images.compositing import prediction_on_black, truth_on_black
from rgb_core.images.contact_sheet import Tile, contact_sheet
from rgb_core.rendering import Renderer
from rgb_core.scene import Light

LIGHTS = ("studio", "window", "sunset", "ring", "sun")
TILE = 256


def main() -> None:
    """Write overview.png and lights.png."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("avatar", type=Path)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--frame", help="frame id; default the first test frame")
    arguments = parser.parse_args()
    dataset = load_dataset(arguments.dataset)
    renderer = Renderer(load_avatar(arguments.avatar))
    frame = dataset.frame(arguments.frame) if arguments.frame else dataset.frames("test")[0]
    width = min(TILE, dataset.width)
    size = (width, width * dataset.height // dataset.width)
    camera = dataset.camera(frame, size)

    drawn = renderer.render(frame.pose, camera, layers=("albedo", "roughness", "normal"))
    layers = [
        Tile(to_bytes(truth_on_black(dataset.load_rgba(frame, size))), "unseen test frame"),
        Tile(to_bytes(prediction_on_black(drawn.color, drawn.alpha)), "avatar"),
        Tile(to_bytes(linear_to_srgb(drawn.layers["albedo"])), "albedo"),
        Tile(to_bytes(drawn.layers["roughness"][..., None].expand(-1, -1, 3)), "roughness"),
        Tile(to_bytes((drawn.layers["normal"] + drawn.alpha[..., None]) / 2), "normals"),
    ]
    write_png(arguments.out / "overview.png", contact_sheet([layers]))
    rows: list[list[Tile]] = [[], []]
    for name in LIGHTS:
        light = Light.load(name)
        for row, shadows in zip(rows, (True, False), strict=True):
            lit = Renderer(renderer.avatar, shadows).render(frame.pose, camera, light)
            label = name if shadows else f"{name}, --no-visibility"
            row.append(Tile(to_bytes(prediction_on_black(lit.color, lit.alpha)), label))
    write_png(arguments.out / "lights.png", contact_sheet(rows))


if __name__ == "__main__":
    with torch.no_grad():
        main()

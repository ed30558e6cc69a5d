"""Draws an avatar to be looked at frame by frame: `python benchmarks/avatar_strips.py AVATAR OUT`.

OUT/turn.png: the head turning once while the hard sun goes around it. OUT/expressions.png: single expressions of the
face at half and at full strength. OUT/relit.png: the head turned by up to 20 degrees and with its lids half and fully
shut, a row for each light.
"""

import argparse
import math
from dataclasses import replace
from pathlib import Path

import torch

from rgb_core.avatar import Avatar, load_avatar
from rgb_core.devices import resolve_device
from rgb_core.filming import BLACK, Staging, draw_bytes
from rgb_core.heads import Pose
from rgb_core.images import write_png
from rgb_core.images.contact_sheet import Tile, contact_sheet
from rgb_core.rendering import Renderer, Shot, at_size, turned, turntable
from rgb_core.scene import Light

FRAMES, COLUMNS, SIZE = 24, 8, 256
RELIT, YAWS, LIDS = ("studio", "sunset", "sun"), (-20, -10, 0, 10, 20), (0.5, 1.0)
SHOWN = (
    "browInnerUp", "cheekPuff", "eyeBlink", "eyeLookIn", "jawLeft", "jawOpen", "mouthFunnel", "mouthLeft",
    "mouthPucker", "mouthSmile", "noseSneer",
)  # fmt: skip


def expression_shots(avatar: Avatar) -> list[tuple[str, Shot]]:
    """The portrait with one expression at a time, and its label."""
    portrait, shots = avatar.portrait, []
    for index, name in enumerate(avatar.head.expression_names):
        if name.startswith(SHOWN):
            for strength in (0.5, 1.0):
                expression = torch.zeros(len(avatar.head.expression_names))
                expression[index] = strength
                pose = Pose(expression, portrait.joints, portrait.translation)
                shots.append((f"{name} {strength}", Shot(pose, portrait.camera)))
    return shots


def relit_shots(avatar: Avatar) -> list[tuple[str, Shot]]:
    """The portrait turned, then blinking, and its label."""
    shots = [
        (f"{yaw} degrees", shot)
        for yaw, shot in zip(YAWS, turned(avatar, [math.radians(yaw) for yaw in YAWS]), strict=True)
    ]
    (still,) = turned(avatar, [0.0])
    lids = torch.tensor([float(name.startswith("eyeBlink")) for name in avatar.head.expression_names])
    for shut in LIDS:
        shots.append((f"lids {shut}", replace(still, pose=replace(still.pose, expression=shut * lids))))
    return shots


def write_relit(renderer: Renderer, path: Path) -> None:
    """One picture, a row for each light."""
    labelled = relit_shots(renderer.avatar)
    shots = at_size([shot for _, shot in labelled], SIZE)
    rows = []
    for name in RELIT:
        pictures = draw_bytes(renderer, shots, Staging((Light.load(name),), background=BLACK))
        rows.append([Tile(drawn, f"{name}, {label}") for drawn, (label, _) in zip(pictures, labelled, strict=True)])
    write_png(path, contact_sheet(rows))


def write_strip(renderer: Renderer, labelled: list[tuple[str, Shot]], staging: Staging, path: Path) -> None:
    """One picture of all shots, a tile each."""
    pictures = draw_bytes(renderer, at_size([shot for _, shot in labelled], SIZE), staging)
    tiles = [Tile(picture, label) for picture, (label, _) in zip(pictures, labelled, strict=True)]
    write_png(path, contact_sheet([tiles[i : i + COLUMNS] for i in range(0, len(tiles), COLUMNS)]))


def main() -> None:
    """Write all three pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("avatar", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    avatar = load_avatar(arguments.avatar)
    renderer = Renderer(avatar.to(resolve_device("auto")))
    turning = [(str(index), shot) for index, shot in enumerate(turntable(avatar, FRAMES))]
    sun = Staging((Light.load("sun"),), turns=1.0, background=BLACK)
    write_strip(renderer, turning, sun, arguments.out / "turn.png")
    write_strip(renderer, expression_shots(avatar), Staging(background=BLACK), arguments.out / "expressions.png")
    write_relit(renderer, arguments.out / "relit.png")


if __name__ == "__main__":
    main()

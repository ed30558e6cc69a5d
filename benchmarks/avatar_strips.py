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


def lit_by(name: str) -> Staging:
    """Under a built-in light, before black."""
    return Staging((Light.load(name),), background=BLACK)


def relit_shots(avatar: Avatar, light: str) -> list[tuple[str, Shot]]:
    """The portrait turned, then blinking, and its label."""
    shots = [
        (f"{light}, {yaw} degrees", shot)
        for yaw, shot in zip(YAWS, turned(avatar, [math.radians(yaw) for yaw in YAWS]), strict=True)
    ]
    (still,) = turned(avatar, [0.0])
    lids = torch.tensor([float(name.startswith("eyeBlink")) for name in avatar.head.expression_names])
    for shut in LIDS:
        shots.append((f"{light}, lids {shut}", replace(still, pose=replace(still.pose, expression=shut * lids))))
    return shots


def tiles(renderer: Renderer, labelled: list[tuple[str, Shot]], staging: Staging) -> list[Tile]:
    """A tile for each shot."""
    pictures = draw_bytes(renderer, at_size([shot for _, shot in labelled], SIZE), staging)
    return [Tile(picture, label) for picture, (label, _) in zip(pictures, labelled, strict=True)]


def in_rows(drawn: list[Tile]) -> list[list[Tile]]:
    """The same, COLUMNS in a row."""
    return [drawn[first : first + COLUMNS] for first in range(0, len(drawn), COLUMNS)]


def main() -> None:
    """Write all three pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("avatar", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    avatar = load_avatar(arguments.avatar)
    renderer = Renderer(avatar.to(resolve_device("auto")))
    turning = [(str(index), shot) for index, shot in enumerate(turntable(avatar, FRAMES))]
    sun = replace(lit_by("sun"), turns=1.0)
    shown = {
        "turn": in_rows(tiles(renderer, turning, sun)),
        "expressions": in_rows(tiles(renderer, expression_shots(avatar), Staging(background=BLACK))),
        "relit": [tiles(renderer, relit_shots(avatar, name), lit_by(name)) for name in RELIT],
    }
    for name, rows in shown.items():
        write_png(arguments.out / f"{name}.png", contact_sheet(rows))


if __name__ == "__main__":
    main()

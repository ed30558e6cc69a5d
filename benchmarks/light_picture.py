"""Draws which way the light of an avatar stands and turns: `python benchmarks/light_picture.py AVATAR docs/images`.

Every head is rendered as `rgb relight AVATAR --count 1` renders it with the options written below it.
"""

import argparse
import math
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from rgb_core.avatar import load_avatar
from rgb_core.filming import BLACK, Lamp, Plan, draw_bytes
from rgb_core.filming.lamps import lamp_map
from rgb_core.images import linear_to_srgb, to_bytes, write_hdr, write_png
from rgb_core.images.contact_sheet import Tile, contact_sheet
from rgb_core.rendering import Renderer, turntable

TILE, PANORAMA = 196, 2 * 196 + 6
PLACES = {"0,0": "#ff5040", "90,0": "#40d050", "180,0": "#5080ff", "-90,0": "#ffd040", "0,90": "#ffffff"}
"""Azimuth and elevation of the lamps, and the colour of each."""
MARKS = {90: "90 left +x", 0: "0 ahead +z", -90: "-90 right -x", 180: "180 behind -z"}


def main() -> None:
    """Write light_axes.png."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("avatar", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    renderer = Renderer(load_avatar(arguments.avatar))
    lamps = [Lamp.parse(f"{place},24,{colour},1") for place, colour in PLACES.items()]
    radiance = lamp_map(lamps, 256) + 0.03
    scratch = arguments.out / "light_axes_scratch.hdr"
    write_hdr(scratch, radiance.permute(1, 2, 0))
    try:
        rows = [
            [Tile(panorama(radiance), "pano.hdr: what is in its middle shines from the head's right"),
             Tile(from_above(), "the head from above")],
            [head(renderer, Plan(lamps=(lamp,)), f"--lamp {place},24,{colour},1")
             for lamp, (place, colour) in zip(lamps, PLACES.items(), strict=True)],
            [head(renderer, pano(scratch, yaw=yaw), f"-e pano.hdr --yaw {yaw}") for yaw in (0, 45, 90, 180, -90)],
            [*(head(renderer, Plan(lamps=(lamps[0],), pitch=math.radians(pitch)), f"--lamp 0,0 --pitch {pitch}")
               for pitch in (-45, 45)),
             *(head(renderer, pano(scratch, orbit=orbit), f"pano.hdr, --orbit at {orbit}") for orbit in (-45, 45, 90))],
        ]  # fmt: skip
    finally:
        scratch.unlink()
    write_png(arguments.out / "light_axes.png", contact_sheet(rows))


def pano(path: Path, yaw: float = 0, orbit: float = 0) -> Plan:
    """The panorama turned by degrees, or seen by a camera that has gone around the head by degrees."""
    return Plan(
        maps=(str(path),),
        yaw=math.radians(yaw),
        background=BLACK,
        orbit=2 * math.radians(orbit),  # the second of two pictures is halfway
    )


def head(renderer: Renderer, plan: Plan, label: str) -> Tile:
    """The portrait of the avatar in a film of two pictures without motion: the second one."""
    avatar = renderer.avatar
    (shot,) = turntable(avatar, 1)
    camera = shot.camera.resized(TILE, TILE)
    film = plan.film(avatar, [type(shot)(shot.pose, camera)] * 2, 1.0)
    return Tile([*draw_bytes(renderer, film.shots, film.staging)][1], label)


def panorama(radiance: Tensor) -> Tensor:
    """A map as a picture, with the azimuth of every quarter written into it."""
    small = torch.nn.functional.interpolate(radiance[None], (PANORAMA // 2, PANORAMA), mode="area")[0]
    image = Image.fromarray(to_bytes(linear_to_srgb(small / small.max())).permute(1, 2, 0).numpy())
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(11)
    for azimuth, text in MARKS.items():
        column = round(PANORAMA * ((90 - azimuth) % 360) / 360)
        draw.line([(column, 0), (column, image.height)], fill=(110, 110, 120))
        draw.text((column + 3, image.height - 34), text.replace(" ", "\n", 1), fill=(228, 228, 231), font=font)
    draw.line([(0, image.height // 2), (PANORAMA, image.height // 2)], fill=(110, 110, 120))
    return torch.from_numpy(np.array(image))


def from_above() -> Tensor:
    """The head from above, the camera below it, and where azimuths are."""
    height = PANORAMA // 2
    image = Image.new("RGB", (PANORAMA, height), (40, 40, 46))
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(11)
    x, y, arm, radius = PANORAMA // 2, height // 2, 62, 26
    draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=(200, 160, 140))
    draw.polygon([(x - 7, y + radius - 3), (x + 7, y + radius - 3), (x, y + radius + 10)], fill=(200, 160, 140))
    for (place, colour), (right, down) in zip(PLACES.items(), ((0, 1), (1, 0), (0, -1), (-1, 0)), strict=False):
        centre = x + right * arm, y + down * arm
        draw.ellipse([centre[0] - 8, centre[1] - 8, centre[0] + 8, centre[1] + 8], fill=colour)
        azimuth = int(place.split(",")[0])
        where = (centre[0] + (14 if right > 0 or down < 0 else -78), centre[1] - 7)
        draw.text(where, MARKS[azimuth], fill=(228, 228, 231), font=font)
    draw.arc([x - arm, y - arm, x + arm, y + arm], 14, 76, fill=(228, 228, 231), width=2)
    draw.text((x + arm - 14, y + arm - 18), "--yaw, --turns\nand --orbit", fill=(228, 228, 231), font=font)
    draw.rectangle([x - 10, height - 14, x + 10, height - 4], outline=(228, 228, 231))
    draw.text((x - 64, height - 16), "camera", fill=(228, 228, 231), font=font)
    return torch.from_numpy(np.array(image))


if __name__ == "__main__":
    with torch.no_grad():
        main()

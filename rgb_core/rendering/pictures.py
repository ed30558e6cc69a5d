"""Shots and lights to finished pictures: lit, composited over the environment or a plain colour, encoded."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from torch import Tensor
from torch.nn.functional import interpolate

from ..images import linear_to_srgb, to_bytes
from ..scene import Light
from .renderer import Renderer
from .shots import Shot

# Backgrounds are shown a quarter as sharp as the picture: light is what they are for, not detail.
_BACKGROUND_REDUCTION = 4


@dataclass(frozen=True)
class Staging:
    """How a sequence is lit and shown."""

    light: Light | None = None
    """None for the avatar's own."""
    turns: float = 0.0
    """Full turns of the light over the sequence."""
    yaw: float = 0.0
    """Radians that the light is turned by at the start."""
    exposure: float = 0.0
    """Stops."""
    background: bool = True
    """Show the environment instead of black."""


def render_pictures(renderer: Renderer, shots: list[Shot], staging: Staging, first: int = 0) -> Iterator[Tensor]:
    """sRGB pictures uint8 [H, W, 3] of the shots from number `first` on, in order."""
    gain = 2.0**staging.exposure
    at_rest = (renderer.light if staging.light is None else staging.light).to(renderer.device)
    for index in range(first, len(shots)):
        shot = shots[index]
        angle = staging.yaw + 2 * math.pi * staging.turns * index / len(shots)
        light = at_rest if angle == 0 else at_rest.rotated(angle)
        frame = renderer.render(shot.pose, shot.camera, light)
        color = frame.color
        if staging.background:
            # Shown no brighter than white: a sun behind the head would shine through the last percent of its opacity.
            behind = background(light, shot).clamp(max=1 / gain)
            color = color + (1 - frame.alpha[..., None]) * behind
        yield to_bytes(linear_to_srgb(color * gain)).cpu()


def background(light: Light, shot: Shot) -> Tensor:
    """The environment behind the head [H, W, 3]."""
    width, height = shot.camera.width, shot.camera.height
    small = shot.camera.resized(max(1, width // _BACKGROUND_REDUCTION), max(1, height // _BACKGROUND_REDUCTION))
    picture = light.background(small.to(light.radiance.device)).permute(2, 0, 1)[None]
    return interpolate(picture, (height, width), mode="bilinear", align_corners=False)[0].permute(1, 2, 0)


def at_size(shots: list[Shot], size: int | None) -> list[Shot]:
    """The shots with the longer side of their pictures `size` pixels; as they are where it is None."""
    if size is None:
        return shots
    resized = []
    for shot in shots:
        scale = size / max(shot.camera.width, shot.camera.height)
        camera = shot.camera.resized(round(shot.camera.width * scale), round(shot.camera.height * scale))
        resized.append(replace(shot, camera=camera))
    return resized

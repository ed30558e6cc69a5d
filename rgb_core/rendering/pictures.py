"""Shots and lights to finished pictures: lit, composited over the environment or a plain colour, encoded."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch

from ..images import linear_to_srgb, to_bytes
from ..scene import light as environment
from .renderer import AvatarRenderer
from .shots import Shot

# Backgrounds are shown a quarter as sharp as the picture: light is what they are for, not detail.
_BACKGROUND_REDUCTION = 4


@dataclass(frozen=True)
class Staging:
    """How a sequence is lit and shown."""

    envmap: torch.Tensor | None = None  # [3, H, W]; None for the avatar's own light
    turns: float = 0.0  # full turns of the light over the sequence
    yaw: float = 0.0  # radians, turn of the light at the start
    exposure: float = 0.0  # stops
    background: bool = True  # show the environment instead of black


def render_pictures(renderer: AvatarRenderer, shots: list[Shot], staging: Staging) -> Iterator[torch.Tensor]:
    """sRGB pictures uint8 [H, W, 3] of the shots, in order."""
    gain = 2.0**staging.exposure
    for index, shot in enumerate(shots):
        envmap = None if staging.envmap is None else staging.envmap.to(renderer.device)
        angle = staging.yaw + 2 * math.pi * staging.turns * index / len(shots)
        if envmap is None and angle != 0.0:
            envmap = renderer.light
        if envmap is not None and angle != 0.0:
            envmap = environment.rotate(envmap, angle)
        frame = renderer.render(shot, shot.camera, envmap)
        color = frame.color
        if staging.background:
            behind = _background(renderer.light if envmap is None else envmap, shot)
            # Shown no brighter than white: a sun behind the head would shine through the last percent of its opacity.
            color = color + (1 - frame.alpha[..., None]) * behind.clamp(max=1 / gain)
        yield to_bytes(linear_to_srgb(color * gain)).cpu()


def _background(envmap: torch.Tensor, shot: Shot) -> torch.Tensor:
    """The environment behind the head [H, W, 3]."""
    width, height = shot.camera.width, shot.camera.height
    small = shot.camera.resized(max(1, width // _BACKGROUND_REDUCTION), max(1, height // _BACKGROUND_REDUCTION))
    picture = environment.background(envmap, small).permute(2, 0, 1)[None]
    return torch.nn.functional.interpolate(picture, (height, width), mode="bilinear", align_corners=False)[0].permute(
        1, 2, 0
    )


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

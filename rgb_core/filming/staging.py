"""Shots and lights to pictures: lit, exposed, and before their background."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..images import linear_to_srgb, unpremultiply
from ..rendering import LAYERS, Renderer, Shot, Shows
from ..scene import Light
from .backgrounds import BLUR, Backdrop, Background
from .lights import light_at

PICTURE = "frames"
"""The name of the picture itself among the layers of a film."""


@dataclass(frozen=True, eq=False)
class Staging:
    """How a film is lit and shown."""

    lights: tuple[Light, ...] = ()
    """One after the other, see `lights.light_at`; none for the avatar's own."""
    yaw: float = 0.0
    """Radians that the light is turned by at the start; see `Light.rotated`."""
    pitch: float = 0.0
    """Radians that the light is raised by."""
    turns: float = 0.0
    """Full turns of the light over the film, whose last picture is one step before the first."""
    exposure: float = 0.0
    """Stops."""
    background: Background = BLUR

    @property
    def gain(self) -> float:
        """What linear light is multiplied by."""
        return 2.0**self.exposure


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture of a film or of one of its layers."""

    pixels: Tensor
    """[H, W, 3] before its background, or [H, W, 4] over nothing and premultiplied; as `shows` says."""
    shows: Shows

    def linear(self) -> Tensor:
        """The values themselves, for files that hold numbers of any size."""
        return self.pixels

    def encoded(self, most: int) -> Tensor:
        """What a screen shows: sRGB with straight alpha, int32 [H, W, 3 or 4] in 0 to `most`, rounded."""
        color, alpha = self.pixels[..., :3], self.pixels[..., 3:]
        if alpha.shape[-1]:
            color = unpremultiply(self.pixels)[..., :3]
        if self.shows in (Shows.LIGHT, Shows.COLOUR):
            color = linear_to_srgb(color)
        elif self.shows is Shows.DIRECTION:
            color = (color + 1) / 2
        return (torch.cat([color, alpha], -1).clamp(0, 1) * most + 0.5).int()


def draw(
    renderer: Renderer, shots: Sequence[Shot], staging: Staging, layers: Sequence[str] = (), first: int = 0
) -> Iterator[dict[str, Picture]]:
    """The shots from number `first` on, in order: each its picture, by the name PICTURE, and its `layers` by theirs.

    Layers stand before black; light among them is exposed as the picture is.
    """
    lights = [light.to(renderer.device) for light in staging.lights or (renderer.light,)]
    backdrop = Backdrop(staging.background)
    for index in range(first, len(shots)):
        shot = shots[index]
        light = light_at(lights, index / max(len(shots) - 1, 1))
        yaw = staging.yaw + 2 * math.pi * staging.turns * index / len(shots)
        if yaw or staging.pitch:
            light = light.rotated(yaw, staging.pitch)
        frame = renderer.render(shot.pose, shot.camera, light, layers)
        alpha = frame.alpha[..., None]
        color = staging.gain * frame.color
        if not staging.background.transparent:
            lens = shot.camera.with_scaled_focal(renderer.avatar.focal_scale)
            color = color + (1 - alpha) * backdrop.picture(light, lens, staging.gain)
        drawn = {PICTURE: _picture(color, alpha, Shows.LIGHT, staging)}
        for name in layers:
            shows, values = LAYERS[name].shows, frame.layers[name]
            if shows is Shows.LIGHT:
                values = staging.gain * values
            drawn[name] = _picture(values, alpha, shows, staging)
        yield drawn


def draw_bytes(renderer: Renderer, shots: Sequence[Shot], staging: Staging) -> Iterator[Tensor]:
    """The pictures of the shots as they are shown, uint8 [H, W, 3 or 4] on the CPU."""
    for drawn in draw(renderer, shots, staging):
        yield drawn[PICTURE].encoded(255).to(torch.uint8).cpu()


def _picture(values: Tensor, alpha: Tensor, shows: Shows, staging: Staging) -> Picture:
    """Premultiplied values [H, W, 3] or [H, W] over nothing, or over black."""
    color = values if values.ndim == 3 else values[..., None].expand(-1, -1, 3)
    return Picture(torch.cat([color, alpha], -1) if staging.background.transparent else color, shows)

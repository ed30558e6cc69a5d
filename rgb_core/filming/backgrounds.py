"""What stands behind the head: a colour, the light sharp or blurred, or nothing."""

from dataclasses import dataclass, replace
from enum import Enum

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate, pad

from ..errors import InputError
from ..images.color_text import NAMED, parse_color
from ..scene import Camera, Light
from ..scene.light import resample

_BLURRED_ROWS = 24  # of the map that is shown blurred: 7.5 degrees a texel
_SMOOTH = 4  # times finer that it is interpolated to, so that no texel shows
_BORDER = 4  # texels beyond the seam that the interpolation sees


class Behind(Enum):
    """The kinds of backgrounds."""

    COLOUR = "colour"
    MAP = "map"
    BLUR = "blur"
    NONE = "none"


@dataclass(frozen=True)
class Background:
    """A background of a film."""

    kind: Behind
    color: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Linear, of Behind.COLOUR; it is shown as it is, whatever the exposure."""

    @property
    def transparent(self) -> bool:
        """Whether pictures have an alpha channel."""
        return self.kind is Behind.NONE

    @classmethod
    def parse(cls, text: str) -> "Background":
        """`map`, `blur`, `none`, or a colour.

        Raises:
            InputError: when it is none of them.
        """
        for kind in (Behind.MAP, Behind.BLUR, Behind.NONE):
            if text == kind.value:
                return cls(kind)
        if not text.startswith("#") and text.lower() not in NAMED:
            raise InputError(
                f"--background '{text}' is neither map, blur, none, a #rrggbb nor one of {', '.join(NAMED)}"
            )
        red, green, blue = parse_color(text, "--background").tolist()
        return cls(Behind.COLOUR, (red, green, blue))


BLACK = Background(Behind.COLOUR)
BLUR = Background(Behind.BLUR)


class Backdrop:
    """Draws a background, and keeps the map that it blurred last."""

    def __init__(self, background: Background):
        self._background = background
        self._map: tuple[Tensor, Tensor] | None = None

    def picture(self, light: Light, camera: Camera, gain: float) -> Tensor:
        """What is behind the head, linear and exposed by `gain`, [H, W, 3] or [3].

        The light is shown no brighter than white: a sun behind the head would shine through the last percent of its
        opacity.
        """
        if self._background.kind in (Behind.COLOUR, Behind.NONE):
            return torch.tensor(self._background.color, device=light.radiance.device)
        if self._background.kind is Behind.BLUR:
            if self._map is None or self._map[0] is not light.radiance:
                self._map = light.radiance, _blurred(light.radiance)
            light = replace(light, radiance=self._map[1])
        return (gain * light.background(camera.to(light.radiance.device))).clamp(max=1)


def _blurred(radiance: Tensor) -> Tensor:
    """A map without anything smaller than some ten degrees, nowhere darker or brighter than what is around.

    Cubic filters would ring about a sun, in black and complementary colours.
    """
    small = resample(radiance, _BLURRED_ROWS, 2 * _BLURRED_ROWS)[None]
    around = pad(pad(small, (_BORDER, _BORDER, 0, 0), mode="circular"), (0, 0, _BORDER, _BORDER), mode="replicate")
    fine = interpolate(around, scale_factor=_SMOOTH, mode="bilinear", align_corners=False)
    smooth = avg_pool2d(fine, _SMOOTH + 1, stride=1, padding=_SMOOTH // 2)
    edge = _BORDER * _SMOOTH
    return smooth[0, :, edge:-edge, edge:-edge].contiguous()

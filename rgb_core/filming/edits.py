"""Changes of materials by hand: a part of the head, what of it, and the value, as in lips.tint=#aa3344."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..avatar import Avatar
from ..avatar.materials import MIN_ROUGHNESS, raw_from_roughness, raw_from_unit
from ..avatar.model import CHANNELS
from ..errors import InputError, did_you_mean
from ..heads.regions import Region, in_regions
from ..images.color_text import parse_color

PARTS: dict[str, tuple[Region, ...]] = {
    "all": tuple(Region),
    "skin": (Region.SKIN, Region.EAR, Region.NECK),
    "face": (Region.SKIN,),
    "ears": (Region.EAR,),
    "neck": (Region.NECK,),
    "lips": (Region.LIPS,),
    "scalp": (Region.SCALP,),
    "eyes": (Region.EYEBALL,),
    "teeth": (Region.TEETH,),
    "mouth": (Region.MOUTH,),
}
"""The parts of a head by what people call them; hair grows on the scalp."""

_BRIGHTEST_DETAIL = 1.5  # times the mean of a part

_Change = Callable[[Avatar, Tensor, Tensor], None]
"""Changes the raw parameters of the Gaussians where the second argument, [P] bool, says, to the value, [] or [3]."""


def _set_roughness(avatar: Avatar, chosen: Tensor, value: Tensor) -> None:
    avatar.neutral["roughness"][chosen] = raw_from_roughness(value)
    _hold(avatar, chosen, "roughness")


def _set_specular(avatar: Avatar, chosen: Tensor, value: Tensor) -> None:
    avatar.neutral["specular"][chosen] = raw_from_unit(value)
    _hold(avatar, chosen, "specular")


def _set_opacity(avatar: Avatar, chosen: Tensor, value: Tensor) -> None:
    opacity = torch.sigmoid(avatar.neutral["opacity"][chosen])
    avatar.neutral["opacity"][chosen] = raw_from_unit(opacity * value)
    _hold(avatar, chosen, "opacity")


def _set_brightness(avatar: Avatar, chosen: Tensor, value: Tensor) -> None:
    albedo = torch.sigmoid(avatar.neutral["albedo"][chosen])
    avatar.neutral["albedo"][chosen] = raw_from_unit((albedo * value).clamp(max=1))


def _set_tint(avatar: Avatar, chosen: Tensor, value: Tensor) -> None:
    """Scale the albedo so that its mean, by opacity, is the colour: spots and wrinkles stay.

    What is far brighter than its part, as skin is between dark hair, is no detail of it and becomes a little brighter.
    """
    albedo = torch.sigmoid(avatar.neutral["albedo"][chosen])
    weight = torch.sigmoid(avatar.neutral["opacity"][chosen])
    weight = weight / weight.sum()
    detail = (albedo / (albedo * weight).sum(0)).clamp(max=_BRIGHTEST_DETAIL)
    detail = detail / (detail * weight).sum(0)
    avatar.neutral["albedo"][chosen] = raw_from_unit((detail * value).clamp(max=1))


@dataclass(frozen=True)
class Property:
    """Something of a part that can be changed."""

    change: _Change
    range: tuple[float, float] | None
    """Of its number; None where it is a colour."""


PROPERTIES: dict[str, Property] = {
    "roughness": Property(_set_roughness, (MIN_ROUGHNESS, 1.0)),
    "specular": Property(_set_specular, (0.0, 1.0)),
    "tint": Property(_set_tint, None),
    "brightness": Property(_set_brightness, (0.0, 10.0)),
    "opacity": Property(_set_opacity, (0.0, 1.0)),
}
"""What can be changed: roughness and specular albedo take the value everywhere, whatever the face does; tint is the
mean albedo; brightness and opacity are factors."""


@dataclass(frozen=True)
class Edit:
    """One change."""

    part: str
    property: str
    value: tuple[float, ...]
    """A number, or the three of a linear colour."""

    @classmethod
    def parse(cls, text: str) -> "Edit":
        """A change written as `part.property=value`.

        Raises:
            InputError: when it is not written so, or the value is out of range.
        """
        key, equals, written = text.partition("=")
        part, dot, name = key.strip().partition(".")
        if not equals or not dot:
            raise InputError(f"--set {text}: write part.property=value, as in skin.roughness=0.4 or lips.tint=#aa3344")
        if part not in PARTS:
            raise InputError(f"--set {text}: no part is called '{part}'{did_you_mean(part, PARTS)}: {', '.join(PARTS)}")
        if name not in PROPERTIES:
            known = ", ".join(PROPERTIES)
            raise InputError(f"--set {text}: a part has no '{name}'{did_you_mean(name, PROPERTIES)}: {known}")
        allowed = PROPERTIES[name].range
        if allowed is None:
            return cls(part, name, tuple(parse_color(written.strip(), f"--set {text}").tolist()))
        low, high = allowed
        try:
            value = float(written)
        except ValueError:
            raise InputError(f"--set {text}: '{written}' is no number") from None
        if not low <= value <= high:
            raise InputError(f"--set {text}: {name} is in the range from {low:g} to {high:g}")
        return cls(part, name, (value,))


def edited(avatar: Avatar, edits: Sequence[Edit]) -> Avatar:
    """A copy of an avatar with the changes made, one after the other; the avatar itself stays.

    Raises:
        InputError: when the avatar has nothing of a part.
    """
    if not edits:
        return avatar
    neutral = {name: value.clone() for name, value in avatar.neutral.items()}
    copy = replace(avatar, neutral=neutral, deltas=avatar.deltas.clone())
    region = copy.region()
    for edit in edits:
        chosen = in_regions(region, PARTS[edit.part])
        if not chosen.any():
            raise InputError(f"--set {edit.part}.{edit.property}: the avatar has no {edit.part}")
        value = torch.tensor(edit.value, device=copy.deltas.device)
        PROPERTIES[edit.property].change(copy, chosen, value)
    return copy


def _hold(avatar: Avatar, chosen: Tensor, channel: str) -> None:
    """Let no expression change a channel of the chosen Gaussians."""
    names = list(CHANNELS)
    first = sum(CHANNELS[name] for name in names[: names.index(channel)])
    owners = chosen.repeat_interleave(avatar.expressions.offsets.diff())
    avatar.deltas[owners, first : first + CHANNELS[channel]] = 0

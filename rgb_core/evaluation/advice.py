"""What a reader of the scores may do next: sentences drawn from the numbers, the most telling first."""

import math
from collections.abc import Mapping
from typing import Any

from .wording import scores_of

_MOST = 4  # sentences: more are not read
_FEW_PIXELS = 256  # of the longer side, below which eyes and teeth are a handful of pixels
_WEAK_PART = 4.0  # dB below skin at which a part of the head stands out
_WRONG_LEVEL = 0.5  # dB that one RGB scale gains, from which the light's level is worth a sentence
_DARK_SHADOWS = 4.0  # dB that cast shadows score below the whole picture
_WRONG_LIGHT = 0.25  # error of the irradiance
_LOOSE_OUTLINE = 0.95  # overlap of the silhouettes


def advice(metrics: Mapping[str, Any]) -> list[str]:
    """At most four sentences for the record of a metrics.json; empty where nothing stands out."""
    found = {(score.group, score.label): score.value for score in scores_of(metrics)}
    sentences = [*_parts(found), *_outline(found), *_level(metrics, found), *_shadows(metrics), *_light(found)]
    return (sentences + _clip(metrics, found))[:_MOST]


_Found = Mapping[tuple[str, str], float | None]


def _parts(found: _Found) -> list[str]:
    """The part of the head that is farthest below skin."""
    group = "Parts of the head, as filmed"
    parts = {label.removeprefix("PSNR, "): value for (of, label), value in found.items() if of == group}
    skin = parts.pop("skin", None)
    known = {part: value for part, value in parts.items() if value is not None}
    if skin is None or not known:
        return []
    worst = min(known, key=lambda part: known[part])
    if known[worst] > skin - _WEAK_PART:
        return []
    return [
        f"Pictures score {known[worst]:.1f} dB in the {worst}, {skin:.1f} on skin: look there enlarged. More pixels "
        "(gaussians.image_size) and more Gaussians (gaussians.gaussians, gaussians.density.max_gaussians) help small "
        "parts most, and so do frames that show them: an open mouth, eyes that look about."
    ]


def _outline(found: _Found) -> list[str]:
    overlap = found.get(("Shape, distance to the true surface", "overlap of the silhouettes, of 1"))
    if overlap is None or overlap > _LOOSE_OUTLINE:
        return []
    return [
        f"The mesh covers {overlap:.0%} of what it should: look at the geometry's preview.png, and fit the geometry "
        "for more steps (geometry.steps) if the outline is off there too."
    ]


def _level(metrics: Mapping[str, Any], found: _Found) -> list[str]:
    raw, aligned = (
        found.get(("Relighting, mean of all lights", label))
        for label in ("PSNR as rendered", "PSNR under one RGB scale")
    )
    scales = [record["scale"] for record in metrics["relight"].values() if record.get("scale")]
    if raw is None or aligned is None or aligned - raw < _WRONG_LEVEL or not scales:
        return []
    factor = math.prod(value for scale in scales for value in scale) ** (1 / sum(len(scale) for scale in scales))
    side = "brighter" if factor > 1 else "darker"
    return [
        f"Relit pictures should be {abs(factor - 1):.0%} {side}, which costs {aligned - raw:.1f} dB: a clip cannot "
        "tell bright skin from a bright light. Compare by the score under one RGB scale, or give the skin's true mean "
        "albedo as gaussians.skin_luminance."
    ]


def _shadows(metrics: Mapping[str, Any]) -> list[str]:
    """The light whose cast shadows are farthest below its whole picture."""
    gaps = {
        name: record["psnr_aligned"] - record["psnr_cast_shadow"]
        for name, record in metrics["relight"].items()
        if record.get("psnr_cast_shadow") is not None
    }
    if not gaps or max(gaps.values()) < _DARK_SHADOWS:
        return []
    name = max(gaps, key=lambda light: gaps[light])
    score = metrics["relight"][name]["psnr_cast_shadow"]
    return [
        f"In the shadows that {name} casts the score is {score:.1f} dB, {gaps[name]:.1f} less than in the whole "
        "picture: shadows follow the mesh, so its nose, brow and lips are where to look (the geometry's preview.png)."
    ]


def _light(found: _Found) -> list[str]:
    error = found.get(("Recovered light", "error of what it does to a matt ball, of 1"))
    if error is None or error < _WRONG_LIGHT:
        return []
    return [
        f"The recovered light is off by {error:.0%} on a matt ball: albedo holds what light does not explain. A clip "
        "in which the head turns more, or in softer light, tells the two apart better."
    ]


def _clip(metrics: Mapping[str, Any], found: _Found) -> list[str]:
    """What the clip itself sets a limit to, and what nobody knows about it."""
    sentences = []
    if max(metrics["size"]) < _FEW_PIXELS:
        sentences.append(
            f"The pictures have {max(metrics['size'])} pixels on the longer side: finer detail than that was never "
            "seen, so a closer view is soft. The presets cpu and default work at 256 and 512."
        )
    if found.get(("Relighting, mean of all lights", "PSNR under one RGB scale")) is None:
        sentences.append(
            "Nobody knows how this head looks in other lights, so relighting has no score: judge it with the eye "
            "(rgb relight, rgb view), best where shadows fall and where skin shines."
        )
    return sentences

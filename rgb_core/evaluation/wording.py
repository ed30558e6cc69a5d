"""The scores of metrics.json in words: their names, units, the digits that mean something, and which way is up."""

from collections.abc import Mapping
from typing import Any, NamedTuple

_TWO_DIGITS = -1
"""In place of decimals: two significant digits, where the third means nothing."""


class Score(NamedTuple):
    """One number of metrics.json."""

    group: str
    """The heading that it stands under."""
    label: str
    value: float | None
    """None without ground truth."""
    unit: str
    decimals: int
    better: int
    """1 where more is better, -1 where less is, 0 where neither."""
    key: str = ""
    """Its dotted name in metrics.json, as in `reenactment.psnr`."""

    @property
    def written(self) -> float | None:
        """The value to the digits that mean something."""
        if self.value is None:
            return None
        return float(f"{self.value:.2g}") if self.decimals < 0 else round(self.value, self.decimals)

    @property
    def text(self) -> str:
        """The value with its unit, on one line."""
        return (
            f"{number(self.value, self.decimals)}\N{NO-BREAK SPACE}{self.unit}".strip()
            if self.value is not None
            else "–"
        )


_DB, _SSIM = ("dB", 1, 1), ("", 3, 1)
_LESS_MM, _LESS_DEGREES = ("mm", _TWO_DIGITS, -1), ("degrees", _TWO_DIGITS, -1)
_PICTURES = {
    "psnr": ("PSNR, whole picture", *_DB),
    "psnr_channel_mean": ("PSNR, mean of the channels' own", *_DB),
    "psnr_head": ("PSNR, on the head", *_DB),
    "ssim": ("structural similarity (SSIM)", *_SSIM),
    "mae": ("mean absolute error, of white", "", _TWO_DIGITS, -1),
}
_ON_PICTURES = ("reenactment", "refined", "on_white")
RELIT = {
    "psnr_aligned": ("PSNR under one RGB scale", *_DB),
    "psnr": ("PSNR as rendered", *_DB),
    "ssim_aligned": ("SSIM under one RGB scale", *_SSIM),
    "psnr_cast_shadow": ("PSNR in cast shadow", *_DB),
}
"""Scores of one environment, the one to compare by first."""
_FIXED: dict[str, tuple[str, dict[str, tuple[str, str, int, int]]]] = {
    "reenactment": ("Test frames, as filmed", _PICTURES),
    "refined": ("Test frames, poses refined on their own pictures", _PICTURES),
    "on_white": ("Test frames on white", _PICTURES),
    "albedo": ("Albedo", {"psnr_aligned": RELIT["psnr_aligned"]}),
    "normal": (
        "Normals, mean angle to the truth",
        {
            "mean_angle_deg": ("everywhere", *_LESS_DEGREES),
            "skin_deg": ("skin", *_LESS_DEGREES),
            "hair_deg": ("hair", *_LESS_DEGREES),
        },
    ),
    "mesh": (
        "Shape, distance to the true surface",
        {
            "skin_mean_mm": ("skin that the camera sees", *_LESS_MM),
            "hair_mean_mm": ("hair that the camera sees", *_LESS_MM),
            "mean_mm": ("everywhere, mean", *_LESS_MM),
            "p95_mm": ("everywhere, 95 % are nearer", *_LESS_MM),
            "face_to_truth_mm": ("from the fitted face", *_LESS_MM),
            "silhouette_iou": ("overlap of the silhouettes, of 1", *_SSIM),
        },
    ),
    "light": (
        "Recovered light",
        {
            "irradiance_error": ("error of what it does to a matt ball, of 1", "", _TWO_DIGITS, -1),
            "brightest_deg": ("its brightest direction is off by", *_LESS_DEGREES),
            "chroma_upper": ("colour from above, distance", "", _TWO_DIGITS, -1),
            "chroma_lower": ("colour from below, distance", "", _TWO_DIGITS, -1),
        },
    ),
    "speed": (
        "Speed",
        {
            "fps": ("pictures a second", "", _TWO_DIGITS, 1),
            "ms_per_frame": ("time of a picture", "ms", _TWO_DIGITS, -1),
        },
    ),
}


def number(value: float, decimals: int) -> str:
    """A number with so many decimals; with two significant digits where `decimals` is negative."""
    return f"{float(f'{value:.2g}'):,g}" if decimals < 0 else f"{value:,.{decimals}f}"


def scores_of(metrics: Mapping[str, Any]) -> list[Score]:
    """Every score of a metrics.json in the order of a report; None for what is not there or no number."""
    scores = [score for name in _ON_PICTURES for score in _of_record(metrics, name) + _perceptual(metrics, name)]
    for name, record in _mapping(metrics, "relight").items():
        title = "Relighting, mean of all lights" if name == "mean" else f"Relighting, {name}"
        known = RELIT if name != "mean" else {key: words for key, words in RELIT.items() if key != "psnr_cast_shadow"}
        scores += [
            Score(title, words[0], _number(record, key), *words[1:], f"relight.{name}.{key}")
            for key, words in known.items()
        ]
    for kind, title in (("reenactment", "Parts of the head, as filmed"), ("relight", "Parts of the head, relit")):
        parts = _mapping(_mapping(metrics, "parts"), kind)
        scores += [Score(title, f"PSNR, {part}", _number(parts, part), *_DB, f"parts.{kind}.{part}") for part in parts]
    likeness, title = _mapping(_mapping(metrics, "parts"), "ssim"), "Parts of the head, as filmed, SSIM"
    scores += [Score(title, part, _number(likeness, part), *_SSIM, f"parts.ssim.{part}") for part in likeness]
    return scores + [score for name in _FIXED if name not in _ON_PICTURES for score in _of_record(metrics, name)]


def _of_record(metrics: Mapping[str, Any], name: str) -> list[Score]:
    title, words = _FIXED[name]
    record = _mapping(metrics, name)
    if not record and name in ("refined", "on_white"):
        return []
    return [
        Score(title, label, _number(record, key), unit, decimals, better, f"{name}.{key}")
        for key, (label, unit, decimals, better) in words.items()
    ]


def _perceptual(metrics: Mapping[str, Any], name: str) -> list[Score]:
    distances = _mapping(_mapping(metrics, name), "lpips")
    title = _FIXED[name][0]
    return [
        Score(title, f"perceptual distance (LPIPS, {net})", _number(distances, net), "", 3, -1, f"{name}.lpips.{net}")
        for net in distances
    ]


def _mapping(record: Any, key: str) -> Mapping[str, Any]:
    value = record.get(key) if isinstance(record, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def _number(record: Any, key: str) -> float | None:
    value = record.get(key) if isinstance(record, Mapping) else None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

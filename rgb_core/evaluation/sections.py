"""The pictures of a report: rows of truth, prediction and error, with captions."""

from typing import NamedTuple

from torch import Tensor

from ..images import to_bytes
from ..scene import Light
from .alignment import AlignedSet
from .light import irradiance_scale
from .measure import Measurements
from .metrics import psnr
from .pictures import ANGLE_RANGE, ERROR_RANGE, ball_picture, error_picture, light_picture, white_level

AS_FILMED = "reenactment"
"""What the names of pictures of test frames in the clip's own light begin with."""
_SHOWN_PER_LIGHT = 2
_ROW_LENGTH = 6  # pictures: two of truth, prediction, error


class Picture(NamedTuple):
    """A picture of the report."""

    name: str
    """File name without suffix."""
    image: Tensor
    """uint8 [H, W, 3]."""
    caption: str


class ColourBar(NamedTuple):
    """What the colours of error pictures stand for: values at even distances from black to white."""

    ticks: tuple[float, ...]
    words: str


class Section(NamedTuple):
    """Rows of pictures under a title."""

    title: str
    note: str
    rows: list[list[Picture]]
    bar: ColourBar | None = None
    layout: str = "row"
    """Classes of report.css that rows are laid out by."""


_ERRORS = ColourBar(
    tuple(round(ERROR_RANGE * step / 5, 3) for step in range(6)), "error of the worst channel, 1 is black against white"
)
_ANGLES = ColourBar(tuple(ANGLE_RANGE * step / 6 for step in range(7)), "degrees between the normals")


def build_sections(measured: Measurements, fitted_light: Light, true_light: Light | None) -> list[Section]:
    """The sections that have pictures, in the order of the report.

    Args:
        fitted_light: the avatar's own.
        true_light: the clip's, where it is known.
    """
    sections = [
        Section(
            "As filmed",
            "Test frames, which the fit never saw: truth, prediction, error.",
            _reenactment(measured),
            _ERRORS,
        ),
        Section(
            "Relighting",
            "Truth, prediction under one RGB scale per light, error.",
            [_aligned(measured.relit[name], measured.relit_ids[name], measured, name) for name in measured.relit],
            _ERRORS,
        ),
        Section(
            "Albedo",
            "The colour of the surface without light: truth, prediction under one RGB scale, error.",
            [_aligned(measured.albedo, measured.albedo_ids, measured, "albedo")] if len(measured.albedo) else [],
            _ERRORS,
        ),
        Section(
            "Normals",
            "World-space normals as (n + 1) / 2: truth, prediction, angle.",
            _normals(measured),
            _ANGLES,
        ),
        Section(
            "Light",
            "The zenith is at the top, +x at the left border; both maps have one exposure, after one scale.",
            [_lights(fitted_light, true_light)],
            layout="row lights",
        ),
    ]
    return [section for section in sections if any(section.rows)]


def _reenactment(measured: Measurements) -> list[list[Picture]]:
    pictures = []
    for frame_id, images in measured.shown.items():
        score = f"{frame_id}: {measured.on_black.images[frame_id].psnr:.1f} dB"
        pictures += _triple(f"{AS_FILMED}_{frame_id}", images, f"{frame_id}: truth", score)
    return _rows(pictures)


def _aligned(frames: AlignedSet, ids: list[str], measured: Measurements, name: str) -> list[Picture]:
    """Frames of `measured.show` under one light, a row of at most two frames."""
    pictures: list[Picture] = []
    shown = [index for index, frame_id in enumerate(ids) if frame_id in measured.show][:_SHOWN_PER_LIGHT]
    for index in shown:
        truth, aligned = frames.truth(index), frames.aligned(index)
        images = [to_bytes(truth), to_bytes(aligned), error_picture(aligned, truth)]
        score = f"{name}, aligned: {psnr(aligned, truth):.1f} dB"
        pictures += _triple(f"{name}_{ids[index]}", images, f"{name}, {ids[index]}: truth", score)
    return pictures


def _normals(measured: Measurements) -> list[list[Picture]]:
    pictures = []
    for frame_id, images in measured.normals_shown.items():
        pictures += _triple(f"normal_{frame_id}", images, f"{frame_id}: truth", "prediction")
    return _rows(pictures)[:1]


def _lights(fitted: Light, true: Light | None) -> list[Picture]:
    mine = fitted.radiance.cpu()
    if true is None:
        return _light_and_ball("light_fitted", mine, white_level(mine), "fitted light")
    theirs = true.resampled(*fitted.size).radiance.cpu()
    level = white_level(theirs)
    pictures = _light_and_ball("light_truth", theirs, level, "true light, same resolution")
    return pictures + _light_and_ball(
        "light_fitted", irradiance_scale(mine, theirs) * mine, level, "fitted light, scaled"
    )


def _light_and_ball(name: str, radiance: Tensor, level: Tensor, caption: str) -> list[Picture]:
    """A map and a ball that it lights."""
    ball = Picture(f"{name}_ball", ball_picture(radiance), f"a ball in the {caption.split(',')[0]}")
    return [Picture(name, light_picture(radiance, level), caption), ball]


def _triple(name: str, images: list[Tensor], truth: str, prediction: str) -> list[Picture]:
    truth_image, prediction_image, error = images
    return [
        Picture(f"{name}_truth", truth_image, truth),
        Picture(f"{name}_prediction", prediction_image, prediction),
        Picture(f"{name}_error", error, "error"),
    ]


def _rows(pictures: list[Picture]) -> list[list[Picture]]:
    return [pictures[start : start + _ROW_LENGTH] for start in range(0, len(pictures), _ROW_LENGTH)]

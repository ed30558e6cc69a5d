"""What every optimisation step does besides rendering: pictures compared, priors, corrected tracking, and Adam."""

from .adam import adam_step
from .adam_rows import adam_step_rows
from .moving import move_rigidly
from .priors import gaussian_priors, unevenness
from .similarity import similarity
from .tables import Correction, Measure, Neighbours, Ranges, SummedRows
from .window import window_mean

__all__ = [
    "Correction",
    "Measure",
    "Neighbours",
    "Ranges",
    "SummedRows",
    "adam_step",
    "adam_step_rows",
    "gaussian_priors",
    "move_rigidly",
    "similarity",
    "unevenness",
    "window_mean",
]

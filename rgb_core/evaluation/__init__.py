"""Scoring an avatar against a dataset: pictures, relighting, materials, surface and speed."""

from .evaluate import EvaluationOptions, evaluate
from .light import level_line
from .protocol import Scored

__all__ = ["EvaluationOptions", "Scored", "evaluate", "level_line"]

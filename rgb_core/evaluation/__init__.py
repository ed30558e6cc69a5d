"""Scoring an avatar against a dataset: pictures, relighting, materials, surface and speed."""

from .evaluate import EvaluationOptions, evaluate
from .protocol import Channels, Renderer

__all__ = ["Channels", "EvaluationOptions", "Renderer", "evaluate"]

"""Tracking with the avatar: poses and expressions of frames refined by comparing its pictures with theirs."""

from .config import RetrackingConfig
from .protocol import on_test_pictures
from .refine import refine_frames
from .retrack import retrack

__all__ = ["RetrackingConfig", "on_test_pictures", "refine_frames", "retrack"]

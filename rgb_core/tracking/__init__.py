"""From a video to a native dataset: landmarks, matte, and one head model fitted to all frames at once."""

from .track import Tracked, TrackingOptions, track
from .video import open_video

__all__ = ["Tracked", "TrackingOptions", "open_video", "track"]

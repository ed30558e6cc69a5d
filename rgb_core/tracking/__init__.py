"""From a video to a native dataset: landmarks, matte, and one head model fitted to all frames at once."""

from .detect.video import open_video
from .track import Tracked, TrackingOptions, track

__all__ = ["Tracked", "TrackingOptions", "open_video", "track"]

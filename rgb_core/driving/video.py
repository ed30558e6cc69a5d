"""A performance in a video: tracked with the built-in head, and kept so that it is tracked once."""

from pathlib import Path

import numpy as np

from ..avatar import Avatar
from ..heads import Motion, builtin_head
from ..progress import Progress
from ..tracking import TrackingOptions, track
from ..tracking.detect.detector import FaceDetector
from .retarget import follow_clip
from .rows import evenly_posed

_SIZE = 128  # pixels of the pictures that tracking writes beside the motion, which nobody looks at


def track_performance(
    path: Path, avatar: Avatar, work: Path, span: tuple[float, float | None], progress: Progress,
    detector: FaceDetector | None = None, force: bool = False,
) -> Motion:  # fmt: skip
    """The motion of the head in a video or a folder of pictures, without holes where no face was seen.

    Args:
        work: folder for the tracked dataset; the same video again is not tracked again.
        span: first and last second.
        detector: what finds faces; None for the usual one.
        force: replace what another video left in `work`.

    Raises:
        InputError: when the video cannot be read or tracked, or `work` holds something else.
    """
    options = TrackingOptions(start=span[0], end=span[1], size=_SIZE)
    dataset = track(path, work, builtin_head(), progress, options, detector, force).dataset
    motion = follow_clip(avatar, dataset)
    numbers = np.array([int(frame.id) for frame in dataset.all_frames])
    return Motion(path.stem, evenly_posed(motion.poses, numbers / dataset.fps, dataset.fps), dataset.fps)

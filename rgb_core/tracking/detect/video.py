"""Opening a clip: a video file, or a folder of pictures."""

from pathlib import Path

from ...errors import InputError
from .picture_folder import open_folder
from .video_file import open_file
from .video_stream import Video


def open_video(path: Path, fps: float | None = None) -> Video:
    """What a clip says about itself, checked by decoding its first frame.

    Args:
        fps: frames per second of a folder of pictures, which does not say; None means 25.

    Raises:
        InputError: when it is missing, no video, in a coding that cannot be converted, or not even its first frame can
            be decoded.
    """
    path = Path(path)
    if path.is_dir():
        return open_folder(path, fps)
    if not path.is_file():
        raise InputError(f"{path} does not exist; give a video file such as .mp4 or .mov, or a folder of pictures")
    if fps is not None:
        raise InputError(f"--fps is for folders of pictures; {path} says itself how fast it is")
    return open_file(path)

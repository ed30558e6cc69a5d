"""Frames to an .mp4 (H.264) while they are made, so that a long clip never lies in memory."""

from collections.abc import Iterable
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from torch import Tensor

from ..errors import InputError
from ..files import atomic_path

DEFAULT_QUALITY = 8.0  # of 0 (smallest) to 10 (best); 8 shows no blocks on skin


def write_video(path: Path, frames: Iterable[Tensor], fps: float, quality: float = DEFAULT_QUALITY) -> int:
    """Encode frames as they come, atomically; the file appears when the last frame is in.

    Args:
        path: an .mp4 file.
        frames: uint8 [H, W, 3] sRGB pictures of one size; an odd side is padded by repeating its last row or column,
            because 4:2:0 chroma needs even sides.
        fps: frames per second.
        quality: 0 to 10.

    Returns:
        The number of frames written.

    Raises:
        InputError: when there is no frame, or the file cannot be encoded or written.
        ValueError: when a frame has another shape than the first.
    """
    iterator = iter(frames)
    first = next(iterator, None)
    if first is None:
        raise InputError(f"there are no frames to write to {path}")
    count = 1
    with atomic_path(path) as temporary:
        encoded = _even(first)
        height, width, _ = encoded.shape
        writer = imageio_ffmpeg.write_frames(
            f"file:{temporary}",  # a name with a colon is no protocol
            (width, height),
            fps=fps,
            quality=quality,
            codec="libx264",
            macro_block_size=2,
            ffmpeg_log_level="error",
            output_params=["-movflags", "+faststart"],
        )
        try:
            writer.send(None)
            writer.send(encoded)
            for frame in iterator:
                if frame.shape != first.shape:
                    raise ValueError(f"frame {count} is {list(frame.shape)}, the first one {list(first.shape)}")
                writer.send(_even(frame))
                count += 1
        except OSError as error:  # ffmpeg ended; its own last words are the last line
            raise InputError(f"ffmpeg could not write {path}: {str(error).strip().splitlines()[-1]}") from error
        finally:
            writer.close()
        if not temporary.is_file():
            raise InputError(f"ffmpeg could not write {path}; check that the disk has space")
    return count


def _even(frame: Tensor) -> np.ndarray:
    """The picture as contiguous bytes with even sides."""
    pixels = frame.cpu().numpy()
    height, width, _ = pixels.shape
    return np.ascontiguousarray(np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge"))

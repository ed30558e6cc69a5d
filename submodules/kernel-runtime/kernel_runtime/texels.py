"""Where the texels of a latitude-longitude light map point: the one convention of all kernels."""

import numpy as np


def texel_directions(height: int, width: int) -> np.ndarray:
    """Unit directions [height * width, 3] float64 of the texel centres, row by row from the top.

    +y is up; azimuth starts at +x, at the left border of column 0, and grows towards +z.
    """
    latitude = np.pi * (0.5 - (np.arange(height) + 0.5) / height)[:, None]
    azimuth = 2 * np.pi * ((np.arange(width) + 0.5) / width)[None, :]
    up = np.broadcast_to(np.sin(latitude), (height, width))
    return np.stack([np.cos(latitude) * np.cos(azimuth), up, np.cos(latitude) * np.sin(azimuth)], -1).reshape(-1, 3)

"""What every implementation in this package shares: the thresholds of 3D Gaussian splatting and the result."""

from typing import NamedTuple

import torch

LOW_PASS_VARIANCE = 0.3  # px^2 added to both image-space variances: no Gaussian is thinner than about a pixel
TAN_MARGIN = 0.3  # the Jacobian is frozen beyond this many half images outside the border
MAX_ALPHA = 0.99
MIN_ALPHA = 1.0 / 255.0  # what contributes less to a pixel is skipped there
MIN_TRANSMITTANCE = 1e-4  # a pixel is finished before the Gaussian that would take it below this
RADIUS_SIGMAS = 3.0
MIN_EIGENVALUE_GAP = 0.1  # px^4, floor under the square of half the eigenvalues' difference (radii only)


class Rasterization(NamedTuple):
    """A rendered image, or B of them with a leading dimension everywhere."""

    image: torch.Tensor  # [H,W,C] features, premultiplied by alpha: on black
    alpha: torch.Tensor  # [H,W] in 0..1
    radii: torch.Tensor  # [P] int32, three standard deviations in pixels; 0 = culled
    instances: torch.Tensor  # [] int64, pairs of a Gaussian and a tile that sees it


def tan_limits(focal: float, center: float, size: int) -> tuple[float, float]:
    """Lowest and highest x / z (or y / z) at which the projection is linearised.

    With the principal point in the middle these are +-1.3 tan(fov / 2).

    Args:
        focal: focal length in pixels.
        center: principal point in pixels.
        size: width or height in pixels.
    """
    margin = TAN_MARGIN * size / (2 * focal)
    return -center / focal - margin, (size - center) / focal + margin

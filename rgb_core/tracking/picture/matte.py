"""From the detector's soft mask of a person to a matte: steady over time, with edges where the picture has them."""

from collections.abc import Iterable, Iterator

import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor
from torch.nn.functional import avg_pool2d, max_pool2d

_SIMILAR = 12.0  # bytes by which a pixel differs between frames where something moved
_RADIUS = 0.010  # of the picture's side: reach of the edge refinement
_REGULARISER = 3e-4  # squared contrast (of 1) below which an area counts as flat
_SURE = 0.95  # matte above which a pixel, with its neighbours, shows the person alone
_CONTRAST = (0.12, 0.88)  # refined values from which a pixel is background or person

Sample = tuple[Tensor, Tensor]
"""A picture uint8 [H, W, 3] and its mask uint8 [H, W]."""


def steady(samples: Iterable[Sample]) -> Iterator[Sample]:
    """The same with every mask averaged over the frames before and after, where the picture did not change."""
    before: Sample | None = None
    current: Sample | None = None
    for after in _with_end(samples):
        if current is not None:
            yield current[0], _averaged(current, [near for near in (before, after) if near is not None])
        before, current = current, after


def _with_end(samples: Iterable[Sample]) -> Iterator[Sample | None]:
    yield from samples
    yield None


def _averaged(current: Sample, near: list[Sample]) -> Tensor:
    picture, mask = current[0].float(), current[1].float()
    total, weights = mask.clone(), torch.ones_like(mask)
    for other, other_mask in near:
        change = _blurred((other.float() - picture).abs().amax(-1), 2)
        weight = torch.exp(-0.5 * (change / _SIMILAR).square())
        total += weight * other_mask
        weights += weight
    return (total / weights).round().byte()


def refine(picture: Tensor, mask: Tensor) -> Tensor:
    """float32 [H, W] matte of 0 to 1 that follows the edges of the picture (guided filter, He et al. 2010)."""
    radius = max(1, round(_RADIUS * max(mask.shape)))
    guide = picture.float() @ torch.tensor([0.299, 0.587, 0.114]) / 255
    soft = mask.float() / 255
    mean_guide, mean_soft = _blurred(guide, radius), _blurred(soft, radius)
    variance = _blurred(guide * guide, radius) - mean_guide.square()
    covariance = _blurred(guide * soft, radius) - mean_guide * mean_soft
    slope = covariance / (variance + _REGULARISER)
    level = mean_soft - slope * mean_guide
    filtered = _blurred(slope, radius) * guide + _blurred(level, radius)
    low, high = _CONTRAST
    return ((filtered - low) / (high - low)).clamp(0, 1)


def foreground(picture: Tensor, matte: Tensor) -> Tensor:
    """uint8 [H, W, 3] the person's own colours: where the background shines through, those of the nearest sure pixels.

    Without this a bright background stays as a rim around the head, whatever it is put on.
    """
    sure = max_pool2d((matte <= _SURE).float()[None, None], 3, 1, 1)[0, 0] == 0
    if not bool(sure.any()):
        return picture
    rows, columns = ((matte > 0).any(axis).nonzero()[:, 0] for axis in (1, 0))
    box = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
    result = picture.clone()
    result[box] = _filled(picture[box], sure[box])
    return result


def _filled(picture: Tensor, sure: Tensor) -> Tensor:
    """uint8 [H, W, 3] with the pixels that are not `sure` [H, W] like the surroundings of the nearest that are."""
    nearest = distance_transform_edt(~sure.numpy(), return_distances=False, return_indices=True)
    rows, columns = torch.from_numpy(nearest).long()
    share = _blurred(sure.float(), 1)
    smooth = torch.stack([_blurred(plane * sure, 1) for plane in picture.float().unbind(-1)], -1) / share[..., None]
    return torch.where(sure[..., None], picture, smooth[rows, columns].round().byte())


def _blurred(values: Tensor, radius: int) -> Tensor:
    """Mean of [H, W] over squares; at the border over what lies inside."""
    side = 2 * radius + 1
    across = avg_pool2d(values[None, None], (1, side), 1, (0, radius), count_include_pad=False)
    return avg_pool2d(across, (side, 1), 1, (radius, 0), count_include_pad=False)[0, 0]

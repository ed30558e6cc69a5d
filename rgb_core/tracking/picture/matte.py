"""From the detector's soft mask of a person to a matte: steady over time, with edges where the picture has them."""

from collections.abc import Iterable, Iterator

import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate, max_pool2d

_SIMILAR = 12.0  # bytes by which a pixel differs between frames where something moved
_RADIUS = 0.031  # of the picture's side: reach of the edge refinement
_REGULARISER = 1e-5  # squared contrast (of 1) below which an area counts as flat
_COARSE = 2  # pixels: the filter's coefficients are smooth and need not be finer (He and Sun 2015)
_SURE = 0.95  # matte above which a pixel, with its neighbours, shows the person alone
_CONTRAST = (0.25, 0.75)  # refined values from which a pixel is background or person

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
    """float32 [H, W] matte of 0 to 1 that follows the picture's colour edges (guided filter, He et al. 2010).

    Around every pixel the matte is taken for a linear function of the colour, the one that is nearest to the mask.
    """
    height, width = mask.shape
    small = -(-height // _COARSE), -(-width // _COARSE)
    full = picture.permute(2, 0, 1).float() / 255
    guide = interpolate(full[None], small, mode="area")[0]
    soft = interpolate(mask[None, None].float() / 255, small, mode="area")[0, 0]
    radius = max(1, round(_RADIUS * max(mask.shape) / _COARSE))

    def mean(planes: Tensor) -> Tensor:
        return torch.stack([_blurred(plane, radius) for plane in planes])

    means, level = mean(guide), _blurred(soft, radius)
    products = mean((guide[:, None] * guide[None]).flatten(0, 1)).unflatten(0, (3, 3)) - means[:, None] * means[None]
    covariance = mean(guide * soft) - means * level
    regular = products.permute(2, 3, 0, 1) + _REGULARISER * torch.eye(3)
    slope = torch.linalg.solve(regular, covariance.permute(1, 2, 0)[..., None])[..., 0].permute(2, 0, 1)
    offset = level - (slope * means).sum(0)
    linear = torch.cat([mean(slope), _blurred(offset, radius)[None]])
    linear = interpolate(linear[None], (height, width), mode="bilinear", align_corners=False)[0]
    low, high = _CONTRAST
    return (((linear[:3] * full).sum(0) + linear[3] - low) / (high - low)).clamp(0, 1)


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

"""How far a drawn mesh is from the pictures."""

from torch import Tensor

from .evidence import Batch

_COLOUR_SCALE = 0.03  # sRGB; larger differences count less than squared: they are shadows and highlights


def silhouette(mask: Tensor, batch: Batch) -> Tensor:
    """Squared difference of mask and matte [B,H,W], summed over a frame per root of the head's pixels: the mean gap
    along the outline in pixels, whatever the resolution's share of background."""
    squared = (batch.mask_weight * (mask - batch.alpha).square()).sum((1, 2))
    outline = batch.alpha.sum((1, 2)).clamp_min(1).sqrt()
    return (squared / outline).mean()


def colour(drawn: Tensor, weight: Tensor, batch: Batch) -> Tensor:
    """Mean robust difference of sRGB pixels [B,H,W,3] under `weight` [B,H,W]: squared if small, absolute if large."""
    scaled = (drawn - batch.colour) / _COLOUR_SCALE
    robust = _COLOUR_SCALE * ((1 + scaled.square()).sqrt() - 1)
    return (weight[..., None] * robust).sum() / (3 * weight.sum()).clamp_min(1)


def normal(drawn: Tensor, normal: Tensor, weight: Tensor) -> Tensor:
    """Mean of 1 - cosine between unit normals [B,H,W,3] under `weight` [B,H,W]."""
    return (weight * (1 - (drawn * normal).sum(-1))).sum() / weight.sum().clamp_min(1)


def intersection_over_union(mask: Tensor, batch: Batch) -> Tensor:
    """[B] overlap of covered pixels `mask` [B,H,W] (bool) with the matte above one half, foreign pixels left out."""
    counted = batch.mask_weight > 0
    head = batch.alpha > 0.5
    both = (mask & head & counted).sum((1, 2))
    either = ((mask | head) & counted).sum((1, 2))
    return both / either.clamp_min(1)

"""Plain torch over all pairs, differentiable and in any float dtype: what the kernels are tested against."""

import torch


def neighbours(
    points1: torch.Tensor, points2: torch.Tensor, lengths1: torch.Tensor, lengths2: torch.Tensor, K: int, r: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """(dists [N,P1,K] squared, idxs [N,P1,K]) of the K nearest points2 with distance <= r, padded with -1."""
    distance2 = (points1[:, :, None] - points2[:, None]).square().sum(-1)
    used = torch.arange(points2.shape[1])[None, None] < lengths2[:, None, None]
    asked = torch.arange(points1.shape[1])[None, :, None] < lengths1[:, None, None]
    eligible = torch.where(used & asked & (distance2 <= r * r), distance2, torch.inf)
    eligible = torch.nn.functional.pad(eligible, (0, max(K - points2.shape[1], 0)), value=torch.inf)
    dists, idxs = eligible.sort(dim=-1, stable=True)
    dists, idxs = dists[..., :K], idxs[..., :K]
    none = dists.isinf()
    return torch.where(none, -1, dists), torch.where(none, -1, idxs)

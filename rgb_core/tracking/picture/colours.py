"""What colours skin, hair and cloth have in one clip, as mixtures of normal distributions of sRGB."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

LEAST_SAMPLES = 500
_MOST_SAMPLES = 20000
_TYPICAL = 0.9  # share of the samples nearest to the median that a single distribution is made from
_NOISE = 0.03  # sRGB; keeps a uniform surface's spread from vanishing
_ROUNDS = 8  # of moving the members of a mixture to the samples that are theirs
_LEAST_SHARE = 0.01  # of the samples, for a member of a mixture


class Colour(NamedTuple):
    """A normal distribution of sRGB."""

    mean: Tensor
    """[3]."""
    precision: Tensor
    """[3, 3]."""
    log_volume: float

    def distance(self, colours: Tensor) -> Tensor:
        """[...] squared Mahalanobis distance of [..., 3]."""
        away = (colours - self.mean).flatten(0, -2)
        return ((away @ self.precision) * away).sum(-1).view(colours.shape[:-1])

    def log_density(self, colours: Tensor) -> Tensor:
        """[...] up to a constant that all distributions share."""
        return -0.5 * (self.distance(colours) + self.log_volume)


class Mixture(NamedTuple):
    """Several normal distributions and their logarithmic shares."""

    members: list[Colour]
    log_shares: list[float]

    def log_density(self, colours: Tensor) -> Tensor:
        """[...] of [..., 3], up to the same constant."""
        members = zip(self.members, self.log_shares, strict=True)
        return torch.stack([share + member.log_density(colours) for member, share in members]).logsumexp(0)


def local_colours(picture: Tensor) -> Tensor:
    """[H, W, 3] sRGB of 0 to 1 of a picture of bytes, averaged over three pixels."""
    planes = picture.permute(2, 0, 1).float() / 255
    return avg_pool2d(planes, 3, 1, 1, count_include_pad=False).permute(1, 2, 0)


def distribution(colours: Tensor) -> Colour | None:
    """The normal distribution of the most typical of [N, 3]; None of too few."""
    if len(colours) < LEAST_SAMPLES:
        return None
    mean = colours.median(0).values
    return _normal(mean, typical(colours) - mean)


def typical(colours: Tensor) -> Tensor:
    """[K, 3] of [N, 3]: those nearest to their median, without what is there by mistake."""
    squared = (colours - colours.median(0).values).square().sum(1)
    return colours[squared <= squared.sort().values[int(_TYPICAL * (len(colours) - 1))]]


def mixture(colours: Tensor, count: int) -> Mixture | None:
    """At most `count` normal distributions that make up [N, 3], by k-means from far apart starts; None of too few."""
    if len(colours) < LEAST_SAMPLES:
        return None
    samples = colours[:: -(-len(colours) // _MOST_SAMPLES)]
    centers = samples.median(0).values[None]
    for _ in range(count - 1):
        distance = torch.cdist(samples, centers).amin(1)
        far = distance >= distance.quantile(0.95)
        centers = torch.cat([centers, samples[far].median(0).values[None]])
    for _ in range(_ROUNDS):
        nearest = torch.cdist(samples, centers).argmin(1)
        centers = torch.stack(
            [
                samples[nearest == k].mean(0) if bool((nearest == k).any()) else center
                for k, center in enumerate(centers)
            ]
        )
    nearest = torch.cdist(samples, centers).argmin(1)
    members, shares = [], []
    for index, center in enumerate(centers):
        own = samples[nearest == index]
        if len(own) >= _LEAST_SHARE * len(samples):
            members.append(_normal(center, own - center))
            shares.append(float(torch.tensor(len(own) / len(samples)).log()))
    return Mixture(members, shares)


def _normal(mean: Tensor, away: Tensor) -> Colour:
    covariance = away.T @ away / len(away) + _NOISE**2 * torch.eye(3)
    return Colour(mean, torch.linalg.inv(covariance), float(torch.logdet(covariance)))

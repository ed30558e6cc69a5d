"""The objective of stage 2: what a rendered frame and the avatar behind it should look like."""

from dataclasses import dataclass

import torch
from training_kernels import Neighbours, Ranges, gaussian_priors

from ..avatar import Avatar, PosedGaussians
from ..images.compositing import prediction_on_black, truth_on_black
from ..images.ssim import ssim_map
from .config import GaussianConfig
from .frames import FrameInputs
from .level import Level, SkinPrior
from .light import light_smoothness
from .priors import albedo_smoothness, neighbours, part_ranges, stiffness

_OPAQUE = 255
_HALVINGS = 2
# What `gaussian_priors` returns.
GAUSSIAN_TERMS = "surface", "size", "materials", "opacity_floor", "normal_offset", "opacity_entropy"
# Share of the steps from which opacities are driven to 0 or 1.
ENTROPY_START = 2 / 3


@dataclass(frozen=True)
class AvatarPriors:
    """Lookups that change only when Gaussians are rearranged."""

    ranges: Ranges
    pairs: Neighbours
    """For albedo smoothness."""
    stiffness: torch.Tensor
    """[P, 1] of normals."""
    level: Level

    @classmethod
    def of(cls, avatar: Avatar, config: GaussianConfig, skin: SkinPrior) -> "AvatarPriors":
        """The lookups of the avatar as it stands."""
        surface, region = avatar.attachment.interpolate(avatar.head.vertices, avatar.head.faces), avatar.region()
        return cls(
            part_ranges(region, surface, config.max_scale_mm),
            neighbours(surface, region),
            stiffness(region),
            Level.of(region, skin),
        )


def picture_terms(color: torch.Tensor, alpha: torch.Tensor, target: FrameInputs) -> dict[str, torch.Tensor]:
    """Terms that compare a premultiplied linear picture [H, W, 3] and its alpha with the target."""
    weight = target.weight[..., None]
    predicted = prediction_on_black(color, alpha) * weight
    wanted = target.image * weight
    return {
        "l1": (predicted - wanted).abs().mean(),
        "dssim": 1 - ssim_map(predicted, wanted).mean(),
        "multiscale": _coarse_dssim(predicted, wanted),
        "alpha": ((alpha - target.alpha) * target.weight).abs().mean(),
    }


def _coarse_dssim(predicted: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Mean of 1 - SSIM over the halvings of two pictures [H, W, 3]: their structure beyond the reach of a window."""
    likeness = []
    for _ in range(_HALVINGS):
        predicted, wanted = _halved(predicted), _halved(wanted)
        likeness.append(ssim_map(predicted, wanted).mean())
    return 1 - torch.stack(likeness).mean()


def _halved(image: torch.Tensor) -> torch.Tensor:
    height, width, channels = image.shape
    even = image[: height // 2 * 2, : width // 2 * 2]
    return even.reshape(height // 2, 2, width // 2, 2, channels).mean((1, 3))


def albedo_term(albedo: torch.Tensor, alpha: torch.Tensor, target: FrameInputs) -> torch.Tensor:
    """Mean absolute sRGB difference of a premultiplied albedo [H, W, 3] to the pseudo-albedo, where that is opaque."""
    assert target.albedo is not None
    weight = target.weight[..., None] * (target.albedo[..., 3:] == _OPAQUE)
    return ((prediction_on_black(albedo, alpha) - truth_on_black(target.albedo)) * weight).abs().mean()


def prior_terms(
    neutral: dict[str, torch.Tensor],
    gaussians: PosedGaussians,
    envmap: torch.Tensor,
    priors: AvatarPriors,
    late: bool,
) -> dict[str, torch.Tensor]:
    """Terms that need no picture; `late` says whether ENTROPY_START has passed.

    Args:
        neutral: raw parameters of the avatar.
    """
    means = gaussian_priors(
        neutral["position"],
        gaussians.scales,
        gaussians.roughness,
        gaussians.specular_albedo[:, :1],
        gaussians.opacities,
        priors.stiffness * neutral["normal_offset"],
        priors.ranges,
    )
    terms = dict(zip(GAUSSIAN_TERMS, means.unbind(), strict=True))
    if not late:
        del terms["opacity_entropy"]
    return terms | {
        "light_smoothness": light_smoothness(envmap),
        "level": priors.level.improbability(gaussians, envmap),
        "albedo_smoothness": albedo_smoothness(gaussians.albedo, priors.pairs),
    }

"""The objective of stage 2: what a rendered frame and the avatar behind it should look like."""

from dataclasses import dataclass

import torch

from ..avatar import Avatar, PosedGaussians
from ..images.compositing import prediction_on_black, truth_on_black
from ..images.ssim import ssim_map
from ..units import MILLIMETRE
from .config import GaussianConfig
from .frames import FrameInputs
from .level import Level, SkinPrior
from .light import light_smoothness
from .priors import Pairs, PartPriors, albedo_smoothness, neighbours, normal_smoothness, opacity_entropy

_OPAQUE = 255
_HALVINGS = 2
# Share of the steps from which opacities are driven to 0 or 1, and fine detail counts.
LATE_START = 2 / 3


@dataclass(frozen=True)
class AvatarPriors:
    """Lookups that change only when Gaussians are rearranged."""

    parts: PartPriors
    pairs: Pairs
    """Neighbours for albedo smoothness."""
    level: Level
    surface: torch.Tensor
    """[P, 3] the attached points of the neutral mesh."""

    @classmethod
    def of(cls, avatar: Avatar, skin: SkinPrior) -> "AvatarPriors":
        """The lookups of the avatar as it stands."""
        surface = avatar.attachment.interpolate(avatar.head.vertices, avatar.head.faces)
        return cls(
            PartPriors.of(avatar),
            neighbours(surface, avatar.region()),
            Level.of(avatar.region(), skin),
            surface,
        )


def picture_terms(color: torch.Tensor, alpha: torch.Tensor, target: FrameInputs) -> dict[str, torch.Tensor]:
    """Terms that compare a premultiplied linear picture [H, W, 3] and its alpha with the target."""
    predicted, wanted = _compared(color, alpha, target)
    return {
        "l1": (predicted - wanted).abs().mean(),
        "dssim": 1 - ssim_map(predicted, wanted).mean(),
        "multiscale": _coarse_dssim(predicted, wanted),
        "alpha": ((alpha - target.alpha) * target.weight).abs().mean(),
    }


def feature_term(color: torch.Tensor, alpha: torch.Tensor, target: FrameInputs) -> torch.Tensor:
    """Absolute sRGB difference on black in eyes and mouth, summed there and divided by the whole picture's pixels, so
    that a weight counts those pixels as often again as the same weight of `l1` does."""
    predicted, wanted = _compared(color, alpha, target)
    return ((predicted - wanted).abs() * target.features[..., None]).mean()


def gradient_term(color: torch.Tensor, alpha: torch.Tensor, target: FrameInputs) -> torch.Tensor:
    """Mean absolute difference of the differences between neighbouring pixels, sRGB on black: of fine detail alone."""
    predicted, wanted = _compared(color, alpha, target)
    error = predicted - wanted
    return (error.diff(dim=0).abs().mean() + error.diff(dim=1).abs().mean()) / 2


def _compared(color: torch.Tensor, alpha: torch.Tensor, target: FrameInputs) -> tuple[torch.Tensor, torch.Tensor]:
    """The picture and its target, sRGB on black [H, W, 3] each, black where the avatar is not responsible."""
    weight = target.weight[..., None]
    return prediction_on_black(color, alpha) * weight, target.image * weight


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
    avatar: Avatar,
    gaussians: PosedGaussians,
    envmap: torch.Tensor,
    priors: AvatarPriors,
    config: GaussianConfig,
    late: bool,
) -> dict[str, torch.Tensor]:
    """Terms that need no picture; `late` says whether LATE_START has passed."""
    distance = (avatar.neutral["position"] - priors.surface).norm(dim=1)
    excess = (gaussians.scales * (1 / MILLIMETRE) - config.max_scale_mm).clamp_min(0)
    terms = {
        "surface": ((distance - priors.parts.reach).clamp_min(0) * (1 / MILLIMETRE)).square().mean(),
        "size": excess.square().mean(),
        "light_smoothness": light_smoothness(envmap),
        "level": priors.level.improbability(gaussians, envmap),
        "albedo_smoothness": albedo_smoothness(gaussians.albedo, priors.pairs),
        "materials": priors.parts.materials(gaussians),
        "brightest": priors.parts.too_bright(gaussians.albedo),
        "opacity_floor": priors.parts.opacity_floor(gaussians),
        **priors.parts.leaning(avatar.neutral["normal_offset"]),
        "normal_smoothness": normal_smoothness(avatar.lean(gaussians), priors.pairs),
        "deltas": avatar.deltas.square().mean() if len(avatar.deltas) else envmap.new_zeros(()),
    }
    if late:
        terms["opacity_entropy"] = opacity_entropy(gaussians.opacities)
    return terms

"""Every setting of `rgb retrack`, with its unit and why it exists."""

from pydantic import Field

from ..geometry.config import TrackingErrors
from ..settings import Settings


class RetrackingRates(Settings):
    """Largest step of every coefficient per sweep at the start; all decay geometrically to `final` of themselves."""

    rotation: float = Field(0.12, gt=0, description="joint rotation, degrees")
    translation: float = Field(0.3, gt=0, description="mm")
    expression: float = Field(0.015, gt=0, description="expression coefficient")
    final: float = Field(0.1, gt=0, le=1, description="share of each rate left at the last sweep")


class RetrackingWeights(Settings):
    """Weight of every term of the objective, per frame; 0 switches a term off."""

    l1: float = Field(0.8, ge=0, description="absolute sRGB difference on black, which outliers pull at no harder")
    dssim: float = Field(0.2, ge=0, description="1 - SSIM")
    multiscale: float = Field(0.6, ge=0, description="1 - SSIM at half and a quarter of the size, mean")
    alpha: float = Field(0.5, ge=0, description="absolute difference of alpha and matte")
    tracking: float = Field(5.0e-5, ge=0, description="squared deviation from the tracked start in expected errors")
    temporal: float = Field(5.0e-5, ge=0, description="robust second difference over time in units of `smooth_*`")


class RetrackingConfig(Settings):
    """One run of `rgb retrack`."""

    rounds: int = Field(0, ge=0, le=1, description="times that a video's clip is tracked again with its first avatar")
    further_steps: float = Field(
        0.25, gt=0, le=1, description="share of stage 2's steps that it goes on for afterwards"
    )
    further_rates: float = Field(0.3, gt=0, le=1, description="share of stage 2's learning rates that it goes on with")
    image_size: int = Field(256, ge=32, le=4096, description="longer side of the pictures at the end, pixels")
    levels: int = Field(2, ge=1, le=4, description="sizes from coarse to fine, each twice the one before")
    sweeps: int = Field(40, gt=0, description="steps over all frames, shared out among the levels")
    checkpoint_every: int = Field(10, gt=0, description="sweeps between checkpoints")
    visibility_cache_mb: int = Field(4096, ge=0, description="memory for visibility bits of the frames")
    rates: RetrackingRates = RetrackingRates()
    losses: RetrackingWeights = RetrackingWeights()
    tracking: TrackingErrors = TrackingErrors(
        rotation_deg=1.0,
        translation_mm=2.0,
        expression=0.1,
        smooth_rotation_deg=0.4,
        smooth_translation_mm=0.5,
        smooth_expression=0.04,
    )

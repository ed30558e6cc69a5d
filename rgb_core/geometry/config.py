"""Every setting of `fit-geometry`, with its unit and why it exists."""

from pydantic import Field

from ..settings import Settings


class GeometryRates(Settings):
    """Step sizes at the start; all decay geometrically to `final` of themselves."""

    offset: float = Field(0.15, gt=0, description="largest move of a neutral offset per step, mm")
    hair: float = Field(0.5, gt=0, description="largest growth of the hair per step, mm")
    expression_offset: float = Field(0.01, gt=0, description="move of an expression handle per step, mm")
    albedo: float = Field(0.02, gt=0, description="log albedo per step")
    light: float = Field(0.01, gt=0, description="spherical-harmonic coefficient per step, for skin of albedo 0.4")
    rotation: float = Field(0.05, gt=0, description="joint rotation per visit of a frame, degrees")
    translation: float = Field(0.1, gt=0, description="per visit of a frame, mm")
    expression: float = Field(0.003, gt=0, description="coefficient per visit of a frame")
    focal: float = Field(1.0e-4, gt=0, description="log focal length per step")
    final: float = Field(0.1, gt=0, le=1, description="share of each rate left at the last step")


class GeometryWeights(Settings):
    """Weight of every term of the objective; 0 switches a term off."""

    silhouette: float = Field(1.0, ge=0, description="squared error of the mask, per root of the head's pixels")
    shading: float = Field(270.0, ge=0, description="robust sRGB difference of the shaded mesh and the picture")
    laplacian: float = Field(5.0, ge=0, description="bending of the offsets from the head model, squared, per cm")
    normal: float = Field(100.0, ge=0, description="1 - cosine to the normal maps, where a folder of them is given")
    normal_consistency: float = Field(1.0, ge=0, description="change of the angles between neighbour faces, squared")
    offset_size: float = Field(0.02, ge=0, description="squared mm of the neutral offsets, mean, softer off the face")
    hair_slope: float = Field(0.3, ge=0, description="squared slope of the hair's height over the skull, mean")
    expression_size: float = Field(0.1, ge=0, description="squared mm of the expression corrections, mean")
    tracking: float = Field(0.05, ge=0, description="squared correction in units of the expected error")
    temporal: float = Field(0.05, ge=0, description="robust second difference over time in units of `smooth_*`")


class TrackingErrors(Settings):
    """How far the tracking may be off (one standard deviation), and how smoothly a head moves between frames.

    Root and joints that jitter more than is expected here are corrected by as much as they jitter.
    """

    rotation_deg: float = Field(0.25, gt=0, description="expected error of a joint rotation, degrees per axis")
    translation_mm: float = Field(0.5, gt=0, description="expected error of the translation, mm per axis")
    expression: float = Field(0.02, gt=0, description="expected error of an expression coefficient")
    focal: float = Field(0.001, gt=0, description="expected relative error of the focal length")
    smooth_rotation_deg: float = Field(0.4, gt=0, description="expected second difference of rotations, degrees")
    smooth_translation_mm: float = Field(0.3, gt=0, description="expected second difference of the translation, mm")
    smooth_expression: float = Field(0.03, gt=0, description="expected second difference of expression coefficients")


class GeometryConfig(Settings):
    """One run of `fit-geometry`."""

    image_size: int = Field(256, ge=32, le=4096, description="longer side of the training images, pixels")
    steps: int = Field(600, gt=0, description="optimisation steps")
    batch: int = Field(8, gt=0, description="frames per step")
    warmup: float = Field(0.25, ge=0, lt=1, description="share of the steps on silhouettes alone, at half resolution")
    smooth_start_mm: float = Field(25.0, gt=0, description="length over which gradients are smoothed at first")
    smooth_end_mm: float = Field(4.0, gt=0, description="the same length at the end")
    subdivide: int = Field(0, ge=0, le=1, description="1 splits every triangle of the head model into four")
    handles: int = Field(150, gt=0, description="points whose moves, spread smoothly, make an expression correction")
    refine_tracking: bool = Field(True, description="correct pose, expression, focal length of the clip")
    expression_corrections: bool = Field(True, description="correct how expressions deform the head")
    semantics: bool = Field(True, description="use the labels of frames that have them")
    shading: bool = Field(True, description="use colours: albedo per vertex under a low-order light")
    checkpoint_every: int = Field(200, gt=0, description="steps between checkpoints")
    rates: GeometryRates = GeometryRates()
    losses: GeometryWeights = GeometryWeights()
    tracking: TrackingErrors = TrackingErrors()

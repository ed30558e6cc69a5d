"""Every setting of `fit-gaussians`, with its unit and why it exists."""

from pydantic import Field

from ..settings import Settings


class LearningRates(Settings):
    """Adam step sizes at the start, per step; all decay geometrically to `final` of themselves."""

    position: float = Field(1.0e-4, gt=0, description="metres")
    rotation: float = Field(2.0e-3, gt=0, description="quaternion units")
    log_scale: float = Field(8.0e-3, gt=0, description="log metres")
    opacity: float = Field(0.03, gt=0, description="logit")
    albedo: float = Field(0.02, gt=0, description="logit")
    roughness: float = Field(0.01, gt=0, description="logit")
    specular: float = Field(0.01, gt=0, description="logit")
    deltas: float = Field(1.0e-3, gt=0, description="in units of the per-channel delta scale")
    normal_offset: float = Field(5.0e-3, gt=0, description="in units of the mesh's unit normal")
    tracking: float = Field(0.02, gt=0, description="hundredths of a radian and millimetres")
    level: float = Field(3.0e-3, gt=0, description="log factor of all albedos, by which the light is divided")
    light: float = Field(0.06, gt=0, description="softplus argument, relative to the initial radiance")
    final: float = Field(0.1, gt=0, le=1, description="share of each rate left at the last step")


class LossWeights(Settings):
    """Weight of every term of the objective; 0 switches a term off."""

    l1: float = Field(0.8, ge=0, description="absolute sRGB difference on black")
    dssim: float = Field(0.2, ge=0, description="1 - SSIM")
    multiscale: float = Field(0.6, ge=0, description="1 - SSIM at half and a quarter of the size, mean")
    alpha: float = Field(0.5, ge=0, description="absolute difference of alpha and matte")
    surface: float = Field(20.0, ge=0, description="squared mm of a Gaussian beyond the reach of its surface, mean")
    size: float = Field(0.05, ge=0, description="squared mm of axes beyond `max_scale_mm`, mean")
    light_smoothness: float = Field(0.002, ge=0, description="total variation of log radiance, by solid angle")
    albedo_smoothness: float = Field(0.1, ge=0, description="robust log-albedo difference of neighbours, eyes apart")
    materials: float = Field(0.05, ge=0, description="hinges on roughness and specular albedo by part of the head")
    level: float = Field(
        1.0e-3, ge=0, description="half the squared deviations of skin and light from what is known of them"
    )
    deltas: float = Field(0.01, ge=0, description="mean square of the learned expression deltas")
    normal_offset: float = Field(
        0.1, ge=0, description="mean square of the normals' offsets from the mesh's; those of hair cost a third"
    )
    tracking: float = Field(1.0e-3, ge=0, description="mean square of the corrections, in the units of their rate")
    pseudo_albedo: float = Field(0.3, ge=0, description="absolute sRGB difference to given albedo pictures; fades to 0")
    opacity_floor: float = Field(
        2.0, ge=0, description="squared lack of opacity of face, ears, lips and the inside of the head below 0.6, mean"
    )
    opacity_entropy: float = Field(0.002, ge=0, description="binary entropy of opacity, in the last third")


class DensityControl(Settings):
    """When and how Gaussians are cloned, split and pruned."""

    start: float = Field(0.08, ge=0, le=1, description="share of the steps before the first event")
    stop: float = Field(0.6, ge=0, le=1, description="share of the steps after which their number stays")
    interval: int = Field(100, gt=0, description="steps between events until `stop`")
    late_interval: int = Field(100, gt=0, description="steps between events after `stop`: no growth")
    gradient: float = Field(
        2.0e-4, gt=0, description="mean screen-space gradient (NDC) from which a Gaussian multiplies"
    )
    split_mm: float = Field(2.5, gt=0, description="longest axis above which it splits instead of cloning")
    min_opacity: float = Field(0.01, gt=0, lt=1, description="Gaussians below are removed")
    max_gaussians: int = Field(70_000, gt=0, description="hard cap")


class GaussianConfig(Settings):
    """One run of `fit-gaussians`."""

    image_size: int = Field(512, ge=32, le=4096, description="longer side of the training images, pixels")
    steps: int = Field(12_000, gt=0, description="optimisation steps, one frame each")
    gaussians: int = Field(50_000, gt=0, description="Gaussians sampled on the mesh at the start")
    warmup: float = Field(0.02, ge=0, lt=1, description="share of the steps under the first light, materials frozen")
    light_height: int = Field(16, ge=4, le=128, description="rows of the environment map; it has twice as many columns")
    skin_luminance: float | None = Field(
        None, gt=0, lt=1, description="mean linear albedo of the face, where it is known; else found from the pictures"
    )
    consistency: bool = Field(True, description="weight learned expression changes by how far the mesh moves there")
    antialias: bool = Field(True, description="Gaussians cover as much in pictures of any size")
    one_bounce: bool = Field(True, description="replace blocked light by light from the blocking skin")
    traced_bounce: bool = Field(True, description="which skin blocks is traced, else it is taken to be like the point")
    normal_offsets: float = Field(
        0.4, ge=0, le=1, description="share of the steps from which normals may lean from the mesh's; 1: never"
    )
    refine_tracking: bool = Field(True, description="move and turn the head of every training frame a little")
    max_scale_mm: float = Field(5.0, gt=0, description="longest axis of a Gaussian that costs nothing")
    visibility_cache_mb: int = Field(4096, ge=0, description="memory for visibility bits of training frames")
    checkpoint_every: int = Field(500, gt=0, description="steps between checkpoints")
    learning_rates: LearningRates = LearningRates()
    losses: LossWeights = LossWeights()
    density: DensityControl = DensityControl()

    def going_on(self, steps: int, rate: float) -> "GaussianConfig":
        """The settings of `steps` more for an avatar that is fitted already, at the share `rate` of the learning rates.

        There is no warm-up, nothing multiplies, and the rates end where a first fit's do.
        """
        rates = self.learning_rates
        scaled = {name: rate * value for name, value in rates.model_dump(exclude={"final"}).items()}
        return self.model_copy(
            update={
                "steps": steps,
                "warmup": 0.0,
                "normal_offsets": 0.0 if self.normal_offsets < 1 else 1.0,
                "density": self.density.model_copy(update={"stop": 0.0}),
                "learning_rates": rates.model_copy(update={**scaled, "final": min(1.0, rates.final / rate)}),
            }
        )

"""The API of the original diff-gaussian-rasterization, on top of this package's rasteriser."""

import weakref
from typing import Any, NamedTuple

import numpy as np
import torch
from kernel_runtime import ArgumentError, check_tensor, device_of

from . import spherical_harmonics
from .ops import rasterize, rasterize_covariances, rasterize_view
from .splatting import Rasterization

NEAR = 0.2  # depth in scene units up to which upstream culls
_TOLERANCE = 1e-3  # relative, when fields that say the same are compared
_MOST_CAMERAS = 4096  # that are remembered as checked


class GaussianRasterizationSettings(NamedTuple):
    """A camera and how to render; matrices are transposed (row vectors times matrix)."""

    image_height: int
    image_width: int
    tanfovx: float
    tanfovy: float
    bg: torch.Tensor  # [3]
    scale_modifier: float
    viewmatrix: torch.Tensor  # [4,4] world to camera
    projmatrix: torch.Tensor  # [4,4] world to clip space
    sh_degree: int
    campos: torch.Tensor  # [3]
    prefiltered: bool  # no effect: Gaussians behind the camera are always culled
    debug: bool  # no effect: arguments are always checked


def _check_camera(settings: GaussianRasterizationSettings) -> tuple[float, float, float, float]:
    """Focal lengths and principal point in pixels, from the projection matrix; reads the matrices back."""
    # Both at once: a single copy from the device. numpy takes a tenth of torch's time for such small matrices.
    matrices = torch.stack([settings.viewmatrix.detach(), settings.projmatrix.detach()]).cpu().double().numpy()
    view, full = matrices.transpose(0, 2, 1)
    projection = full @ np.linalg.inv(view)
    projection /= projection[3, 2]
    pinhole = np.zeros((3, 4))
    for axis in (0, 1):
        pinhole[axis, [axis, 2]] = projection[axis, [axis, 2]]
    pinhole[2, 2] = 1
    if not np.abs(projection[[0, 1, 3]] - pinhole).max() <= _TOLERANCE * max(1.0, np.abs(pinhole).max()):
        raise ArgumentError("projmatrix: expected viewmatrix @ (pinhole projection without skew), both transposed")
    for name, tangent, axis in (("tanfovx", settings.tanfovx, 0), ("tanfovy", settings.tanfovy, 1)):
        if abs(float(pinhole[axis, axis]) * tangent - 1) > _TOLERANCE:
            raise ArgumentError(f"{name}: {tangent} contradicts projmatrix, expected {1 / float(pinhole[axis, axis])}")
    half_width, half_height = settings.image_width / 2, settings.image_height / 2
    return (
        half_width * float(pinhole[0, 0]),
        half_height * float(pinhole[1, 1]),
        half_width * (1 + float(pinhole[0, 2])),
        half_height * (1 + float(pinhole[1, 2])),
    )


def _given(tensor: torch.Tensor | None) -> bool:
    """Upstream marks an absent argument by None or by an empty tensor."""
    return tensor is not None and tensor.numel() > 0


def render(
    means3D: torch.Tensor,
    means2D: torch.Tensor,
    sh: torch.Tensor | None,
    colors_precomp: torch.Tensor | None,
    opacities: torch.Tensor,
    scales: torch.Tensor | None,
    rotations: torch.Tensor | None,
    cov3Ds_precomp: torch.Tensor | None,
    raster_settings: GaussianRasterizationSettings,
    alpha_point_id: int | None = None,
) -> Rasterization:
    """What `rasterize_gaussians` selects from, its image [3,H,W] over the background.

    On a GPU there are neither alpha nor instances without an `alpha_point_id`.
    """
    settings, points = raster_settings, len(means3D)
    given = [tensor for tensor in (sh, colors_precomp, scales, rotations, cov3Ds_precomp) if _given(tensor)]
    kind = device_of("rasterize_gaussians", means3D, means2D, opacities, *given)
    colors, covariances = colors_precomp, cov3Ds_precomp if _given(cov3Ds_precomp) else None
    if points == 0:  # when nothing tells absent arguments from empty ones
        colors, scales, rotations = (means3D.new_zeros(0, size) for size in (3, 3, 4))
        covariances = None
    elif _given(sh):
        directions = torch.nn.functional.normalize(means3D - settings.campos, dim=1)
        colors = spherical_harmonics.colors(settings.sh_degree, sh, directions)
    if kind == "cuda":
        return _render_on_gpu(
            means3D, means2D, colors, opacities, scales, rotations, covariances, settings, alpha_point_id
        )
    # Blending colour - background on black equals blending colour over the background, with the exact gradients.
    scene = opacities, colors - settings.bg, settings.viewmatrix.T[:3], _check_camera(settings)
    options = settings.image_width, settings.image_height, means2D[:, :2], NEAR, alpha_point_id or 0
    if covariances is not None:
        result = rasterize_covariances(means3D, covariances.double(), *scene, *options)
    else:
        result = rasterize(means3D, rotations, scales * settings.scale_modifier, *scene, *options)
    return result._replace(image=(result.image + settings.bg).permute(2, 0, 1))


def _render_on_gpu(
    means: torch.Tensor,
    screen_points: torch.Tensor,
    colors: torch.Tensor,
    opacities: torch.Tensor,
    scales: torch.Tensor,
    rotations: torch.Tensor,
    covariances: torch.Tensor | None,
    settings: GaussianRasterizationSettings,
    alpha_point_id: int | None,
) -> Rasterization:
    """The same by kernels that take everything as it comes, so that no torch operation runs beside them."""
    from . import cuda

    points = len(means)
    if covariances is not None:
        shape = (check_tensor("cov3D_precomp", covariances.double(), (points, 6), torch.float64),)
    else:
        shape = check_tensor("rotations", rotations, (points, 4)), check_tensor("scales", scales, (points, 3))
    _known_cameras.check(settings)
    matrices = [_on_device(m, means, (4, 4)) for m in (settings.viewmatrix, settings.projmatrix)]
    width, height = settings.image_width, settings.image_height
    view = cuda.View(
        (), 1, None, None, (0.0,) * 4, width, height, -(-height // cuda.TILE), -(-width // cuda.TILE), NEAR, False,
        tuple(matrices), settings.scale_modifier, _on_device(settings.bg, means, (3,)).contiguous(), True,
        alpha_point_id is None,
    )  # fmt: skip
    return rasterize_view(
        cuda, check_tensor("means3D", means, (points, 3)), shape, check_tensor("opacities", opacities, (points, 1)),
        check_tensor("colors_precomp", colors, (points, 3)), check_tensor("means2D", screen_points, (points, 3)), view,
        alpha_point_id or 0, None,
    )  # fmt: skip


def _on_device(tensor: torch.Tensor, like: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """A setting as float32 on the device of `like`, with any strides."""
    if tensor.shape != shape:
        raise ArgumentError(f"raster_settings: expected a tensor of shape {list(shape)}, got {list(tensor.shape)}")
    if tensor.dtype == torch.float32 and tensor.device == like.device:
        return tensor.detach() if tensor.requires_grad else tensor
    return tensor.detach().to(like.device, torch.float32)


class _KnownCameras:
    """Cameras that were checked already, since a look at matrices on a device waits for it."""

    def __init__(self) -> None:
        self._known: dict[tuple[Any, ...], tuple[weakref.ref, weakref.ref]] = {}

    def check(self, settings: GaussianRasterizationSettings) -> None:
        """Raise ArgumentError unless the settings are those of a pinhole camera."""
        view, full = settings.viewmatrix, settings.projmatrix
        if view.is_inference() or full.is_inference():  # which tell no version
            _check_camera(settings)
            return
        key = (
            id(view), view._version, id(full), full._version, settings.tanfovx, settings.tanfovy, settings.image_width,
            settings.image_height,
        )  # fmt: skip
        known = self._known.get(key)
        if known is None or known[0]() is not view or known[1]() is not full:
            _check_camera(settings)
            if len(self._known) >= _MOST_CAMERAS:
                self._known.clear()
            self._known[key] = weakref.ref(view), weakref.ref(full)


_known_cameras = _KnownCameras()


def rasterize_gaussians(
    means3D: torch.Tensor,
    means2D: torch.Tensor,
    sh: torch.Tensor | None,
    colors_precomp: torch.Tensor | None,
    opacities: torch.Tensor,
    scales: torch.Tensor | None,
    rotations: torch.Tensor | None,
    cov3Ds_precomp: torch.Tensor | None,
    raster_settings: GaussianRasterizationSettings,
    alpha_point_id: int | None = None,
) -> tuple[torch.Tensor, ...]:
    """Render Gaussians over a background.

    Args:
        means3D: [P,3].
        means2D: [P,3] zeros; x and y of the gradient are d loss / d (projected mean in -1..1), z is 0.
        sh: [P,M,3] coefficients, or None with `colors_precomp` [P,3].
        opacities: [P,1].
        scales, rotations: [P,3] and unit quaternions [P,4] wxyz, or None with `cov3Ds_precomp` [P,6].
        raster_settings: camera, background, scale factor and degree.
        alpha_point_id: also return the alpha of the Gaussians of this index and above, as the fork of Gaussian
            Blendshapes does; the gradient of means2D is that of the colour alone.

    Returns:
        colour [3,H,W] and radii [P] int32 (0 = not visible), with an `alpha_point_id` alpha [H,W] between them.

    Raises:
        ArgumentError: a shape, dtype or device does not fit, or the matrices are not a pinhole camera.
    """
    result = render(
        means3D, means2D, sh, colors_precomp, opacities, scales, rotations, cov3Ds_precomp, raster_settings,
        alpha_point_id,
    )  # fmt: skip
    if alpha_point_id is None:
        return result.image, result.radii
    return result.image, result.alpha, result.radii


def visible(positions: torch.Tensor, viewmatrix: torch.Tensor) -> torch.Tensor:
    """Which positions [P,3] lie in front of the near plane, bool [P]."""
    return positions.detach() @ viewmatrix[:3, 2] + viewmatrix[3, 2] > NEAR


class GaussianRasterizer(torch.nn.Module):
    """`rasterize_gaussians` with fixed settings."""

    def __init__(self, raster_settings: GaussianRasterizationSettings):
        super().__init__()
        self.raster_settings = raster_settings

    def markVisible(self, positions: torch.Tensor) -> torch.Tensor:
        """Which positions [P,3] lie in front of the near plane, bool [P]."""
        return visible(positions, self.raster_settings.viewmatrix)

    def forward(
        self,
        means3D: torch.Tensor,
        means2D: torch.Tensor,
        opacities: torch.Tensor,
        shs: torch.Tensor | None = None,
        colors_precomp: torch.Tensor | None = None,
        scales: torch.Tensor | None = None,
        rotations: torch.Tensor | None = None,
        cov3D_precomp: torch.Tensor | None = None,
        alpha_point_id: int | None = None,
    ) -> tuple[torch.Tensor, ...]:
        """Colour [3,H,W] and radii [P]; see `rasterize_gaussians`."""
        if (shs is None) == (colors_precomp is None):
            raise ArgumentError("shs, colors_precomp: give exactly one of them")
        has_factors = scales is not None and rotations is not None
        if has_factors == (cov3D_precomp is not None) or (scales is None) != (rotations is None):
            raise ArgumentError("scales and rotations, cov3D_precomp: give either the pair or the covariances")
        return rasterize_gaussians(
            means3D,
            means2D,
            shs,
            colors_precomp,
            opacities,
            scales,
            rotations,
            cov3D_precomp,
            self.raster_settings,
            alpha_point_id,
        )

"""The rasteriser's contract: argument checks and autograd around the kernels."""

import math

import torch
from kernel_runtime import ArgumentError, check_tensor, require_cpu
from torch.autograd.function import once_differentiable

from . import cpu
from .splatting import Rasterization


class _Covariances(torch.autograd.Function):
    @staticmethod
    def forward(ctx, rotations, scales):
        ctx.save_for_backward(rotations, scales)
        return cpu.covariances(rotations, scales)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        return cpu.covariance_gradients(*ctx.saved_tensors, grad)


class _Rasterize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, means, covariances, opacities, features, screen_points, view, alpha_point_id):
        image, alpha, radii, ctx.lists = cpu.forward(means, covariances, opacities, features, view, alpha_point_id)
        ctx.save_for_backward(means, covariances, opacities)
        ctx.view = view
        ctx.mark_non_differentiable(radii)
        return image, alpha, radii

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_image, grad_alpha, _):
        *gradients, grad_screen = cpu.backward(*ctx.saved_tensors, ctx.view, ctx.lists, grad_image, grad_alpha)
        return *gradients, grad_screen if ctx.needs_input_grad[4] else None, None, None


def rasterize(
    means: torch.Tensor,  # [P,3]
    rotations: torch.Tensor,  # [P,4]
    scales: torch.Tensor,  # [P,3]
    opacities: torch.Tensor,  # [P,1]
    features: torch.Tensor,  # [P,C]
    world_to_camera: torch.Tensor,  # [3,4]
    intrinsics: tuple[float, float, float, float],
    width: int,
    height: int,
    screen_points: torch.Tensor | None = None,  # [P,2]
    near: float = 0.05,
    alpha_point_id: int = 0,
) -> Rasterization:
    """Render 3D Gaussians with any number of feature channels (Kerbl et al. 2023, without view-dependent colour).

    Gaussians are projected by the local affine approximation (EWA), widened by a 0.3 px^2 low-pass and blended nearest
    first, equal depths by index. A pixel skips alpha below 1/255, caps it at 0.99 and is finished before its
    transmittance would fall below 1e-4. Gradients are exact: the cap, the limit of the Jacobian and the scale
    all count.

    Args:
        means: world positions in metres.
        rotations: unit quaternions wxyz. They are not normalised here and the gradient is that of the plain formula.
        scales: standard deviations in metres along the rotated axes.
        opacities: 0..1.
        features: any values, float32 like all tensors here.
        world_to_camera: OpenCV (x right, y down, z forward). It gets no gradient.
        intrinsics: fx, fy, cx, cy in pixels; pixel (0, 0) covers 0..1, so its centre is (0.5, 0.5).
        width, height: pixels.
        screen_points: zeros whose gradient becomes that of the image loss, without the alpha loss, by the projected
            mean in normalised device coordinates (-1..1 over the image): the statistic that density control reads.
        near: Gaussians whose camera depth in metres is not greater are culled.
        alpha_point_id: only Gaussians of this index and above count in the alpha output.

    Returns:
        image [H,W,C] premultiplied on black, alpha [H,W], radii [P].

    Raises:
        ArgumentError: a shape, dtype, device or range does not fit.
    """
    covariances = world_covariances(rotations, scales)
    return rasterize_covariances(
        means, covariances, opacities, features, world_to_camera, intrinsics, width, height, screen_points, near,
        alpha_point_id,
    )  # fmt: skip


def world_covariances(rotations: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
    """Upper triangles (xx, xy, xz, yy, yz, zz) of R diag(scales^2) R^T, [P,6] float64, from [P,4] and [P,3]."""
    require_cpu("rasterize", rotations, scales)
    scales = check_tensor("scales", scales, (None, 3))
    rotations = check_tensor("rotations", rotations, (len(scales), 4))
    return _Covariances.apply(rotations, scales)


def rasterize_covariances(
    means: torch.Tensor,
    covariances: torch.Tensor,
    opacities: torch.Tensor,
    features: torch.Tensor,
    world_to_camera: torch.Tensor,
    intrinsics: tuple[float, float, float, float],
    width: int,
    height: int,
    screen_points: torch.Tensor | None = None,
    near: float = 0.05,
    alpha_point_id: int = 0,
) -> Rasterization:
    """`rasterize` from world covariances [P,6] float64, upper triangles (xx, xy, xz, yy, yz, zz)."""
    require_cpu("rasterize", means, covariances, opacities, features, world_to_camera, screen_points)
    points = len(means)
    means = check_tensor("means", means, (points, 3))
    covariances = check_tensor("covariances", covariances, (points, 6), torch.float64)
    opacities = check_tensor("opacities", opacities, (points, 1))
    features = check_tensor("features", features, (points, None))
    world_to_camera = check_tensor("world_to_camera", world_to_camera, (3, 4), world_to_camera.dtype)
    if screen_points is not None:
        screen_points = check_tensor("screen_points", screen_points, (points, 2))
    if world_to_camera.requires_grad:
        raise ArgumentError("world_to_camera: the rasteriser has no gradient for the camera, detach it")
    if width < 1 or height < 1:
        raise ArgumentError(f"width, height: expected at least 1 pixel, got {width} x {height}")
    if not (intrinsics[0] > 0 and intrinsics[1] > 0 and all(map(math.isfinite, intrinsics))):
        raise ArgumentError(f"intrinsics: expected finite fx, fy, cx, cy with positive focal lengths, got {intrinsics}")
    if not near > 0:
        raise ArgumentError(f"near: expected a positive depth, got {near}")
    view = cpu.View.create(world_to_camera, intrinsics, width, height, near)
    return Rasterization(
        *_Rasterize.apply(means, covariances, opacities, features, screen_points, view, alpha_point_id)
    )

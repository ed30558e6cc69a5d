"""The rasteriser's contract: argument checks and autograd around the kernels."""

import math
from types import ModuleType

import torch
from kernel_runtime import ArgumentError, check_tensor, device_of
from torch.autograd.function import once_differentiable

from . import cpu
from .splatting import Rasterization


class _Rasterize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, means, opacities, features, screen_points, backend, view, alpha_point_id, capacity, *shape):
        *outputs, ctx.lists = backend.forward(means, shape, opacities, features, view, alpha_point_id, capacity)
        ctx.save_for_backward(means, opacities, features, *shape)
        ctx.backend, ctx.view = backend, view
        _, _, radii, instances = outputs
        ctx.mark_non_differentiable(radii, instances)
        return tuple(outputs)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_image, grad_alpha, *_):
        means, opacities, features, *shape = ctx.saved_tensors
        grad_means, grad_shape, grad_opacities, grad_features, grad_screen = ctx.backend.backward(
            means, tuple(shape), opacities, features, ctx.view, ctx.lists, grad_image, grad_alpha
        )
        grad_screen = grad_screen if ctx.needs_input_grad[3] else None
        return grad_means, grad_opacities, grad_features, grad_screen, None, None, None, None, *grad_shape


def _backend(kind: str) -> ModuleType:
    """The kernels for a kind of device."""
    if kind == "cpu":
        return cpu
    from . import cuda

    return cuda


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
    capacity: int | None = None,
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
        world_to_camera: OpenCV (x right, y down, z forward), on any device. It gets no gradient.
        intrinsics: fx, fy, cx, cy in pixels; pixel (0, 0) covers 0..1, so its centre is (0.5, 0.5).
        width, height: pixels.
        screen_points: zeros whose gradient becomes that of the image loss, without the alpha loss, by the projected
            mean in normalised device coordinates (-1..1 over the image): the statistic that density control reads.
        near: Gaussians whose camera depth in metres is not greater are culled.
        alpha_point_id: only Gaussians of this index and above count in the alpha output.
        capacity: on CUDA, room for this many pairs of a Gaussian and a 16 x 16 tile that sees it. Then the host never
            waits for the device, and the call may be captured in a CUDA graph (with the camera on the device too). If
            `instances` comes out larger the picture is incomplete and the gradients are zero. None: as many as needed,
            at the cost of reading their number back. No effect on the CPU.

    Returns:
        image [H,W,C] premultiplied on black, alpha [H,W], radii [P], instances [].

    Raises:
        ArgumentError: a shape, dtype, device or range does not fit.
    """
    rotations = check_tensor("rotations", rotations, (len(means), 4))
    scales = check_tensor("scales", scales, (len(means), 3))
    return _rasterize(
        means, (rotations, scales), opacities, features, world_to_camera, intrinsics, width, height, screen_points,
        near, alpha_point_id, capacity,
    )  # fmt: skip


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
    capacity: int | None = None,
) -> Rasterization:
    """`rasterize` from world covariances [P,6] float64, upper triangles (xx, xy, xz, yy, yz, zz)."""
    covariances = check_tensor("covariances", covariances, (len(means), 6), torch.float64)
    return _rasterize(
        means, (covariances,), opacities, features, world_to_camera, intrinsics, width, height, screen_points, near,
        alpha_point_id, capacity,
    )  # fmt: skip


def _rasterize(
    means: torch.Tensor,
    shape: tuple[torch.Tensor, ...],
    opacities: torch.Tensor,
    features: torch.Tensor,
    world_to_camera: torch.Tensor,
    intrinsics: tuple[float, float, float, float],
    width: int,
    height: int,
    screen_points: torch.Tensor | None,
    near: float,
    alpha_point_id: int,
    capacity: int | None,
) -> Rasterization:
    """Check what all entrances share and run the kernels; `shape` is (covariances,) or (rotations, scales)."""
    backend = _backend(device_of("rasterize", means, *shape, opacities, features, screen_points))
    points = len(means)
    means = check_tensor("means", means, (points, 3))
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
    if capacity is not None and not 0 < capacity < 2**31:
        raise ArgumentError(f"capacity: expected 1 to 2^31 - 1 instances, got {capacity}")
    camera = world_to_camera.double().to(means.device, non_blocking=True)
    view = backend.View.create(camera, intrinsics, width, height, near)
    return Rasterization(
        *_Rasterize.apply(means, opacities, features, screen_points, backend, view, alpha_point_id, capacity, *shape)
    )

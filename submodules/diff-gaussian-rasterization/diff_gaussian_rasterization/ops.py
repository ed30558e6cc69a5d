"""The rasteriser's contract: argument checks and autograd around the kernels."""

import math
from types import ModuleType
from typing import Any

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
        ctx.set_materialize_grads(False)
        ctx.backend, ctx.view = backend, view
        ctx.screen_points = screen_points if ctx.needs_input_grad[3] else None
        _, _, radii, instances = outputs
        ctx.mark_non_differentiable(*(tensor for tensor in (radii, instances) if tensor is not None))
        return tuple(outputs)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_image, grad_alpha, *_):
        means, opacities, features, *shape = ctx.saved_tensors
        grad_means, grad_shape, grad_opacities, grad_features, grad_screen = ctx.backend.backward(
            means, tuple(shape), opacities, features, ctx.view, ctx.lists, grad_image, grad_alpha, ctx.screen_points
        )
        return grad_means, grad_opacities, grad_features, grad_screen, None, None, None, None, *grad_shape


def _backend(kind: str) -> ModuleType:
    """The kernels for a kind of device."""
    if kind == "cpu":
        return cpu
    from . import cuda

    return cuda


Intrinsics = tuple[float, float, float, float] | torch.Tensor


def rasterize(
    means: torch.Tensor,  # [P,3] or [B,P,3]
    rotations: torch.Tensor,  # [P,4] or [B,P,4], and so on
    scales: torch.Tensor,  # [P,3]
    opacities: torch.Tensor,  # [P,1]
    features: torch.Tensor,  # [P,C]
    world_to_camera: torch.Tensor,  # [3,4]
    intrinsics: Intrinsics,
    width: int,
    height: int,
    screen_points: torch.Tensor | None = None,  # [P,2]
    near: float = 0.05,
    alpha_point_id: int = 0,
    capacity: int | None = None,
    antialias: bool = False,
) -> Rasterization:
    """Render 3D Gaussians with any number of feature channels (Kerbl et al. 2023, without view-dependent colour).

    Gaussians are projected by the local affine approximation (EWA), widened by a 0.3 px^2 low-pass and blended nearest
    first, equal depths by index. A pixel skips alpha below 1/255, caps it at 0.99 and is finished before its
    transmittance would fall below 1e-4. Gradients are exact: the cap, the limit of the Jacobian and the scale
    all count.

    With a leading dimension B of every tensor, B cameras render B sets of Gaussians in one call, each exactly as in a
    call of its own; expand the tensors where all cameras see the same set.

    Args:
        means: world positions in metres.
        rotations: unit quaternions wxyz. They are not normalised here and the gradient is that of the plain formula.
        scales: standard deviations in metres along the rotated axes.
        opacities: 0..1.
        features: any values, float32 like all tensors here. Depth is one of them: see `camera_depths`.
        world_to_camera: OpenCV (x right, y down, z forward), on any device. It gets no gradient.
        intrinsics: fx, fy, cx, cy in pixels, of all cameras, or as a tensor [B,4] (without a batch [4]) on any device;
            pixel (0, 0) covers 0..1, so its centre is (0.5, 0.5). They get no gradient.
        width, height: pixels.
        screen_points: zeros whose gradient becomes that of the image loss, without the alpha loss, by the projected
            mean in normalised device coordinates (-1..1 over the image): the statistic that density control reads.
        near: Gaussians whose camera depth in metres is not greater are culled.
        alpha_point_id: only Gaussians of this index and above count in the alpha output.
        capacity: on CUDA, room for this many pairs of a Gaussian and a 16 x 16 tile that sees it, over all cameras.
            Then the call may be captured in a CUDA graph (with the cameras on the device too). If `instances` comes out
            larger the pictures take long to draw and the gradients are zero. None: room for half as many again as calls
            of this size needed so far, the first of which waits for the device. No effect on the CPU.
        antialias: lower the opacity of small Gaussians by what the low-pass adds to their area, so that they cover as
            much from afar as from nearby (Yu et al. 2024, Mip-Splatting, its 2D filter).

    Returns:
        image [H,W,C] premultiplied on black, alpha [H,W], radii [P], instances []; each [B,...] with a batch.

    Raises:
        ArgumentError: a shape, dtype, device or range does not fit.
    """
    batch = _leading("means", means)
    rotations = check_tensor("rotations", rotations, (*batch, 4))
    scales = check_tensor("scales", scales, (*batch, 3))
    return _rasterize(
        means, (rotations, scales), opacities, features, world_to_camera, intrinsics, width, height, screen_points,
        near, alpha_point_id, capacity, antialias,
    )  # fmt: skip


def rasterize_covariances(
    means: torch.Tensor,
    covariances: torch.Tensor,
    opacities: torch.Tensor,
    features: torch.Tensor,
    world_to_camera: torch.Tensor,
    intrinsics: Intrinsics,
    width: int,
    height: int,
    screen_points: torch.Tensor | None = None,
    near: float = 0.05,
    alpha_point_id: int = 0,
    capacity: int | None = None,
    antialias: bool = False,
) -> Rasterization:
    """`rasterize` from world covariances [P,6] float64, upper triangles (xx, xy, xz, yy, yz, zz)."""
    covariances = check_tensor("covariances", covariances, (*_leading("means", means), 6), torch.float64)
    return _rasterize(
        means, (covariances,), opacities, features, world_to_camera, intrinsics, width, height, screen_points, near,
        alpha_point_id, capacity, antialias,
    )  # fmt: skip


def camera_depths(means: torch.Tensor, world_to_camera: torch.Tensor) -> torch.Tensor:
    """Depths [...,P,1] in metres along the optical axis of means [...,P,3], differentiable by them.

    As one more feature channel they render depth: that channel over alpha is the mean depth of what a pixel sees.

    Args:
        means: world positions in metres.
        world_to_camera: [...,3,4], on any device.
    """
    forward = world_to_camera[..., 2:3, :].to(means)
    return means @ forward[..., :3].transpose(-1, -2) + forward[..., 3:]


def _leading(name: str, tensor: torch.Tensor) -> tuple[int, ...]:
    """All dimensions of a tensor but the last: [P], or [B,P] with a batch."""
    if not isinstance(tensor, torch.Tensor):
        raise ArgumentError(f"{name}: expected a tensor, got {type(tensor).__name__}")
    if tensor.ndim not in (2, 3) or (tensor.ndim == 3 and len(tensor) == 0):
        raise ArgumentError(
            f"{name}: expected shape [P, 3], or [B, P, 3] for at least one camera, got {list(tensor.shape)}"
        )
    return tuple(tensor.shape[:-1])


def _check_intrinsics(intrinsics: Intrinsics, batch: tuple[int, ...]) -> Intrinsics:
    """Intrinsics as floats, or as a float64 tensor; values on a GPU are taken as they are, without waiting for it."""
    if isinstance(intrinsics, torch.Tensor):
        if intrinsics.requires_grad:
            raise ArgumentError("intrinsics: the rasteriser has no gradient for the camera, detach them")
        intrinsics = check_tensor("intrinsics", intrinsics, (*batch, 4), intrinsics.dtype).double()
        known = [] if intrinsics.is_cuda else intrinsics.reshape(-1, 4).tolist()
    else:
        known = [intrinsics]
    for fx, fy, cx, cy in known:
        if not (fx > 0 and fy > 0 and all(map(math.isfinite, (fx, fy, cx, cy)))):
            raise ArgumentError(
                f"intrinsics: expected finite fx, fy, cx, cy with positive focal lengths, got {(fx, fy, cx, cy)}"
            )
    return intrinsics


def _rasterize(
    means: torch.Tensor,
    shape: tuple[torch.Tensor, ...],
    opacities: torch.Tensor,
    features: torch.Tensor,
    world_to_camera: torch.Tensor,
    intrinsics: Intrinsics,
    width: int,
    height: int,
    screen_points: torch.Tensor | None,
    near: float,
    alpha_point_id: int,
    capacity: int | None,
    antialias: bool,
) -> Rasterization:
    """Check what all entrances share and run the kernels; `shape` is (covariances,) or (rotations, scales)."""
    backend = _backend(device_of("rasterize", means, *shape, opacities, features, screen_points))
    leading = _leading("means", means)
    batch = leading[:-1]
    means = check_tensor("means", means, (*leading, 3))
    opacities = check_tensor("opacities", opacities, (*leading, 1))
    features = check_tensor("features", features, (*leading, None))
    world_to_camera = check_tensor("world_to_camera", world_to_camera, (*batch, 3, 4), world_to_camera.dtype)
    if screen_points is not None:
        screen_points = check_tensor("screen_points", screen_points, (*leading, 2))
    if world_to_camera.requires_grad:
        raise ArgumentError("world_to_camera: the rasteriser has no gradient for the camera, detach it")
    if width < 1 or height < 1:
        raise ArgumentError(f"width, height: expected at least 1 pixel, got {width} x {height}")
    intrinsics = _check_intrinsics(intrinsics, batch)
    if not near > 0:
        raise ArgumentError(f"near: expected a positive depth, got {near}")
    if capacity is not None and not 0 < capacity < 2**31:
        raise ArgumentError(f"capacity: expected 1 to 2^31 - 1 instances, got {capacity}")
    camera = world_to_camera.double().to(means.device, non_blocking=True)
    if isinstance(intrinsics, torch.Tensor):
        intrinsics = intrinsics.to(means.device, non_blocking=True)
    view = backend.View.create(camera, intrinsics, width, height, near, antialias)
    return rasterize_view(backend, means, shape, opacities, features, screen_points, view, alpha_point_id, capacity)


def rasterize_view(
    backend: ModuleType,
    means: torch.Tensor,
    shape: tuple[torch.Tensor, ...],
    opacities: torch.Tensor,
    features: torch.Tensor,
    screen_points: torch.Tensor | None,
    view: Any,
    alpha_point_id: int,
    capacity: int | None,
) -> Rasterization:
    """Run the kernels of `backend` on checked arguments; without autograd where nothing asks for gradients."""
    inputs = means, opacities, features, screen_points, *shape
    if torch.is_grad_enabled() and any(tensor is not None and tensor.requires_grad for tensor in inputs):
        return Rasterization(
            *_Rasterize.apply(
                means, opacities, features, screen_points, backend, view, alpha_point_id, capacity, *shape
            )
        )
    *outputs, _ = backend.forward(means, shape, opacities, features, view, alpha_point_id, capacity)
    return Rasterization(*outputs)

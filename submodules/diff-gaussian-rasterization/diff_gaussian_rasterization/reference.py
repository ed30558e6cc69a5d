"""Gaussian splatting in plain torch, dense over pixels and Gaussians: slow, differentiable, in any float dtype."""

from typing import NamedTuple

import torch

from .splatting import (
    LOW_PASS_VARIANCE,
    MAX_ALPHA,
    MIN_ALPHA,
    MIN_EIGENVALUE_GAP,
    MIN_TRANSMITTANCE,
    RADIUS_SIGMAS,
    tan_limits,
)


class Reference(NamedTuple):
    """A `Rasterization` without tiles, so without instances."""

    image: torch.Tensor
    alpha: torch.Tensor
    radii: torch.Tensor


def rotation_matrices(quaternions: torch.Tensor) -> torch.Tensor:
    """Matrices [P,3,3] of unit quaternions [P,4] wxyz, by the formula that does not normalise."""
    w, x, y, z = quaternions.unbind(1)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return torch.stack([torch.stack(row, 1) for row in rows], 1)


def covariances(rotations: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
    """World covariances as upper triangles (xx, xy, xz, yy, yz, zz), [P,6]."""
    factor = rotation_matrices(rotations) * scales[:, None, :]
    rows, columns = torch.triu_indices(3, 3)
    return (factor @ factor.transpose(1, 2))[:, rows, columns]


def _determinant(matrix: torch.Tensor) -> torch.Tensor:
    """Of symmetric matrices [P,2,2], [P]."""
    return matrix[:, 0, 0] * matrix[:, 1, 1] - matrix[:, 0, 1] ** 2


def _project(
    means: torch.Tensor,
    covariance: torch.Tensor,
    world_to_camera: torch.Tensor,
    intrinsics: tuple[float, float, float, float],
    width: int,
    height: int,
    near: float,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Pixel centres [P,2], image covariances [P,2,2], compensations [P], depths [P] and radii [P] (0 = culled).

    The compensation is the factor of the opacity that undoes what the low-pass adds to a Gaussian's area.
    """
    fx, fy, cx, cy = intrinsics
    camera = means @ world_to_camera[:, :3].T + world_to_camera[:, 3]
    in_front = camera[:, 2] > near
    x, y, z = torch.where(in_front[:, None], camera, camera.new_tensor([0.0, 0.0, 1.0])).unbind(1)
    u = (x / z).clamp(*tan_limits(fx, cx, width))
    v = (y / z).clamp(*tan_limits(fy, cy, height))
    zero = torch.zeros_like(z)
    jacobian = torch.stack(
        [torch.stack([fx / z, zero, -fx * u / z], 1), torch.stack([zero, fy / z, -fy * v / z], 1)], 1
    )
    linear = jacobian @ world_to_camera[:, :3]
    full = covariance[:, [0, 1, 2, 1, 3, 4, 2, 4, 5]].reshape(-1, 3, 3)
    sharp = linear @ full @ linear.transpose(1, 2)
    image = sharp + LOW_PASS_VARIANCE * torch.eye(2, dtype=means.dtype)
    ratio = _determinant(sharp) / _determinant(image)
    compensation = torch.where(ratio > 0, torch.where(ratio > 0, ratio, 1).sqrt(), 0)
    centers = torch.stack([fx * x / z + cx - 0.5, fy * y / z + cy - 0.5], 1)

    middle = 0.5 * (image[:, 0, 0] + image[:, 1, 1])
    largest = middle + (middle**2 - _determinant(image)).clamp_min(MIN_EIGENVALUE_GAP).sqrt()
    radii = torch.ceil(RADIUS_SIGMAS * largest.sqrt())
    size = means.new_tensor([width, height])
    on_image = ((centers - (size - 1) / 2).abs() <= radii[:, None] + size / 2).all(1)
    return centers, image, compensation, z, torch.where(in_front & on_image, radii, 0).detach().to(torch.int32)


def _weights(
    centers: torch.Tensor, covariance: torch.Tensor, opacities: torch.Tensor, width: int, height: int
) -> torch.Tensor:
    """Share of every Gaussian, nearest first, in every pixel, [H*W,P]."""
    columns = torch.arange(width, dtype=centers.dtype).repeat(height)
    rows = torch.arange(height, dtype=centers.dtype).repeat_interleave(width)
    offset = centers[None] - torch.stack([columns, rows], 1)[:, None]
    conic = torch.linalg.inv(covariance)
    power = -0.5 * torch.einsum("npi,pij,npj->np", offset, conic, offset)
    alpha = (opacities[:, 0] * torch.exp(power)).clamp_max(MAX_ALPHA)
    alpha = torch.where((power <= 0) & (alpha >= MIN_ALPHA), alpha, 0)
    after = torch.cumprod(1 - alpha, 1)
    before = torch.cat([torch.ones_like(after[:, :1]), after[:, :-1]], 1)
    return torch.where(after >= MIN_TRANSMITTANCE, alpha * before, 0)


def rasterize(
    means: torch.Tensor,
    rotations: torch.Tensor,
    scales: torch.Tensor,
    opacities: torch.Tensor,
    features: torch.Tensor,
    world_to_camera: torch.Tensor,
    intrinsics: tuple[float, float, float, float],
    width: int,
    height: int,
    screen_points: torch.Tensor | None = None,
    near: float = 0.05,
    alpha_point_id: int = 0,
    antialias: bool = False,
) -> Reference:
    """The same as `diff_gaussian_rasterization.rasterize` for one camera, in the dtype of `means` and by autograd."""
    covariance = covariances(rotations, scales)
    centers, image_covariance, compensation, depths, radii = _project(
        means, covariance, world_to_camera.to(means.dtype), intrinsics, width, height, near
    )
    if antialias:
        opacities = opacities * compensation[:, None]
    kept = torch.nonzero((radii > 0) & (opacities[:, 0] > 0))[:, 0]
    order = kept[torch.sort(depths[kept], stable=True).indices]
    splats = image_covariance[order], opacities[order], width, height
    weights = feature_weights = _weights(centers[order], *splats)
    if screen_points is not None:
        shift = screen_points * means.new_tensor([width / 2, height / 2])
        feature_weights = _weights((centers + shift)[order], *splats)
    image = (feature_weights @ features[order]).reshape(height, width, -1)
    alpha = weights[:, order >= alpha_point_id].sum(1).reshape(height, width)
    return Reference(image, alpha, radii)

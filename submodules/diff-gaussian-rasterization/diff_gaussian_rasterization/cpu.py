"""The CPU rasteriser: the numba kernels in order, from tensors to tensors."""

from dataclasses import dataclass

import numba
import numpy as np
import torch
from kernel_runtime import as_numpy

from .cpu_bin import sort_instances
from .cpu_blend import FIRST_BLOCK, LATER_BLOCK, blend_forward
from .cpu_blend_backward import blend_backward
from .cpu_covariance import covariances_backward, covariances_forward
from .cpu_project import SUM_COLUMNS, project_backward, project_forward
from .cpu_splat import SPLAT_COLUMNS, TILE_HEIGHT, TILE_WIDTH
from .splatting import tan_limits

CHUNKS_PER_THREAD = 8  # tiles differ in cost: several parts per thread even it out
_ID_BITS = np.uint64(32)


@dataclass(frozen=True)
class View:
    """One or several pinhole cameras with images of one size, as the kernels take them."""

    batch: tuple[int, ...]  # () for one camera, (B,) for B cameras
    world_to_camera: np.ndarray  # [B,3,4] float64
    lenses: np.ndarray  # [B,8] float64: fx, fy, cx, cy, tangent limits of x and y
    width: int
    height: int
    near: float  # metres
    antialias: bool

    @classmethod
    def create(
        cls,
        world_to_camera: torch.Tensor,
        intrinsics: tuple[float, float, float, float] | torch.Tensor,
        width: int,
        height: int,
        near: float,
        antialias: bool,
    ) -> "View":
        matrices = as_numpy(world_to_camera.double()).reshape(-1, 3, 4)
        rows = np.broadcast_to(np.asarray(intrinsics, np.float64).reshape(-1, 4), (len(matrices), 4))
        lenses = [(fx, fy, cx, cy, *tan_limits(fx, cx, width), *tan_limits(fy, cy, height)) for fx, fy, cx, cy in rows]
        batch = tuple(world_to_camera.shape[:-2])
        return cls(batch, matrices, np.array(lenses, np.float64), width, height, float(near), antialias)


@dataclass(frozen=True)
class Lists:
    """What the forward pass of one camera leaves for the backward pass."""

    covariances: torch.Tensor  # [P,6] float64
    splats: np.ndarray
    features: np.ndarray  # [P, padded channels], alpha first
    offsets: np.ndarray  # [P+1], the instances of every splat
    tile_starts: np.ndarray
    tile_bounds: np.ndarray
    instances: np.ndarray
    owners: np.ndarray
    final_transmittance: np.ndarray
    last_contributor: np.ndarray


def _covariances(shape: tuple[torch.Tensor, ...]) -> torch.Tensor:
    """World covariances as upper triangles [P,6] float64, from themselves or from rotations and scales."""
    if len(shape) == 1:
        return shape[0]
    rotations, scales = shape
    out = torch.empty(len(scales), 6, dtype=torch.float64)
    covariances_forward(as_numpy(rotations), as_numpy(scales), out.numpy())
    return out


def _fill_shape_gradients(
    shape: tuple[torch.Tensor, ...], grad_covariance: torch.Tensor, grad_shape: tuple[torch.Tensor, ...]
) -> None:
    """Write the gradients of the tensors in `shape` from those of the covariances."""
    if len(shape) == 1:
        grad_shape[0].copy_(grad_covariance)
        return
    covariances_backward(
        *(as_numpy(tensor) for tensor in shape), as_numpy(grad_covariance), *(tensor.numpy() for tensor in grad_shape)
    )


def _pad_features(features: np.ndarray, alpha_point_id: int) -> np.ndarray:
    """Features with the 0/1 channel of the alpha output in front, zeros up to whole blocks of channels behind."""
    points, channels = features.shape
    later = -(-max(1 + channels - FIRST_BLOCK, 0) // LATER_BLOCK)
    padded = np.zeros((points, FIRST_BLOCK + later * LATER_BLOCK), np.float32)
    padded[max(alpha_point_id, 0) :, 0] = 1
    padded[:, 1 : 1 + channels] = features
    return padded


def _nearest_first(depths: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Splats with instances sorted by depth, equal depths by index: positive floats order like their bits."""
    seen = np.flatnonzero(counts)
    keys = depths[seen].view(np.uint32).astype(np.uint64) << _ID_BITS | seen.astype(np.uint64)
    keys.sort()
    return keys.astype(np.uint32).astype(np.int64)


def _balanced(tile_starts: np.ndarray) -> np.ndarray:
    """Bounds that cut the tiles into parts with about equally many instances."""
    parts = CHUNKS_PER_THREAD * numba.get_num_threads()
    bounds = np.searchsorted(tile_starts, np.linspace(0, tile_starts[-1], parts + 1))
    bounds[0], bounds[-1] = 0, len(tile_starts) - 1
    return bounds


def _forward(
    means: torch.Tensor,
    covariance: torch.Tensor,
    opacities: torch.Tensor,
    features: torch.Tensor,
    view: View,
    camera: int,
    alpha_point_id: int,
    image: torch.Tensor,
    alpha: torch.Tensor,
    radii: torch.Tensor,
) -> Lists:
    """Render one camera into image [H,W,C], alpha [H,W] and radii [P]."""
    points = len(means)
    rows, columns = -(-view.height // TILE_HEIGHT), -(-view.width // TILE_WIDTH)
    splats = np.empty((points, SPLAT_COLUMNS), np.float32)
    depths = np.empty(points, np.float32)
    counts = np.empty(points, np.int64)
    project_forward(
        as_numpy(means), as_numpy(covariance), as_numpy(opacities), view.world_to_camera[camera], view.lenses[camera],
        view.near, view.antialias, view.width, view.height, rows, columns, splats, depths, radii.numpy(), counts,
    )  # fmt: skip

    offsets = np.zeros(points + 1, np.int64)
    np.cumsum(counts, out=offsets[1:])
    tile_starts = np.empty(rows * columns + 1, np.int64)
    instances, owners = np.empty((2, offsets[-1]), np.int32)
    order = _nearest_first(depths, counts)
    parts = numba.get_num_threads()
    bounds = np.linspace(0, len(order), parts + 1).astype(np.int64)
    position = np.zeros((parts, rows * columns), np.int64)
    sort_instances(splats, order, offsets, rows, columns, bounds, position, tile_starts, instances, owners)

    padded = _pad_features(as_numpy(features), alpha_point_id)
    tile_bounds = _balanced(tile_starts)
    final_transmittance = np.empty((view.height, view.width), np.float32)
    last_contributor = np.empty((view.height, view.width), np.int32)
    blend_forward(
        tile_bounds, tile_starts, owners, splats, padded, image.numpy(), alpha.numpy(), final_transmittance,
        last_contributor,
    )  # fmt: skip
    return Lists(
        covariance, splats, padded, offsets, tile_starts, tile_bounds, instances, owners, final_transmittance,
        last_contributor,
    )  # fmt: skip


def forward(
    means: torch.Tensor,
    shape: tuple[torch.Tensor, ...],
    opacities: torch.Tensor,
    features: torch.Tensor,
    view: View,
    alpha_point_id: int,
    capacity: int | None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, list[Lists]]:
    """Image [...,H,W,C], alpha [...,H,W], radii [...,P], number of instances [...] and what `backward` needs.

    `shape` is (covariances [...,P,6] float64,) or (rotations [...,P,4], scales [...,P,3]). Cameras are rendered one
    after the other. The lists have the size they need, whatever the `capacity`.
    """
    points, channels = features.shape[-2:]
    image = torch.empty(*view.batch, view.height, view.width, channels)
    alpha = torch.empty(*view.batch, view.height, view.width)
    radii = torch.empty(*view.batch, points, dtype=torch.int32)
    inputs, outputs = _by_camera(view, means, opacities, features, *shape), _by_camera(view, image, alpha, radii)
    lists = []
    for camera, ((mean, opacity, feature, *own_shape), out) in enumerate(zip(inputs, outputs, strict=True)):
        covariance = _covariances(tuple(own_shape))
        lists.append(_forward(mean, covariance, opacity, feature, view, camera, alpha_point_id, *out))
    instances = torch.tensor([own.offsets[-1] for own in lists]).reshape(view.batch)
    return image, alpha, radii, instances, lists


def _by_camera(view: View, *tensors: torch.Tensor) -> list[tuple[torch.Tensor, ...]]:
    """The tensors' parts [P,..] for every camera, sharing their memory."""
    if not view.batch:
        return [tensors]
    return list(zip(*(tensor.detach().unbind() for tensor in tensors), strict=True))


def backward(
    means: torch.Tensor,
    shape: tuple[torch.Tensor, ...],
    opacities: torch.Tensor,
    features: torch.Tensor,
    view: View,
    lists: list[Lists],
    grad_image: torch.Tensor | None,
    grad_alpha: torch.Tensor | None,
    screen_points: torch.Tensor | None,
) -> tuple[torch.Tensor, tuple[torch.Tensor, ...], torch.Tensor, torch.Tensor, torch.Tensor | None]:
    """Gradients of means, shape, opacities, features, and (by the image alone, where given) screen points."""
    pixels = *view.batch, view.height, view.width
    grad_image = means.new_zeros(*pixels, features.shape[-1]) if grad_image is None else grad_image
    grad_alpha = means.new_zeros(pixels) if grad_alpha is None else grad_alpha
    grad_means, grad_opacities, grad_features = (torch.empty_like(t) for t in (means, opacities, features))
    grad_shape = tuple(torch.empty_like(tensor) for tensor in shape)
    grad_screen = means.new_empty(*means.shape[:-1], 2)
    inputs = _by_camera(view, means, opacities, grad_image, grad_alpha)
    outputs = _by_camera(view, grad_means, grad_opacities, grad_features, grad_screen)
    shapes, grad_shapes = _by_camera(view, *shape), _by_camera(view, *grad_shape)
    for camera, own in enumerate(lists):
        grad_covariance = _backward(*inputs[camera], view, camera, own, *outputs[camera])
        _fill_shape_gradients(shapes[camera], grad_covariance, grad_shapes[camera])
    return grad_means, grad_shape, grad_opacities, grad_features, None if screen_points is None else grad_screen


def _backward(
    means: torch.Tensor,
    opacities: torch.Tensor,
    grad_image: torch.Tensor,
    grad_alpha: torch.Tensor,
    view: View,
    camera: int,
    lists: Lists,
    grad_means: torch.Tensor,
    grad_opacities: torch.Tensor,
    grad_features: torch.Tensor,
    grad_screen: torch.Tensor,
) -> torch.Tensor:
    """Fill the gradients of one camera's Gaussians and return that of their covariances."""
    sums = np.zeros((len(lists.instances), SUM_COLUMNS + grad_features.shape[1]), np.float32)
    blend_backward(
        lists.tile_bounds, lists.tile_starts, lists.instances, lists.owners, lists.splats, lists.features,
        lists.final_transmittance, lists.last_contributor, as_numpy(grad_image), as_numpy(grad_alpha), sums,
    )  # fmt: skip
    grad_covariance = torch.empty_like(lists.covariances)
    project_backward(
        sums, lists.offsets, as_numpy(means), as_numpy(lists.covariances), as_numpy(opacities),
        view.world_to_camera[camera], view.lenses[camera], view.antialias, view.width, view.height, grad_means.numpy(),
        grad_covariance.numpy(), grad_opacities.numpy(), grad_features.numpy(), grad_screen.numpy(),
    )  # fmt: skip
    return grad_covariance

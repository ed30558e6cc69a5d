"""The CUDA rasteriser: the kernels in order, from tensors to tensors, on torch's current stream."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from kernel_runtime import ArgumentError
from kernel_runtime.cuda import CudaModule

from .splatting import tan_limits

BLOCK = 256  # threads, as in splat.cuh
TILE = 16  # pixels
BAND = 1024  # tiles that a block of bin.cu counts at a time
SCAN_COLUMNS = 32  # tiles that a block of scan_counts handles, with SCAN_THREADS threads
SCAN_THREADS = 1024
MAX_PARTS = 512  # parts of the depth order that are sorted into tiles side by side
CHANNEL_BLOCKS = (3, 4, 8, 16)  # feature channels that one pass blends
SUMS = 8  # columns of the sums over pixels before those of the features
SPLAT_FLOATS = 8
LARGEST_CAPACITY = 2**31 - 1

# The kernels of project.cu and bin.cu must agree to the bit on the tiles of a splat, so both do without fast maths.
_PROJECT = CudaModule("diff_gaussian_rasterization", "project.cu", ("camera.cuh", "splat.cuh"), fast_math=False)
_BIN = CudaModule("diff_gaussian_rasterization", "bin.cu", ("splat.cuh",), fast_math=False)
_BLEND = CudaModule("diff_gaussian_rasterization", "blend.cu", ("blend.cuh", "splat.cuh"))
_BLEND_BACKWARD = CudaModule("diff_gaussian_rasterization", "blend_backward.cu", ("blend.cuh", "splat.cuh"))
_PROJECT_FORWARD = _PROJECT.kernel("project_forward")
_COUNT, _SCAN, _PLACE = (_BIN.kernel(name) for name in ("count_instances", "scan_counts", "place_instances"))
_PROJECT_BACKWARD = {n: _PROJECT.kernel("project_backward", n) for n in CHANNEL_BLOCKS}
_BLEND_FORWARD = {n: _BLEND.kernel("blend_forward", n) for n in CHANNEL_BLOCKS}
_UNBLEND = {n: _BLEND_BACKWARD.kernel("blend_backward", n) for n in CHANNEL_BLOCKS}


@dataclass(frozen=True)
class View:
    """A pinhole camera as the kernels take it."""

    world_to_camera: torch.Tensor  # [3,4] float64
    lens: tuple[np.float64, ...]  # fx, fy, cx, cy, tangent limits of x and y
    width: int
    height: int
    near: np.float64  # metres

    @classmethod
    def create(
        cls,
        world_to_camera: torch.Tensor,
        intrinsics: tuple[float, float, float, float],
        width: int,
        height: int,
        near: float,
    ) -> "View":
        fx, fy, cx, cy = intrinsics
        lens = (*intrinsics, *tan_limits(fx, cx, width), *tan_limits(fy, cy, height))
        return cls(world_to_camera, tuple(map(np.float64, lens)), width, height, np.float64(near))

    @property
    def tile_rows(self) -> int:
        return -(-self.height // TILE)

    @property
    def tile_columns(self) -> int:
        return -(-self.width // TILE)


@dataclass(frozen=True)
class Splats:
    """Projected Gaussians."""

    splats: torch.Tensor  # [P, SPLAT_FLOATS]
    depths: torch.Tensor  # [P] int32 that order like the depths
    radii: torch.Tensor  # [P] int32
    tile_counts: torch.Tensor  # [P] int32
    bases: torch.Tensor  # [P] int64, the first row of every splat in the sums of the backward pass
    counters: torch.Tensor  # [2] int64: number of instances, blocks that have finished the scan


@dataclass(frozen=True)
class Lists:
    """What the forward pass leaves for the backward pass."""

    projected: Splats
    tile_starts: torch.Tensor  # [tiles + 1] int64
    owners: torch.Tensor  # [capacity] int32, splats tile by tile and front to back
    instances: torch.Tensor  # [capacity] int32, their rows in the sums
    capacity: np.int64
    alpha_point_id: int
    final_transmittance: torch.Tensor
    last_contributor: torch.Tensor


def _read_back(value: torch.Tensor) -> Callable[[], int]:
    """Start copying a device integer to the host; the result waits for it, but work queued before need not."""
    host = torch.empty(1, dtype=value.dtype, pin_memory=True)
    host.copy_(value, non_blocking=True)
    arrived = torch.cuda.Event()
    arrived.record()

    def wait() -> int:
        arrived.synchronize()
        return int(host[0])

    return wait


def _shape_pointers(shape: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor | None, ...]:
    """Covariances, rotations and scales, with None for what is not given."""
    return (shape[0], None, None) if len(shape) == 1 else (None, *shape)


def _project(means: torch.Tensor, shape: tuple[torch.Tensor, ...], opacities: torch.Tensor, view: View) -> Splats:
    points = len(means)
    projected = Splats(
        splats=means.new_empty(points, SPLAT_FLOATS),
        depths=means.new_empty(points, dtype=torch.int32),
        radii=means.new_empty(points, dtype=torch.int32),
        tile_counts=means.new_empty(points, dtype=torch.int32),
        bases=means.new_empty(points, dtype=torch.int64),
        counters=means.new_zeros(2, dtype=torch.int64),
    )
    _PROJECT_FORWARD.launch(-(-points // BLOCK), BLOCK, (
        means, *_shape_pointers(shape), opacities, view.world_to_camera, *view.lens, view.near, points, view.width,
        view.height, projected.splats, projected.depths, projected.radii, projected.tile_counts, projected.bases,
        projected.counters[:1],
    ))  # fmt: skip
    return projected


def _bin(
    projected: Splats, view: View, capacity: int | None
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, np.int64]:
    """Starts of the tiles' lists, owners and instances of their entries, and the capacity."""
    splats, rows, columns = projected.splats, view.tile_rows, view.tile_columns
    points, tiles = len(splats), rows * columns
    room = _read_back(projected.counters[:1]) if capacity is None else partial(int, capacity)
    order = torch.sort(projected.depths, stable=True).indices
    part_size = BLOCK * max(1, -(-points // (BLOCK * MAX_PARTS)))
    parts = max(1, -(-points // part_size))
    counts = splats.new_empty(parts, tiles, dtype=torch.int32)
    tile_starts = splats.new_empty(tiles + 1, dtype=torch.int64)
    grid = parts, -(-tiles // BAND)
    _COUNT.launch(grid, BLOCK, (splats, order, points, part_size, rows, columns, counts))
    _SCAN.launch(-(-tiles // SCAN_COLUMNS), SCAN_THREADS, (counts, parts, tiles, tile_starts, projected.counters[1:]))
    size = room()
    if size > LARGEST_CAPACITY:
        raise ArgumentError(f"scales: the Gaussians cover {size} tiles, more than {LARGEST_CAPACITY}")
    owners, instances = splats.new_empty(2, size, dtype=torch.int32)
    _PLACE.launch(grid, BLOCK, (
        splats, order, projected.bases, points, part_size, rows, columns, counts, tile_starts, np.int64(size), owners,
        instances,
    ))  # fmt: skip
    return tile_starts, owners, instances, np.int64(size)


def _channel_block(channels: int) -> tuple[int, int]:
    """How many channels one pass blends, and the number of passes."""
    size = next((n for n in CHANNEL_BLOCKS if n >= channels), CHANNEL_BLOCKS[-1])
    return size, max(1, -(-channels // size))


def forward(
    means: torch.Tensor,
    shape: tuple[torch.Tensor, ...],
    opacities: torch.Tensor,
    features: torch.Tensor,
    view: View,
    alpha_point_id: int,
    capacity: int | None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, Lists]:
    """Image [H,W,C], alpha [H,W], radii [P], number of instances [] and what `backward` needs."""
    with torch.cuda.device(means.device):
        projected = _project(means, shape, opacities, view)
        tile_starts, owners, instances, size = _bin(projected, view, capacity)
        channels = features.shape[1]
        image = means.new_empty(view.height, view.width, channels)
        alpha, final_transmittance = (means.new_empty(view.height, view.width) for _ in range(2))
        last_contributor = means.new_empty(view.height, view.width, dtype=torch.int32)
        block, blocks = _channel_block(channels)
        _BLEND_FORWARD[block].launch((view.tile_columns, view.tile_rows, blocks), BLOCK, (
            projected.splats, features, tile_starts, owners, size, channels, alpha_point_id, view.width, view.height,
            image, alpha, final_transmittance, last_contributor,
        ))  # fmt: skip
        lists = Lists(
            projected, tile_starts, owners, instances, size, alpha_point_id, final_transmittance, last_contributor
        )
        return image, alpha, projected.radii, projected.counters[0], lists


def backward(
    means: torch.Tensor,
    shape: tuple[torch.Tensor, ...],
    opacities: torch.Tensor,
    features: torch.Tensor,
    view: View,
    lists: Lists,
    grad_image: torch.Tensor,
    grad_alpha: torch.Tensor,
) -> tuple[torch.Tensor, tuple[torch.Tensor, ...], torch.Tensor, torch.Tensor, torch.Tensor]:
    """Gradients of means, shape, opacities, features, and (by the image alone) screen points."""
    with torch.cuda.device(means.device):
        points, channels = features.shape
        block, blocks = _channel_block(channels)
        row = -(-(SUMS + block) // 4) * 4
        sums = means.new_empty(blocks, int(lists.capacity), row)
        projected = lists.projected
        _UNBLEND[block].launch((view.tile_columns, view.tile_rows, blocks), BLOCK, (
            projected.splats, features, lists.tile_starts, lists.owners, lists.instances, lists.capacity, channels,
            lists.alpha_point_id, view.width, view.height, lists.final_transmittance, lists.last_contributor,
            grad_image.contiguous(), grad_alpha.contiguous(), sums,
        ))  # fmt: skip
        grad_means, grad_opacities, grad_features = map(torch.empty_like, (means, opacities, features))
        grad_shape = tuple(map(torch.empty_like, shape))
        grad_screen = means.new_empty(points, 2)
        _PROJECT_BACKWARD[block].launch(-(-points // BLOCK), BLOCK, (
            means, *_shape_pointers(shape), opacities, view.world_to_camera, *view.lens, points, view.width,
            view.height, channels, projected.tile_counts, projected.bases, projected.counters[:1], lists.capacity,
            sums, grad_means, *_shape_pointers(grad_shape), grad_opacities, grad_features, grad_screen,
        ))  # fmt: skip
        return grad_means, grad_shape, grad_opacities, grad_features, grad_screen

"""The CUDA rasteriser: the kernels in order, from tensors to tensors, on torch's current stream."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from kernel_runtime import ArgumentError
from kernel_runtime.cuda import CudaModule

BLOCK = 256  # threads, as in splat.cuh
TILE = 16  # pixels
SORT_BLOCK, SORT_TILE = 512, 2048  # threads and keys of a block of sort.cu
DIGITS, BINS = 4, 256  # of a key, as in radix.cuh
BAND = 1024  # tiles that a block of bin.cu counts at a time
SCAN_COLUMNS = 32  # tiles that a block of scan_counts handles, with SCAN_THREADS threads
SCAN_THREADS = 1024
MAX_PARTS = 512  # parts of the depth order that are sorted into tiles side by side
CHANNEL_BLOCKS = (3, 4, 8, 16)  # feature channels that one pass blends
SUMS = 8  # columns of the sums over pixels before those of the features
SPLAT_FLOATS = 8
LARGEST_COUNT = 2**31 - 1  # of instances, of splats and of tiles, over all cameras

# The kernels of project.cu and bin.cu must agree to the bit on the tiles of a splat, so both do without fast maths.
_PACKAGE = "diff_gaussian_rasterization"
_CAMERA_HEADERS = ("gaussians.cuh", "camera.cuh", "splat.cuh")
_PROJECT = CudaModule(_PACKAGE, "project.cu", (*_CAMERA_HEADERS, "radix.cuh"), fast_math=False)
_SORT = CudaModule(_PACKAGE, "sort.cu", ("radix.cuh", "splat.cuh"), fast_math=False)
_BIN = CudaModule(_PACKAGE, "bin.cu", ("splat.cuh",), fast_math=False)
_BLEND = CudaModule(_PACKAGE, "blend.cu", ("blend.cuh", "splat.cuh"))
_BLEND_BACKWARD = CudaModule(_PACKAGE, "blend_backward.cu", ("blend.cuh", "splat.cuh", "sums.cuh"))
_PROJECT_BACKWARD = CudaModule(_PACKAGE, "project_backward.cu", (*_CAMERA_HEADERS, "sums.cuh"), fast_math=False)
_PROJECT_FORWARD = _PROJECT.kernel("project_forward")
_SORT_BY_DIGIT = [_SORT.kernel("sort_by_digit", digit) for digit in range(DIGITS)]
_COUNT, _SCAN, _PLACE = (_BIN.kernel(name) for name in ("count_instances", "scan_counts", "place_instances"))
_BLEND_FORWARD = {n: _BLEND.kernel("blend_forward", n) for n in CHANNEL_BLOCKS}
_UNBLEND = {n: _BLEND_BACKWARD.kernel("blend_backward", n) for n in CHANNEL_BLOCKS}
_UNPROJECT = {n: _PROJECT_BACKWARD.kernel("project_backward", n) for n in CHANNEL_BLOCKS}


@dataclass(frozen=True)
class View:
    """One or several pinhole cameras with images of one size, as the kernels take them."""

    batch: tuple[int, ...]  # () for one camera, (B,) for B cameras
    cameras: int
    world_to_camera: torch.Tensor  # [...,3,4] float64
    intrinsics: torch.Tensor | None  # [...,4] float64, or None for those of `lens` in all cameras
    lens: tuple[np.float64, ...]  # fx, fy, cx, cy
    width: int
    height: int
    tile_rows: int
    tile_columns: int
    near: np.float64  # metres
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
        batch = tuple(world_to_camera.shape[:-2])
        own = intrinsics if isinstance(intrinsics, torch.Tensor) else None
        lens = (0.0,) * 4 if isinstance(intrinsics, torch.Tensor) else intrinsics
        return cls(
            batch, math.prod(batch), world_to_camera, own, tuple(map(np.float64, lens)), width, height,
            -(-height // TILE), -(-width // TILE), np.float64(near), antialias,
        )  # fmt: skip


@dataclass(frozen=True)
class Splats:
    """Projected Gaussians, of all cameras one after the other."""

    splats: torch.Tensor  # [..., P, SPLAT_FLOATS]
    depths: torch.Tensor  # [..., P] int32 keys of the sort
    radii: torch.Tensor  # [..., P] int32
    tile_counts: torch.Tensor  # [..., P] int32
    bases: torch.Tensor  # [..., P] int64, first row of every splat in the sums of the backward pass
    next_row: torch.Tensor  # int64 number of all instances, as two int32
    finished_blocks: torch.Tensor  # int32, zero, of scan_counts
    histograms: torch.Tensor  # int32, of sort.cu
    tickets: torch.Tensor  # int32, zeros, of sort.cu
    published: torch.Tensor  # int32, zeros, of sort.cu


@dataclass(frozen=True)
class Lists:
    """What the forward pass leaves for the backward pass."""

    projected: Splats
    tile_starts: torch.Tensor  # [tiles of all cameras + 1] int64
    owners: torch.Tensor  # [capacity] int32, the splats of every tile, nearest first
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
    arrived.record(torch.cuda.current_stream(value.device))

    def wait() -> int:
        arrived.synchronize()
        return int(host[0])

    return wait


def _shape_pointers(shape: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor | None, ...]:
    """Covariances, rotations and scales, with None for what is not given."""
    return (shape[0], None, None) if len(shape) == 1 else (None, *shape)


def _project(means: torch.Tensor, shape: tuple[torch.Tensor, ...], opacities: torch.Tensor, view: View) -> Splats:
    batch, points = means.shape[:-1], means.shape[-2]
    sizes = [2, 1, *(view.cameras * DIGITS * n for n in (BINS, 1, BINS * _sort_tiles(points)))]
    splats = means.new_empty(*batch, SPLAT_FLOATS)
    radii = means.new_empty(batch, dtype=torch.int32)
    depths, tile_counts = radii.new_empty(2, *batch).unbind()
    bases = means.new_empty(batch, dtype=torch.int64)
    counters = means.new_zeros(sum(sizes), dtype=torch.int32).split(sizes)
    next_row, _, histograms, *_ = counters
    _PROJECT_FORWARD.launch((-(-points // BLOCK), view.cameras), BLOCK, (
        means, *_shape_pointers(shape), opacities, view.world_to_camera, view.intrinsics, *view.lens, view.near, points,
        view.width, view.height, view.antialias, splats, depths, radii, tile_counts, bases, next_row, histograms,
    ))  # fmt: skip
    return Splats(splats, depths, radii, tile_counts, bases, *counters)


def _sort_tiles(points: int) -> int:
    """Blocks that sort the splats of one camera; one even of none says that there are none."""
    return max(1, -(-points // SORT_TILE))


def _sort(projected: Splats, view: View) -> tuple[torch.Tensor, torch.Tensor]:
    """The splats that tiles see, nearest first, of every camera [..., P] int32, and their number [...] int32."""
    depths = projected.depths
    points = depths.shape[-1]
    pairs = depths.new_empty(2, depths.numel(), 2).unbind()
    order, seen = torch.empty_like(depths), depths.new_empty(view.batch)
    for digit, kernel in enumerate(_SORT_BY_DIGIT):
        kernel.launch((_sort_tiles(points), view.cameras), SORT_BLOCK, (
            depths, pairs[1 - digit % 2], points, projected.histograms, projected.tickets, projected.published,
            pairs[digit % 2], order, seen,
        ))  # fmt: skip
    return order, seen


def _bin(
    projected: Splats, view: View, capacity: int | None
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, np.int64]:
    """Starts of the tiles' lists, owners and instances of their entries, instances by camera, and the capacity."""
    splats, rows, columns = projected.splats, view.tile_rows, view.tile_columns
    points, tiles, cameras = splats.shape[-2], rows * columns, view.cameras
    room = _read_back(projected.next_row.view(torch.int64)) if capacity is None else partial(int, capacity)
    order, seen = _sort(projected, view)
    part_size = BLOCK * max(1, -(-points // (BLOCK * MAX_PARTS)))
    parts = max(1, -(-points // part_size))
    counts = splats.new_empty(cameras, parts, tiles, dtype=torch.int32)
    tile_starts = splats.new_empty(cameras * tiles + 1, dtype=torch.int64)
    by_camera = splats.new_empty(view.batch, dtype=torch.int64)
    grid = parts, -(-tiles // BAND), cameras
    _COUNT.launch(grid, BLOCK, (splats, order, seen, points, part_size, rows, columns, counts))
    _SCAN.launch(-(-cameras * tiles // SCAN_COLUMNS), SCAN_THREADS, (
        counts, cameras, parts, tiles, tile_starts, by_camera, projected.finished_blocks,
    ))  # fmt: skip
    size = room()
    if size > LARGEST_COUNT:
        raise ArgumentError(f"scales: the Gaussians cover {size} tiles, more than {LARGEST_COUNT}")
    owners, instances = splats.new_empty(2, size, dtype=torch.int32).unbind()
    _PLACE.launch(grid, BLOCK, (
        splats, order, seen, projected.bases, points, part_size, rows, columns, counts, tile_starts, np.int64(size),
        owners, instances,
    ))  # fmt: skip
    return tile_starts, owners, instances, by_camera, np.int64(size)


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
    """Image [...,H,W,C], alpha [...,H,W], radii [...,P], instances [...] and what `backward` needs.

    The leading dimension is that of the cameras, or absent with one camera.
    """
    points, channels = features.shape[-2:]
    if view.cameras * max(points, view.tile_rows * view.tile_columns) > LARGEST_COUNT:
        raise ArgumentError(f"means: {view.cameras} cameras are too many for one call, render fewer at a time")
    projected = _project(means, shape, opacities, view)
    tile_starts, owners, instances, by_camera, size = _bin(projected, view, capacity)
    size_of_images = *view.batch, view.height, view.width
    image = means.new_empty(*size_of_images, channels)
    alpha, final_transmittance = (means.new_empty(size_of_images) for _ in range(2))
    last_contributor = means.new_empty(size_of_images, dtype=torch.int32)
    first_counted = min(max(alpha_point_id, 0), points)
    block, blocks = _channel_block(channels)
    _BLEND_FORWARD[block].launch((view.tile_columns, view.tile_rows, blocks * view.cameras), BLOCK, (
        projected.splats, features, tile_starts, owners, size, points, channels, first_counted, view.width,
        view.height, image, alpha, final_transmittance, last_contributor,
    ))  # fmt: skip
    lists = Lists(projected, tile_starts, owners, instances, size, first_counted, final_transmittance, last_contributor)
    return image, alpha, projected.radii, by_camera, lists


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
    points, channels = features.shape[-2:]
    block, blocks = _channel_block(channels)
    row = -(-(SUMS + block) // 4) * 4
    sums = means.new_empty(blocks, int(lists.capacity), row)
    projected = lists.projected
    _UNBLEND[block].launch((view.tile_columns, view.tile_rows, blocks * view.cameras), BLOCK, (
        projected.splats, features, lists.tile_starts, lists.owners, lists.instances, lists.capacity, points,
        channels, lists.alpha_point_id, view.width, view.height, lists.final_transmittance, lists.last_contributor,
        grad_image.contiguous(), grad_alpha.contiguous(), sums,
    ))  # fmt: skip
    grad_means, grad_opacities, grad_features = map(torch.empty_like, (means, opacities, features))
    grad_shape = tuple(map(torch.empty_like, shape))
    grad_screen = means.new_empty(*means.shape[:-1], 2)
    _UNPROJECT[block].launch((-(-points // BLOCK), view.cameras), BLOCK, (
        means, *_shape_pointers(shape), opacities, view.world_to_camera, view.intrinsics, *view.lens, points,
        view.width, view.height, view.antialias, channels, projected.tile_counts, projected.bases,
        projected.next_row, lists.capacity, sums, grad_means, *_shape_pointers(grad_shape), grad_opacities,
        grad_features, grad_screen,
    ))  # fmt: skip
    return grad_means, grad_shape, grad_opacities, grad_features, grad_screen

"""The CUDA rasteriser: the kernels in order, from tensors to tensors, on torch's current stream."""

import math
from typing import NamedTuple

import torch
from kernel_runtime import ArgumentError
from kernel_runtime.cuda import CudaModule
from kernel_runtime.prepared import PreparedKernel

from .cuda_buffers import BLOCK, DIGITS, SORT_BLOCK, TILE, Buffers, buffers
from .cuda_instances import Needed, board

BAND = 1024  # tiles that a block of bin.cu counts at a time
SCAN_COLUMNS = 32  # tiles that a block of scan_counts handles, with SCAN_THREADS threads
SCAN_THREADS = 1024
COUNTERS_PER_BLOCK = 4 * BLOCK  # that `prepare` sets to zero
CHANNEL_BLOCKS = (3, 4, 8, 16)  # feature channels that one pass blends
SUMS = 8  # columns of the sums over pixels before those of the features
LARGEST_COUNT = 2**31 - 1  # of instances, of splats and of tiles, over all cameras

# The kernels of project.cu and bin.cu must agree to the bit on the tiles of a splat, so both do without fast maths.
_PACKAGE = "diff_gaussian_rasterization"
_CAMERA_HEADERS = ("gaussians.cuh", "camera.cuh", "splat.cuh")
_PROJECT_MODULE = CudaModule(_PACKAGE, "project.cu", (*_CAMERA_HEADERS, "radix.cuh"), fast_math=False)
_SORT_MODULE = CudaModule(_PACKAGE, "sort.cu", ("radix.cuh", "splat.cuh"), fast_math=False)
_BIN_MODULE = CudaModule(_PACKAGE, "bin.cu", ("splat.cuh",), fast_math=False)
_BLEND_MODULE = CudaModule(_PACKAGE, "blend.cu", ("blend.cuh", "splat.cuh"))
_UNBLEND_MODULE = CudaModule(_PACKAGE, "blend_backward.cu", ("blend.cuh", "splat.cuh", "sums.cuh"))
_UNPROJECT_MODULE = CudaModule(_PACKAGE, "project_backward.cu", (*_CAMERA_HEADERS, "sums.cuh"), fast_math=False)

_SCENE = "PPPPfPPP"  # means, covariances, rotations, scales, their factor, opacities, matrices, intrinsics
_PREPARE = PreparedKernel(_PROJECT_MODULE.kernel("prepare"), "PiPiiPiiiiPP")
_PROJECT = PreparedKernel(_PROJECT_MODULE.kernel("project_forward"), _SCENE + "dddddiii?PPPPPPP")
_SORT = PreparedKernel(_SORT_MODULE.kernel("sort_by_depth"), "PiPPPPPPPP")
_COUNT = PreparedKernel(_BIN_MODULE.kernel("count_instances"), "PPPiiiiP")
_SCAN = PreparedKernel(_BIN_MODULE.kernel("scan_counts"), "PiiiPPPP")
_PLACE = PreparedKernel(_BIN_MODULE.kernel("place_instances"), "PPPPiiiiPPqPP")
_BLEND = {n: PreparedKernel(_BLEND_MODULE.kernel("blend_forward", n), "PPPPqPPiiPiii?PPPP") for n in CHANNEL_BLOCKS}
_UNBLEND = {
    n: PreparedKernel(_UNBLEND_MODULE.kernel("blend_backward", n), "PPPPPqiiPiiiPPPqqqqPqqqP") for n in CHANNEL_BLOCKS
}
_UNPROJECT = {
    n: PreparedKernel(_UNPROJECT_MODULE.kernel("project_backward", n), _SCENE + "ddddiii?iPPPqPPPPPPPPi")
    for n in CHANNEL_BLOCKS
}


class View(NamedTuple):
    """One or several pinhole cameras with images of one size, and what the picture is made on."""

    batch: tuple[int, ...]  # () for one camera, (B,) for B cameras
    cameras: int
    world_to_camera: torch.Tensor | None  # [...,3,4] float64, or None for those of `upstream`
    intrinsics: torch.Tensor | None  # [...,4] float64, or None for those of `lens` in all cameras, or of `upstream`
    lens: tuple[float, float, float, float]  # fx, fy, cx, cy
    width: int
    height: int
    tile_rows: int
    tile_columns: int
    near: float  # metres
    antialias: bool
    upstream: tuple[torch.Tensor, torch.Tensor] | None = None  # view and projection [4,4] as the original takes them
    scale_modifier: float = 1.0
    background: torch.Tensor | None = None  # [C]; None: black
    planar: bool = False  # the image is [...,C,H,W] instead of [...,H,W,C]

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
        """Cameras as `rasterize` takes them."""
        batch = tuple(world_to_camera.shape[:-2])
        own = intrinsics if isinstance(intrinsics, torch.Tensor) else None
        lens = (0.0,) * 4 if isinstance(intrinsics, torch.Tensor) else intrinsics
        tiles = -(-height // TILE), -(-width // TILE)
        return cls(
            batch, math.prod(batch), world_to_camera.contiguous(), own, lens, width, height, *tiles, near, antialias
        )


class Lists(NamedTuple):
    """What the forward pass leaves for the backward pass."""

    memory: torch.Tensor  # what `Buffers` calls kept
    entries: torch.Tensor  # [2, capacity] int32: the splats of every tile, nearest first, and their rows in the sums
    capacity: int
    needed: Needed | None  # None: whoever asked for the capacity looks after it
    alpha_point_id: int


class _Call(NamedTuple):
    """One forward pass: its memory, addresses and sizes."""

    device: int
    view: View
    points: int
    places: Buffers
    kept: int  # address
    scratch: int
    gaussians: tuple[int | float, ...]  # the arguments of _SCENE


def _places(points: int, view: View) -> Buffers:
    return buffers(points, view.cameras, view.tile_rows * view.tile_columns, view.height * view.width)


def _address(tensor: torch.Tensor | None) -> int:
    return 0 if tensor is None else tensor.data_ptr()


def _shape_addresses(shape: tuple[torch.Tensor, ...]) -> tuple[int, int, int]:
    """Covariances, rotations and scales, with null for what is not given."""
    if len(shape) == 1:
        return shape[0].data_ptr(), 0, 0
    return 0, shape[0].data_ptr(), shape[1].data_ptr()


def _gaussians(
    means: torch.Tensor, shape: tuple[torch.Tensor, ...], opacities: torch.Tensor, view: View, camera: int
) -> tuple[int | float, ...]:
    """The arguments of _SCENE; `camera` is the address of what `prepare` works out."""
    cameras = camera, camera + 12 * 8
    if view.upstream is None:
        cameras = _address(view.world_to_camera), _address(view.intrinsics)
    return means.data_ptr(), *_shape_addresses(shape), view.scale_modifier, opacities.data_ptr(), *cameras


def begin(
    means: torch.Tensor,
    shape: tuple[torch.Tensor, ...],
    opacities: torch.Tensor,
    view: View,
    memory: tuple[torch.Tensor, torch.Tensor],
) -> _Call:
    """Set the counters in the memory (kept and scratch) to zero and work out the camera."""
    points, device = means.shape[-2], means.get_device()
    places = _places(points, view)
    kept, scratch = memory[0].data_ptr(), memory[1].data_ptr()
    camera = kept + places.camera
    matrices: tuple[int, ...] = (0,) * 6
    if view.upstream is not None:
        matrices = sum(((matrix.data_ptr(), *matrix.stride()) for matrix in view.upstream), ())
    _PREPARE.launch(
        device, (-(-places.counters // COUNTERS_PER_BLOCK), 1, 1), BLOCK, scratch + places.next_row, places.counters,
        *matrices, view.width, view.height, camera, camera + 12 * 8,
    )  # fmt: skip
    return _Call(device, view, points, places, kept, scratch, _gaussians(means, shape, opacities, view, camera))


def memory_for(means: torch.Tensor, view: View) -> tuple[torch.Tensor, torch.Tensor]:
    """Memory for what is kept for the backward pass, and for the rest."""
    places = _places(means.shape[-2], view)
    return tuple(means.new_empty(size, dtype=torch.uint8) for size in (places.kept_size, places.scratch_size))


def project(call: _Call, radii: torch.Tensor) -> None:
    """Splats, keys of the sort, radii and what the sums of the backward pass are numbered by."""
    view, places, kept, scratch = call.view, call.places, call.kept, call.scratch
    if call.points == 0:
        return
    _PROJECT.launch(
        call.device, (-(-call.points // BLOCK), view.cameras, 1), BLOCK, *call.gaussians, *view.lens, view.near,
        call.points, view.width, view.height, view.antialias, kept + places.splats, scratch + places.depths,
        radii.data_ptr(), kept + places.tile_counts, kept + places.bases, scratch + places.next_row,
        scratch + places.histograms,
    )  # fmt: skip


def sort(call: _Call) -> None:
    """The splats that tiles see, nearest first."""
    places, scratch = call.places, call.scratch
    _SORT.launch(
        call.device, (DIGITS * places.sort_tiles, call.view.cameras, 1), SORT_BLOCK, scratch + places.depths,
        call.points, scratch + places.histograms, scratch + places.tickets, scratch + places.finished_tiles,
        scratch + places.published, scratch + places.pairs[0], scratch + places.pairs[1], scratch + places.order,
        scratch + places.seen,
    )  # fmt: skip


def _list(
    call: _Call, by_camera: torch.Tensor, needed: Needed | None, capacity: int | None
) -> tuple[torch.Tensor, int]:
    """The entries of the tiles' lists and the room for them; `capacity` None: as many as needed, which waits."""
    view, places, scratch = call.view, call.places, call.scratch
    tiles = view.tile_rows * view.tile_columns
    grid = places.parts, -(-tiles // BAND), view.cameras
    splats, counts, tile_starts = call.kept + places.splats, scratch + places.counts, call.kept + places.tile_starts
    order, seen = scratch + places.order, scratch + places.seen
    sizes = call.points, places.part_size, view.tile_rows, view.tile_columns
    _COUNT.launch(call.device, grid, BLOCK, splats, order, seen, *sizes, counts)
    _SCAN.launch(
        call.device, (-(-view.cameras * tiles // SCAN_COLUMNS), 1, 1), SCAN_THREADS, counts, view.cameras, places.parts,
        tiles, tile_starts, by_camera.data_ptr(), scratch + places.finished_blocks, needed.address if needed else 0,
    )  # fmt: skip
    if capacity is None:
        capacity = _checked(needed.wait()) if needed else 0
    entries = by_camera.new_empty((2, capacity), dtype=torch.int32)
    owners = entries.data_ptr()
    _PLACE.launch(
        call.device, grid, BLOCK, splats, order, seen, call.kept + places.bases, *sizes, counts, tile_starts, capacity,
        owners, owners + 4 * capacity,
    )  # fmt: skip
    return entries, capacity


def _checked(instances: int) -> int:
    if instances > LARGEST_COUNT:
        raise ArgumentError(f"scales: the Gaussians cover {instances} tiles, more than {LARGEST_COUNT}")
    return instances


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

    The leading dimension is that of the cameras, or absent with one camera. Without a capacity there is room for half
    as many instances again as calls of this size needed so far, and the host waits in the first of them alone; where
    that is not enough the picture is made without lists.
    """
    points, channels = features.shape[-2:]
    if view.cameras * max(points, view.tile_rows * view.tile_columns) > LARGEST_COUNT:
        raise ArgumentError(f"means: {view.cameras} cameras are too many for one call, render fewer at a time")
    needed = None
    if capacity is None:
        needed, capacity = board(means.get_device()).expect((points, view.cameras, view.width, view.height))
        capacity = None if capacity is None else min(capacity, LARGEST_COUNT)
    kept, scratch = memory_for(means, view)
    radii = means.new_empty((*view.batch, points), dtype=torch.int32)
    call = begin(means, shape, opacities, view, (kept, scratch))
    project(call, radii)
    sort(call)
    by_camera = means.new_empty(view.batch, dtype=torch.int64)
    entries, capacity = _list(call, by_camera, needed, capacity)
    pixels = view.height, view.width
    image = means.new_empty((*view.batch, channels, *pixels) if view.planar else (*view.batch, *pixels, channels))
    alpha = means.new_empty((*view.batch, *pixels))
    first_counted = min(max(alpha_point_id, 0), points)
    block, blocks = _channel_block(channels)
    places = call.places
    _BLEND[block].launch(
        call.device, (view.tile_columns, view.tile_rows, blocks * view.cameras), BLOCK, call.kept + places.splats,
        features.data_ptr(), call.kept + places.tile_starts, entries.data_ptr(), capacity, call.scratch + places.order,
        call.scratch + places.seen, points, channels, _address(view.background), first_counted, view.width, view.height,
        view.planar, image.data_ptr(), alpha.data_ptr(), call.kept + places.final_transmittance,
        call.kept + places.last_contributor,
    )  # fmt: skip
    return image, alpha, radii, by_camera, Lists(kept, entries, capacity, needed, first_counted)


def _strides(gradient: torch.Tensor | None, view: View, dimensions: str) -> tuple[int, ...]:
    """Address and strides, in the order camera, row, column (, channel), of a gradient with these dimensions."""
    if gradient is None:
        return (0,) * (1 + len(dimensions) + (not view.batch))
    strides = dict(zip(dimensions, gradient.stride(), strict=True))
    order = "bhwc" if "c" in dimensions else "bhw"
    return gradient.data_ptr(), *(strides.get(name, 0) for name in order)


def backward(
    means: torch.Tensor,
    shape: tuple[torch.Tensor, ...],
    opacities: torch.Tensor,
    features: torch.Tensor,
    view: View,
    lists: Lists,
    grad_image: torch.Tensor | None,
    grad_alpha: torch.Tensor | None,
    screen_points: torch.Tensor | None,
) -> tuple[torch.Tensor, tuple[torch.Tensor, ...], torch.Tensor, torch.Tensor, torch.Tensor | None]:
    """Gradients of means, shape, opacities, features, and (by the image alone, where given) screen points."""
    points, channels = features.shape[-2:]
    rows = lists.capacity
    if lists.needed is not None:
        rows = _checked(lists.needed.wait())
        if rows > lists.capacity:  # there was no room for the lists
            *_, lists = forward(means, shape, opacities, features, view, lists.alpha_point_id, rows)
    block, blocks = _channel_block(channels)
    row = -(-(SUMS + block) // 4) * 4
    sums = means.new_empty((blocks, rows, row))
    places, device = _places(points, view), means.get_device()
    kept, entries = lists.memory.data_ptr(), lists.entries.data_ptr()
    leading = "b" if view.batch else ""
    _UNBLEND[block].launch(
        device, (view.tile_columns, view.tile_rows, blocks * view.cameras), BLOCK, kept + places.splats,
        features.data_ptr(), kept + places.tile_starts, entries, entries + 4 * lists.capacity, rows, points, channels,
        _address(view.background), lists.alpha_point_id, view.width, view.height, kept + places.final_transmittance,
        kept + places.last_contributor, *_strides(grad_image, view, leading + ("chw" if view.planar else "hwc")),
        *_strides(grad_alpha, view, leading + "hw"), sums.data_ptr(),
    )  # fmt: skip
    grad_means, grad_opacities, grad_features = map(torch.empty_like, (means, opacities, features))
    grad_shape = tuple(map(torch.empty_like, shape))
    grad_screen = None if screen_points is None else torch.empty_like(screen_points)
    if points > 0:
        _UNPROJECT[block].launch(
            device, (-(-points // BLOCK), view.cameras, 1), BLOCK,
            *_gaussians(means, shape, opacities, view, kept + places.camera), *view.lens, points, view.width,
            view.height, view.antialias, channels, kept + places.tile_counts, kept + places.bases,
            kept + places.tile_starts + 8 * view.cameras * view.tile_rows * view.tile_columns, rows, sums.data_ptr(),
            grad_means.data_ptr(), *_shape_addresses(grad_shape), grad_opacities.data_ptr(), grad_features.data_ptr(),
            _address(grad_screen), 2 if grad_screen is None else grad_screen.shape[-1],
        )  # fmt: skip
    return grad_means, grad_shape, grad_opacities, grad_features, grad_screen

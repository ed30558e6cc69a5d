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
_PROJECT = PreparedKernel(_PROJECT_MODULE.kernel("project_forward"), _SCENE + "dddddiii?PPPPPPPPPiP")
_SORT = PreparedKernel(_SORT_MODULE.kernel("sort_by_depth"), "PiPPPPPPPP")
_COUNT = PreparedKernel(_BIN_MODULE.kernel("count_instances"), "PPPiiiiP")
_SCAN = PreparedKernel(_BIN_MODULE.kernel("scan_counts"), "PiiiPPPPP")
_PLACE = PreparedKernel(_BIN_MODULE.kernel("place_instances"), "PPPPiiiiPPqPP")
_BLEND = {n: PreparedKernel(_BLEND_MODULE.kernel("blend_forward", n), "PPPPPqPPiiPiii?PPPP") for n in CHANNEL_BLOCKS}
_UNBLEND = {
    n: PreparedKernel(_UNBLEND_MODULE.kernel("blend_backward", n), "PPPPPPqiiiiiPPPiiiiPiiiP") for n in CHANNEL_BLOCKS
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
    image_alone: bool = False  # neither alpha nor the number of instances is wanted

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

    memory: tuple[torch.Tensor, ...]  # places of `Buffers`, and what lies at `owners`
    features: int  # address of what is blended
    owners: int  # address: [capacity] int32, the splats of every tile, nearest first, then their rows in the sums
    capacity: int
    needed: Needed | None  # None: whoever asked for the capacity looks after it
    alpha_point_id: int


class _Call(NamedTuple):
    """One forward pass: its memory, addresses and sizes."""

    device: int
    view: View
    points: int
    places: Buffers
    memory: int  # address
    gaussians: tuple[int | float, ...]  # the arguments of _SCENE


def _places(points: int, channels: int, view: View) -> Buffers:
    over_background = 0 if view.background is None else channels
    return buffers(points, view.cameras, view.tile_rows * view.tile_columns, view.height * view.width, over_background)


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
    places: Buffers,
    memory: torch.Tensor,
) -> _Call:
    """Set the counters in the memory to zero and work out the camera."""
    points, device, start = means.shape[-2], means.get_device(), memory.data_ptr()
    camera = start + places.camera
    matrices: tuple[int, ...] = (0,) * 6
    if view.upstream is not None:
        seen, full = view.upstream
        matrices = seen.data_ptr(), *seen.stride(), full.data_ptr(), *full.stride()
    _PREPARE.launch(
        device, (-(-places.counters // COUNTERS_PER_BLOCK), 1, 1), BLOCK, start + places.next_row, places.counters,
        *matrices, view.width, view.height, camera, camera + 12 * 8,
    )  # fmt: skip
    return _Call(device, view, points, places, start, _gaussians(means, shape, opacities, view, camera))


def project(call: _Call, radii: torch.Tensor, features: torch.Tensor) -> int:
    """Splats, keys of the sort, radii, what the sums of the backward pass are numbered by; where the features lie."""
    view, places, memory = call.view, call.places, call.memory
    blended = features.data_ptr() if view.background is None else memory + places.features
    if call.points > 0:
        _PROJECT.launch(
            call.device, (-(-call.points // BLOCK), view.cameras, 1), BLOCK, *call.gaussians, *view.lens, view.near,
            call.points, view.width, view.height, view.antialias, memory + places.splats, memory + places.depths,
            radii.data_ptr(), memory + places.tile_counts, memory + places.bases, memory + places.next_row,
            memory + places.histograms, features.data_ptr(), _address(view.background), features.shape[-1], blended,
        )  # fmt: skip
    return blended


def sort(call: _Call) -> None:
    """The splats that tiles see, nearest first."""
    places, memory = call.places, call.memory
    _SORT.launch(
        call.device, (DIGITS * places.sort_tiles, call.view.cameras, 1), SORT_BLOCK, memory + places.depths,
        call.points, memory + places.histograms, memory + places.tickets, memory + places.finished_tiles,
        memory + places.published, memory + places.pairs[0], memory + places.pairs[1], memory + places.order,
        memory + places.seen,
    )  # fmt: skip


def count(call: _Call, by_camera: torch.Tensor | None, needed: Needed | None) -> None:
    """How long the tiles' lists will be, and where they start."""
    view, places, memory = call.view, call.places, call.memory
    tiles = view.tile_rows * view.tile_columns
    _COUNT.launch(
        call.device, (places.parts, -(-tiles // BAND), view.cameras), BLOCK, memory + places.splats,
        memory + places.order, memory + places.seen, call.points, places.part_size, view.tile_rows, view.tile_columns,
        memory + places.counts,
    )  # fmt: skip
    _SCAN.launch(
        call.device, (-(-view.cameras * tiles // SCAN_COLUMNS), 1, 1), SCAN_THREADS, memory + places.counts,
        view.cameras, places.parts, tiles, memory + places.tile_starts, memory + places.tile_order, _address(by_camera),
        memory + places.finished_blocks, needed.address if needed else 0,
    )  # fmt: skip


def place(call: _Call, owners: int, capacity: int) -> None:
    """Fill the tiles' lists, as far as there is room."""
    view, places, memory = call.view, call.places, call.memory
    _PLACE.launch(
        call.device, (places.parts, -(-view.tile_rows * view.tile_columns // BAND), view.cameras), BLOCK,
        memory + places.splats, memory + places.order, memory + places.seen, memory + places.bases, call.points,
        places.part_size, view.tile_rows, view.tile_columns, memory + places.counts, memory + places.tile_starts,
        capacity, owners, owners + 4 * capacity,
    )  # fmt: skip


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
) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor, torch.Tensor | None, Lists]:
    """Image [...,H,W,C], alpha [...,H,W], radii [...,P], instances [...] and what `backward` needs.

    The leading dimension is that of the cameras, or absent with one camera. Without a capacity there is room for half
    as many instances again as calls of this size needed so far, and the host waits in the first of them alone; where
    that is not enough the picture is made without lists.
    """
    points, channels = features.shape[-2:]
    if view.cameras * max(points, view.height * view.width * max(channels, 1)) > LARGEST_COUNT:
        raise ArgumentError(f"means: {view.cameras} cameras are too many for one call, render fewer at a time")
    needed = None
    if capacity is None:
        needed, capacity = board(means.get_device()).expect((points, view.cameras, view.width, view.height))
        capacity = None if capacity is None else min(capacity, LARGEST_COUNT)
    places = _places(points, channels, view)
    memory: tuple[torch.Tensor, ...] = (means.new_empty(places.size + 8 * (capacity or 0), dtype=torch.uint8),)
    radii = means.new_empty((*view.batch, points), dtype=torch.int32)
    call = begin(means, shape, opacities, view, places, memory[0])
    blended = project(call, radii, features)
    sort(call)
    by_camera = None if view.image_alone else means.new_empty(view.batch, dtype=torch.int64)
    count(call, by_camera, needed)
    owners = call.memory + places.size
    if capacity is None:
        capacity = _checked(needed.wait()) if needed else 0
        memory = *memory, means.new_empty(2 * capacity, dtype=torch.int32)
        owners = memory[1].data_ptr()
    place(call, owners, capacity)
    lists = Lists(memory, blended, owners, capacity, needed, min(max(alpha_point_id, 0), points))
    image, alpha = _blend(call, lists, channels, means)
    return image, alpha, radii, by_camera, lists


def _blend(call: _Call, lists: Lists, channels: int, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Image and alpha."""
    view, places, memory = call.view, call.places, call.memory
    pixels = view.height, view.width
    image = like.new_empty((*view.batch, channels, *pixels) if view.planar else (*view.batch, *pixels, channels))
    alpha = None if view.image_alone else like.new_empty((*view.batch, *pixels))
    block, blocks = _channel_block(channels)
    _BLEND[block].launch(
        call.device, (view.tile_columns, view.tile_rows, blocks * view.cameras), BLOCK, memory + places.splats,
        lists.features, memory + places.tile_starts, memory + places.tile_order, lists.owners, lists.capacity,
        memory + places.order, memory + places.seen, call.points, channels, _address(view.background),
        lists.alpha_point_id, view.width, view.height, view.planar, image.data_ptr(), _address(alpha),
        memory + places.final_transmittance, memory + places.last_contributor,
    )  # fmt: skip
    return image, alpha


def _within_reach(gradient: torch.Tensor | None) -> torch.Tensor | None:
    """The gradient with strides that lead no farther than the kernels count."""
    if gradient is None:
        return None
    reach = sum((size - 1) * stride for size, stride in zip(gradient.shape, gradient.stride(), strict=True))
    return gradient if reach <= LARGEST_COUNT else gradient.contiguous()


def _strides(gradient: torch.Tensor | None, dimensions: str, zero: int) -> tuple[int, ...]:
    """Address and strides in the order camera, row, column (, channel) of a gradient with these dimensions.

    Args:
        dimensions: some of "bhwc", in their order.
        zero: address of a zero, which stands for a gradient that is None.
    """
    order = "bhwc" if "c" in dimensions else "bhw"
    if gradient is None:
        return zero, *(0 for _ in order)
    strides = dict(zip(dimensions, gradient.stride(), strict=True))
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
    grad_image, grad_alpha = _within_reach(grad_image), _within_reach(grad_alpha)
    block, blocks = _channel_block(channels)
    row = -(-(SUMS + block) // 4) * 4
    sums = means.new_empty((blocks, rows, row))
    places, device = _places(points, channels, view), means.get_device()
    memory = lists.memory[0].data_ptr()
    leading, zero = "b" if view.batch else "", memory + places.zero
    _UNBLEND[block].launch(
        device, (view.tile_columns, view.tile_rows, blocks * view.cameras), BLOCK, memory + places.splats,
        lists.features, memory + places.tile_starts, memory + places.tile_order, lists.owners,
        lists.owners + 4 * lists.capacity, rows, points,
        channels, lists.alpha_point_id, view.width, view.height, memory + places.final_transmittance,
        memory + places.last_contributor, *_strides(grad_image, leading + ("chw" if view.planar else "hwc"), zero),
        *_strides(grad_alpha, leading + "hw", zero), sums.data_ptr(),
    )  # fmt: skip
    grad_means, grad_opacities, grad_features = map(torch.empty_like, (means, opacities, features))
    grad_shape = tuple(map(torch.empty_like, shape))
    grad_screen = None if screen_points is None else torch.empty_like(screen_points)
    if points > 0:
        _UNPROJECT[block].launch(
            device, (-(-points // BLOCK), view.cameras, 1), BLOCK,
            *_gaussians(means, shape, opacities, view, memory + places.camera), *view.lens, points, view.width,
            view.height, view.antialias, channels, memory + places.tile_counts, memory + places.bases,
            memory + places.tile_starts + 8 * view.cameras * view.tile_rows * view.tile_columns, rows, sums.data_ptr(),
            grad_means.data_ptr(), *_shape_addresses(grad_shape), grad_opacities.data_ptr(), grad_features.data_ptr(),
            _address(grad_screen), 2 if grad_screen is None else grad_screen.shape[-1],
        )  # fmt: skip
    return grad_means, grad_shape, grad_opacities, grad_features, grad_screen

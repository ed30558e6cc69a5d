"""Where everything that the CUDA kernels hand to each other lies in one piece of memory, by the sizes of a call."""

from functools import lru_cache
from typing import NamedTuple

BLOCK = 256  # threads, as in splat.cuh
TILE = 16  # pixels
SORT_BLOCK, SORT_TILE = 512, 2048  # threads and keys of a block of sort.cu
DIGITS, BINS = 4, 256  # of a key, as in radix.cuh
MAX_PARTS = 512  # parts of the depth order that are sorted into tiles side by side
_ALIGNMENT = 256  # bytes


class Buffers(NamedTuple):
    """Offsets in bytes, for N splats and T tiles of all cameras, H x W pixels."""

    splats: int  # [N] Splat of splat.cuh
    bases: int  # [N] int64, first row of every splat in the sums of the backward pass
    tile_counts: int  # [N] int32
    tile_starts: int  # [T + 1] int64, the last of them the number of all instances
    tile_order: int  # [T] int32, the tiles, the longest lists first
    camera: int  # [12] and [4] float64: matrix and intrinsics, where the kernels work them out
    final_transmittance: int  # [cameras,H,W] float32
    last_contributor: int  # [cameras,H,W] int32
    features: int  # [N, channels] float32 over the background, where there is one

    # What the backward pass reads lies above, what it does not below.
    next_row: int  # int64; this and the following start at zero, `counters` int32 in all
    finished_blocks: int  # int32, of scan_counts
    zero: int  # float32, stays zero
    tickets: int  # [cameras] int32, of sort_by_depth
    finished_tiles: int  # [cameras, DIGITS] int32
    histograms: int  # [cameras, DIGITS, BINS] int32
    published: int  # [cameras, DIGITS, sort_tiles, BINS] int32
    counters: int
    depths: int  # [N] int32 keys of the sort
    pairs: tuple[int, int]  # [N] keys and indices, twice
    order: int  # [N] int32, those splats that tiles see, nearest first
    seen: int  # [cameras] int32, the number of those
    counts: int  # [cameras, parts, tiles] int32
    size: int

    sort_tiles: int  # blocks that sort the splats of one camera by one digit
    parts: int
    part_size: int  # splats


class _Memory:
    """Hands out places one after the other."""

    def __init__(self) -> None:
        self.size = 0

    def place(self, count: int, item_bytes: int, alignment: int = _ALIGNMENT) -> int:
        start = -(-self.size // alignment) * alignment
        self.size = start + count * item_bytes
        return start


@lru_cache(maxsize=64)
def buffers(points: int, cameras: int, tiles: int, pixels: int, channels: int) -> Buffers:
    """The places for `cameras` cameras with `points` Gaussians, `tiles` tiles and `pixels` pixels each.

    Args:
        channels: of features over a background; 0 without one.
    """
    memory = _Memory()
    splats = cameras * points
    sort_tiles = max(1, -(-points // SORT_TILE))  # one even of none says that there are none
    part_size = BLOCK * max(1, -(-points // (BLOCK * MAX_PARTS)))
    parts = max(1, -(-points // part_size))
    digits = cameras * DIGITS
    return Buffers(
        splats=memory.place(splats, 32),
        bases=memory.place(splats, 8),
        tile_counts=memory.place(splats, 4),
        tile_starts=memory.place(cameras * tiles + 1, 8),
        tile_order=memory.place(cameras * tiles, 4),
        camera=memory.place(16, 8),
        final_transmittance=memory.place(cameras * pixels, 4),
        last_contributor=memory.place(cameras * pixels, 4),
        features=memory.place(splats * channels, 4),
        next_row=(next_row := memory.place(1, 8)),
        finished_blocks=memory.place(1, 4, 4),
        zero=memory.place(1, 4, 4),
        tickets=memory.place(cameras, 4, 4),
        finished_tiles=memory.place(digits, 4, 4),
        histograms=memory.place(digits * BINS, 4, 4),
        published=memory.place(digits * BINS * sort_tiles, 4, 4),
        counters=(memory.size - next_row) // 4,
        depths=memory.place(splats, 4),
        pairs=(memory.place(splats, 8), memory.place(splats, 8)),
        order=memory.place(splats, 4),
        seen=memory.place(cameras, 4),
        counts=memory.place(cameras * parts * tiles, 4),
        size=memory.place(0, 1),
        sort_tiles=sort_tiles,
        parts=parts,
        part_size=part_size,
    )

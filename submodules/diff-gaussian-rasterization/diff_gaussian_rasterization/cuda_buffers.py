"""Where everything that the CUDA kernels hand to each other lies in two pieces of memory, by the sizes of a call."""

from functools import lru_cache
from typing import NamedTuple

BLOCK = 256  # threads, as in splat.cuh
TILE = 16  # pixels
SORT_BLOCK, SORT_TILE = 512, 2048  # threads and keys of a block of sort.cu
DIGITS, BINS = 4, 256  # of a key, as in radix.cuh
MAX_PARTS = 512  # parts of the depth order that are sorted into tiles side by side
_ALIGNMENT = 256  # bytes


class Buffers(NamedTuple):
    """Offsets in bytes: of what the backward pass reads into `kept`, of the rest into `scratch`.

    N splats of all cameras, T tiles of all cameras, H x W pixels.
    """

    kept_size: int
    splats: int  # [N] Splat of splat.cuh
    bases: int  # [N] int64, first row of every splat in the sums of the backward pass
    tile_counts: int  # [N] int32
    tile_starts: int  # [T + 1] int64, the last of them the number of all instances
    camera: int  # [12] and [4] float64: matrix and intrinsics, where the kernels work them out
    final_transmittance: int  # [cameras,H,W] float32
    last_contributor: int  # [cameras,H,W] int32

    scratch_size: int
    next_row: int  # int64; this and the following start at zero, `counters` int32 in all
    finished_blocks: int  # int32, of scan_counts
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
def buffers(points: int, cameras: int, tiles: int, pixels: int) -> Buffers:
    """The places for `cameras` cameras with `points` Gaussians, `tiles` tiles and `pixels` pixels each."""
    kept, scratch = _Memory(), _Memory()
    splats = cameras * points
    sort_tiles = max(1, -(-points // SORT_TILE))  # one even of none says that there are none
    part_size = BLOCK * max(1, -(-points // (BLOCK * MAX_PARTS)))
    parts = max(1, -(-points // part_size))
    digits = cameras * DIGITS
    return Buffers(
        splats=kept.place(splats, 32),
        bases=kept.place(splats, 8),
        tile_counts=kept.place(splats, 4),
        tile_starts=kept.place(cameras * tiles + 1, 8),
        camera=kept.place(16, 8),
        final_transmittance=kept.place(cameras * pixels, 4),
        last_contributor=kept.place(cameras * pixels, 4),
        kept_size=kept.size,
        next_row=scratch.place(1, 8),
        finished_blocks=scratch.place(1, 4, 4),
        tickets=scratch.place(cameras, 4, 4),
        finished_tiles=scratch.place(digits, 4, 4),
        histograms=scratch.place(digits * BINS, 4, 4),
        published=scratch.place(digits * BINS * sort_tiles, 4, 4),
        counters=scratch.size // 4,
        depths=scratch.place(splats, 4),
        pairs=(scratch.place(splats, 8), scratch.place(splats, 8)),
        order=scratch.place(splats, 4),
        seen=scratch.place(cameras, 4),
        counts=scratch.place(cameras * parts * tiles, 4),
        scratch_size=scratch.size,
        sort_tiles=sort_tiles,
        parts=parts,
        part_size=part_size,
    )

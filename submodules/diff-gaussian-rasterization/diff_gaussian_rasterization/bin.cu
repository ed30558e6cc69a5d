// The list of splats that every tile sees, front to back.
//
// The splats come sorted by depth. They are cut into parts; every part counts its instances by tile, the counts are
// summed over the parts before it, and the place of an instance within its part follows from bit masks. So the sort by
// tile is stable and repeatable without a second pass over keys.

#include "splat.cuh"

constexpr int BAND = 1024;  // tiles that one block counts in shared memory

// counts[part, tile] = instances of the part's splats; grid (parts, bands).
extern "C" __global__ __launch_bounds__(BLOCK) void count_instances(
    const Splat* splats, const long long* order, int points, int part_size, int rows, int columns, int* counts) {
    __shared__ int histogram[BAND];
    int tiles = rows * columns, band = blockIdx.y * BAND;
    for (int i = threadIdx.x; i < BAND; i += BLOCK) histogram[i] = 0;
    __syncthreads();
    int begin = blockIdx.x * part_size, end = min(begin + part_size, points);
    for (int i = begin + threadIdx.x; i < end; i += BLOCK) {
        Splat splat = splats[order[i]];
        for_each_tile(splat, rows, columns, [&](int tile) {
            if (static_cast<unsigned>(tile - band) < BAND) atomicAdd(&histogram[tile - band], 1);
        });
    }
    __syncthreads();
    long long row = static_cast<long long>(blockIdx.x) * tiles;
    for (int i = threadIdx.x; i < min(BAND, tiles - band); i += BLOCK) counts[row + band + i] = histogram[i];
}

// Sum over the threads before this one in a block of WARP warps; `total` is the sum over all.
__device__ inline long long block_exclusive_sum(long long value, long long* warp_sums, long long& total) {
    int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    long long inclusive = value;
    for (int offset = 1; offset < WARP; offset *= 2) {
        long long below = __shfl_up_sync(FULL_WARP, inclusive, offset);
        if (lane >= offset) inclusive += below;
    }
    __syncthreads();
    if (lane == WARP - 1) warp_sums[warp] = inclusive;
    __syncthreads();
    long long before = 0;
    total = 0;
    for (int i = 0; i < WARP; ++i) {
        if (i < warp) before += warp_sums[i];
        total += warp_sums[i];
    }
    return before + inclusive - value;
}

// Turns counts[part, tile] into sums over the parts before, one warp-wide column of tiles per block of WARP x WARP
// threads. The block that finishes last turns the totals of the tiles into tile_starts [tiles + 1] and finished_blocks,
// which starts at zero, back to zero.
extern "C" __global__ __launch_bounds__(WARP* WARP) void scan_counts(
    int* counts, int parts, int tiles, long long* tile_starts, unsigned* finished_blocks) {
    __shared__ int segment_sums[WARP][WARP];
    __shared__ long long warp_sums[WARP];
    __shared__ bool is_last;
    int lane = threadIdx.x % WARP, segment = threadIdx.x / WARP;
    int tile = blockIdx.x * WARP + lane;
    int length = (parts + WARP - 1) / WARP;
    int begin = min(segment * length, parts), end = min(begin + length, parts);
    int sum = 0;
    if (tile < tiles)
        for (int part = begin; part < end; ++part) sum += counts[static_cast<long long>(part) * tiles + tile];
    segment_sums[segment][lane] = sum;
    __syncthreads();
    int before = 0;
    for (int i = 0; i < segment; ++i) before += segment_sums[i][lane];
    if (tile < tiles) {
        if (segment == WARP - 1) tile_starts[tile] = before + sum;  // a total; turned into a start below
        for (int part = begin; part < end; ++part) {
            int& entry = counts[static_cast<long long>(part) * tiles + tile];
            int count = entry;
            entry = before;
            before += count;
        }
    }
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) is_last = atomicAdd(finished_blocks, 1u) == gridDim.x - 1;
    __syncthreads();
    if (!is_last) return;
    __threadfence();
    long long start = 0;
    for (int first = 0; first < tiles; first += WARP * WARP) {
        int i = first + threadIdx.x;
        // Written by other blocks: read past the first-level cache.
        long long total, count = i < tiles ? __ldcg(&tile_starts[i]) : 0;
        long long exclusive = block_exclusive_sum(count, warp_sums, total);
        if (i < tiles) tile_starts[i] = start + exclusive;
        start += total;
    }
    if (threadIdx.x == 0) {
        tile_starts[tiles] = start;
        *finished_blocks = 0;
    }
}

// Writes every instance at its place: owners = its splat, instances = its row in the sums of the backward pass.
// Those of one splat have neighbouring rows from bases[splat] on, in the order of the tiles. Grid (parts, bands).
extern "C" __global__ __launch_bounds__(BLOCK) void place_instances(
    const Splat* splats, const long long* order, const long long* bases, int points, int part_size, int rows,
    int columns, const int* counts, const long long* tile_starts, long long capacity, int* owners, int* instances) {
    __shared__ unsigned masks[WARPS][BAND];
    __shared__ long long next[BAND];
    int tiles = rows * columns, band = blockIdx.y * BAND, own = min(BAND, tiles - band);
    int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    long long row = static_cast<long long>(blockIdx.x) * tiles + band;
    for (int i = threadIdx.x; i < own; i += BLOCK) {
        next[i] = tile_starts[band + i] + counts[row + i];
        for (int w = 0; w < WARPS; ++w) masks[w][i] = 0;
    }
    int begin = blockIdx.x * part_size, end = min(begin + part_size, points);
    for (int first = begin; first < end; first += BLOCK) {
        __syncthreads();
        int i = first + threadIdx.x;
        int owner = i < end ? static_cast<int>(order[i]) : 0;
        Splat splat = {};
        splat.half_height = INVISIBLE;
        if (i < end) splat = splats[owner];
        for_each_tile(splat, rows, columns, [&](int tile) {
            if (static_cast<unsigned>(tile - band) < BAND) atomicOr(&masks[warp][tile - band], 1u << lane);
        });
        __syncthreads();
        long long instance = splat.half_height < 0 ? 0 : bases[owner];
        for_each_tile(splat, rows, columns, [&](int tile) {
            if (static_cast<unsigned>(tile - band) < BAND) {
                long long slot = next[tile - band] + __popc(masks[warp][tile - band] & ((1u << lane) - 1));
                for (int w = 0; w < warp; ++w) slot += __popc(masks[w][tile - band]);
                if (slot < capacity) {
                    owners[slot] = owner;
                    instances[slot] = static_cast<int>(min(instance, capacity));
                }
            }
            ++instance;
        });
        __syncthreads();
        for (int t = threadIdx.x; t < own; t += BLOCK)
            for (int w = 0; w < WARPS; ++w) {
                next[t] += __popc(masks[w][t]);
                masks[w][t] = 0;
            }
    }
}

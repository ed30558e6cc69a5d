// The list of splats that every tile sees, front to back.
//
// The splats of a camera come sorted by depth. They are cut into parts; every part counts its instances by tile, the
// counts are summed over the parts before it, and the place of an instance within its part follows from bit masks. So
// the sort by tile is stable and repeatable without a second pass over keys. Tiles are numbered through all cameras.

#include "splat.cuh"

constexpr int BAND = 1024;  // tiles that one block counts in shared memory

// counts[camera, part, tile] = instances of the part's splats; grid (parts, bands, cameras). `order` [cameras, points]
// holds the `seen` [cameras] splats of every camera.
extern "C" __global__ __launch_bounds__(BLOCK) void count_instances(
    const Splat* splats, const int* order, const int* seen, int points, int part_size, int rows, int columns,
    int* counts) {
    __shared__ int histogram[BAND];
    int tiles = rows * columns, band = blockIdx.y * BAND;
    for (int i = threadIdx.x; i < BAND; i += BLOCK) histogram[i] = 0;
    __syncthreads();
    int begin = blockIdx.x * part_size, end = min(begin + part_size, seen[blockIdx.z]);
    order += static_cast<long long>(blockIdx.z) * points;
    for (int i = begin + threadIdx.x; i < end; i += BLOCK) {
        Splat splat = splats[order[i]];
        for_each_tile(splat, rows, columns, [&](int tile) {
            if (static_cast<unsigned>(tile - band) < BAND) atomicAdd(&histogram[tile - band], 1);
        });
    }
    __syncthreads();
    long long row = (static_cast<long long>(blockIdx.z) * gridDim.x + blockIdx.x) * tiles;
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

// Classes of tiles by the lengths of their lists, four to a doubling; the last are the empty ones.
constexpr int CLASSES = 4 * WARP;

__device__ inline int length_class(long long length) {
    if (length == 0) return CLASSES - 1;
    int number = static_cast<int>(min(length, 1ll << 30)), log2 = WARP - 1 - __clz(number);
    int quarters = log2 < 2 ? number << (2 - log2) & 3 : number >> (log2 - 2) & 3;
    return CLASSES - 2 - (4 * log2 + quarters);
}

// Fills order [tiles] with the tiles, the longest lists first: a device that starts blocks in this order spreads the
// long ones over all multiprocessors. Within a class the order may differ between runs; no result depends on it.
__device__ inline void order_tiles(const long long* tile_starts, int tiles, int* order) {
    __shared__ int next[CLASSES];
    if (threadIdx.x < CLASSES) next[threadIdx.x] = 0;
    __syncthreads();
    for (int i = threadIdx.x; i < tiles; i += WARP * WARP)
        atomicAdd(&next[length_class(tile_starts[i + 1] - tile_starts[i])], 1);
    __syncthreads();
    if (threadIdx.x < WARP) {
        constexpr int OWN = CLASSES / WARP;
        int own[OWN], sum = 0;
        for (int k = 0; k < OWN; ++k) own[k] = next[threadIdx.x * OWN + k], sum += own[k];
        int before = sum;
        for (int offset = 1; offset < WARP; offset *= 2) {
            int below = __shfl_up_sync(FULL_WARP, before, offset);
            if (threadIdx.x >= offset) before += below;
        }
        before -= sum;
        for (int k = 0; k < OWN; before += own[k++]) next[threadIdx.x * OWN + k] = before;
    }
    __syncthreads();
    for (int i = threadIdx.x; i < tiles; i += WARP * WARP)
        order[atomicAdd(&next[length_class(tile_starts[i + 1] - tile_starts[i])], 1)] = i;
}

// Turns counts[camera, part, tile] into sums over the parts before, one warp-wide column of tiles per block of WARP x
// WARP threads. The block that finishes last turns the totals of the tiles into tile_starts [cameras x tiles + 1],
// tile_order [cameras x tiles], those with the longest lists first, and instances [cameras] (or null), those of every
// camera, and writes the number of all to `on_host`, memory that the host reads without waiting (or null).
// finished_blocks starts at zero.
extern "C" __global__ __launch_bounds__(WARP* WARP) void scan_counts(
    int* counts, int cameras, int parts, int tiles, long long* tile_starts, int* tile_order, long long* instances,
    unsigned* finished_blocks, long long* on_host) {
    __shared__ int segment_sums[WARP][WARP];
    __shared__ long long warp_sums[WARP];
    __shared__ bool is_last;
    int lane = threadIdx.x % WARP, segment = threadIdx.x / WARP;
    int tile = blockIdx.x * WARP + lane, all_tiles = cameras * tiles;
    int length = (parts + WARP - 1) / WARP;
    int begin = min(segment * length, parts), end = min(begin + length, parts);
    int* column = counts + static_cast<long long>(tile / tiles) * parts * tiles + tile % tiles;
    int sum = 0;
    if (tile < all_tiles)
        for (int part = begin; part < end; ++part) sum += column[static_cast<long long>(part) * tiles];
    segment_sums[segment][lane] = sum;
    __syncthreads();
    int before = 0;
    for (int i = 0; i < segment; ++i) before += segment_sums[i][lane];
    if (tile < all_tiles) {
        if (segment == WARP - 1) tile_starts[tile] = before + sum;  // a total; turned into a start below
        for (int part = begin; part < end; ++part) {
            int& entry = column[static_cast<long long>(part) * tiles];
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
    for (int first = 0; first < all_tiles; first += WARP * WARP) {
        int i = first + threadIdx.x;
        // Written by other blocks: read past the first-level cache.
        long long total, count = i < all_tiles ? __ldcg(&tile_starts[i]) : 0;
        long long exclusive = block_exclusive_sum(count, warp_sums, total);
        if (i < all_tiles) tile_starts[i] = start + exclusive;
        start += total;
    }
    if (threadIdx.x == 0) {
        tile_starts[all_tiles] = start;
        if (on_host != nullptr) *static_cast<volatile long long*>(on_host) = start;
    }
    __syncthreads();
    for (int camera = threadIdx.x; instances != nullptr && camera < cameras; camera += WARP * WARP)
        instances[camera] = tile_starts[(camera + 1) * tiles] - tile_starts[camera * tiles];
    order_tiles(tile_starts, all_tiles, tile_order);
}

// Writes every instance at its place: owners = its splat, instances = its row in the sums of the backward pass.
// Those of one splat have neighbouring rows from bases[splat] on, in the order of the tiles. Grid (parts, bands,
// cameras).
extern "C" __global__ __launch_bounds__(BLOCK) void place_instances(
    const Splat* splats, const int* order, const int* seen, const long long* bases, int points, int part_size, int rows,
    int columns, const int* counts, const long long* tile_starts, long long capacity, int* owners, int* instances) {
    __shared__ unsigned masks[WARPS][BAND];
    __shared__ long long next[BAND];
    int tiles = rows * columns, band = blockIdx.y * BAND, own = min(BAND, tiles - band);
    int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    long long row = (static_cast<long long>(blockIdx.z) * gridDim.x + blockIdx.x) * tiles + band;
    tile_starts += static_cast<long long>(blockIdx.z) * tiles + band;
    order += static_cast<long long>(blockIdx.z) * points;
    for (int i = threadIdx.x; i < own; i += BLOCK) {
        next[i] = tile_starts[i] + counts[row + i];
        for (int w = 0; w < WARPS; ++w) masks[w][i] = 0;
    }
    int begin = blockIdx.x * part_size, end = min(begin + part_size, seen[blockIdx.z]);
    for (int first = begin; first < end; first += BLOCK) {
        __syncthreads();
        int i = first + threadIdx.x;
        int owner = i < end ? order[i] : 0;
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

// The splats of every camera that any tile sees, nearest first, equal depths by index: a radix sort from the lowest
// digit to the highest, one launch for each.
//
// A block ranks the keys of one tile of the input, warp by warp in order, and gets the number of keys with the same
// digit in all tiles before from what those publish ("decoupled look-back", Merrill and Garland 2016). Positions are
// determined by the keys alone, so the result is the same in every run.

#include "radix.cuh"
#include "splat.cuh"

constexpr int SORT_BLOCK = 512, SORT_WARPS = SORT_BLOCK / WARP, KEYS = 4;  // threads, and keys of each
constexpr int SORT_TILE = SORT_BLOCK * KEYS;
constexpr int BIN_WARPS = BINS / WARP;

// What a tile publishes for every digit: first its own number of keys, then that of all tiles up to it.
constexpr unsigned OWN = 1u << 30, ALL = 2u << 30, COUNT = OWN - 1;
constexpr int WINDOW = 8;  // tiles looked at together

// Number of keys with the column's digit in the tiles before `tile`; waits for tiles that have not published yet.
__device__ inline int keys_before(const volatile unsigned* column, int tile) {
    int before = 0, next = tile - 1;
    while (true) {
        unsigned published[WINDOW];
#pragma unroll
        for (int i = 0; i < WINDOW; ++i) published[i] = next - i >= 0 ? column[(next - i) * BINS] : ALL;
#pragma unroll
        for (int i = 0; i < WINDOW; ++i) {
            if (published[i] == 0) break;
            before += published[i] & COUNT;
            if (published[i] & ALL) return before;
            --next;
        }
    }
}

// Lanes of the warp that have the same digit, among those that are `valid`.
__device__ inline unsigned lanes_with(int digit, bool valid) {
    unsigned lanes = __ballot_sync(FULL_WARP, valid);
#pragma unroll
    for (int bit = 0; bit < RADIX_BITS; ++bit) {
        bool set = digit >> bit & 1;
        unsigned votes = __ballot_sync(FULL_WARP, set);
        lanes &= set ? votes : ~votes;
    }
    return lanes;
}

// Sorts by digit DIGIT: from `depths` [cameras, points] (the lowest digit) or `from` (all others), pairs of a key and
// the index of its splat, to `order` and `seen`, their number (the highest digit), or `to` (all others).
//
// histograms [cameras, DIGITS, BINS] of the keys that are not UNSEEN; tickets [cameras, DIGITS] and published [cameras,
// DIGITS, tiles, BINS] start at zero. Grid (tiles, cameras).
template <int DIGIT>
__global__ __launch_bounds__(SORT_BLOCK, 2) void sort_by_digit(
    const int* depths, const uint2* from, int points, const int* histograms, int* tickets, unsigned* published,
    uint2* to, int* order, int* seen) {
    __shared__ int warp_counts[SORT_WARPS][BINS];
    __shared__ int bin_starts[BINS], warp_totals[BIN_WARPS], ticket;
    int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP, bin = threadIdx.x, camera = blockIdx.y;
    int pass = camera * DIGITS + DIGIT, first_splat = camera * points;

    // Tiles are handed out in the order in which blocks start: those before have started and wait for nobody behind.
    if (threadIdx.x == 0) ticket = atomicAdd(&tickets[pass], 1);
    for (int i = threadIdx.x; i < SORT_WARPS * BINS; i += SORT_BLOCK) warp_counts[i / BINS][i % BINS] = 0;
    int bin_count = bin < BINS ? histograms[pass * BINS + bin] : 0, inclusive = bin_count;
    for (int offset = 1; offset < WARP; offset *= 2) {
        int below = __shfl_up_sync(FULL_WARP, inclusive, offset);
        if (lane >= offset) inclusive += below;
    }
    if (warp < BIN_WARPS && lane == WARP - 1) warp_totals[warp] = inclusive;
    __syncthreads();
    int bin_start = inclusive - bin_count, all = 0;
    for (int w = 0; w < BIN_WARPS; ++w) {
        if (w < warp) bin_start += warp_totals[w];
        all += warp_totals[w];
    }
    int tile = ticket, given = DIGIT == 0 ? points : all;
    if (DIGIT == DIGITS - 1 && tile == 0 && threadIdx.x == 0) seen[camera] = all;
    if (tile * SORT_TILE >= given) return;

    auto write = [&](int position, uint2 pair) {
        if (DIGIT == DIGITS - 1)
            order[first_splat + position] = static_cast<int>(pair.y);
        else
            to[first_splat + position] = pair;
    };
    // The highest digit, sign and most of the exponent, is usually the same everywhere.
    if (DIGIT > 0 && __syncthreads_or(bin < BINS && bin_count == all)) {
        for (int i = tile * SORT_TILE + threadIdx.x; i < min((tile + 1) * SORT_TILE, all); i += SORT_BLOCK)
            write(i, from[first_splat + i]);
        return;
    }

    uint2 pairs[KEYS];
    int digits[KEYS], ranks[KEYS];  // ranks among the warp's keys with the digit
    bool valid[KEYS];
    int first = tile * SORT_TILE + warp * WARP * KEYS + lane;
#pragma unroll
    for (int k = 0; k < KEYS; ++k) {
        int i = first + k * WARP;
        valid[k] = i < given;
        pairs[k] = make_uint2(UNSEEN, first_splat + i);
        if (valid[k] && DIGIT == 0) pairs[k].x = depths[first_splat + i];
        if (valid[k] && DIGIT > 0) pairs[k] = from[first_splat + i];
        if (DIGIT == 0) valid[k] = pairs[k].x != UNSEEN;
        digits[k] = digit_of(pairs[k].x, DIGIT);
    }
#pragma unroll
    for (int k = 0; k < KEYS; ++k) {
        unsigned lanes = lanes_with(digits[k], valid[k]);
        int before = valid[k] ? warp_counts[warp][digits[k]] : 0;
        ranks[k] = before + __popc(lanes & ((1u << lane) - 1));
        __syncwarp();
        if (valid[k] && lane == __ffs(lanes) - 1) warp_counts[warp][digits[k]] = before + __popc(lanes);
        __syncwarp();
    }
    __syncthreads();
    if (bin < BINS) {
        // Turn counts into those of the warps before.
        int own = 0;
        for (int w = 0; w < SORT_WARPS; ++w) {
            int count = warp_counts[w][bin];
            warp_counts[w][bin] = own;
            own += count;
        }
        int tiles = gridDim.x;
        volatile unsigned* column = published + static_cast<long long>(pass) * tiles * BINS + bin;
        if (tile > 0) column[tile * BINS] = OWN | own;
        int before = keys_before(column, tile);
        column[tile * BINS] = ALL | (before + own);
        bin_starts[bin] = bin_start + before;
    }
    __syncthreads();
#pragma unroll
    for (int k = 0; k < KEYS; ++k)
        if (valid[k]) write(bin_starts[digits[k]] + warp_counts[warp][digits[k]] + ranks[k], pairs[k]);
}

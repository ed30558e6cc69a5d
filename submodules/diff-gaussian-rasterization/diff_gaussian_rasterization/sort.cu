// The splats of every camera that any tile sees, nearest first, equal depths by index: a radix sort from the lowest
// digit to the highest, all in one launch.
//
// A block ranks the keys of one tile of the input, warp by warp in order, and gets the number of keys with the same
// digit in all tiles before from what those publish ("decoupled look-back", Merrill and Garland 2016). Positions are
// determined by the keys alone, so the result is the same in every run. Digits that all keys share (the highest, sign and
// most of the exponent, usually) are passed over. Blocks take tickets: first all tiles of the lowest digit, then all of
// the next. They wait only for holders of earlier tickets, who have started, so that it does not matter how many blocks
// the device runs at a time.

#include "radix.cuh"
#include "splat.cuh"

constexpr int SORT_BLOCK = 512, SORT_WARPS = SORT_BLOCK / WARP, KEYS = 4;  // threads, and keys of each
constexpr int SORT_TILE = SORT_BLOCK * KEYS;
constexpr int BIN_WARPS = BINS / WARP;

// What a tile publishes for every digit: first its own number of keys, then that of all tiles up to it.
constexpr unsigned OWN = 1u << 30, ALL = 2u << 30, COUNT = OWN - 1;
constexpr int WINDOW = 16;  // tiles looked at together

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

// Where a pass reads and writes: pairs of a key and the index of its splat, but in the first pass keys alone and in the
// last indices alone. What other blocks wrote in this launch is read past the first-level cache.
struct Pass {
    int digit, first_splat;
    bool first, last;
    const int* depths;
    const uint2* from;
    uint2* to;
    int* order;

    __device__ uint2 read(int i) const {
        if (first) return make_uint2(depths[first_splat + i], first_splat + i);
        return __ldcg(&from[first_splat + i]);
    }

    __device__ void write(int i, uint2 pair) const {
        if (last)
            order[first_splat + i] = static_cast<int>(pair.y);
        else
            to[first_splat + i] = pair;
    }
};

// Keys with each digit below the thread's (bin < BINS); `all` is the number of all keys. Synchronises.
__device__ inline int keys_below(int bin_count, int& all) {
    __shared__ int warp_totals[BIN_WARPS];
    int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP, inclusive = bin_count;
    for (int offset = 1; offset < WARP; offset *= 2) {
        int below = __shfl_up_sync(FULL_WARP, inclusive, offset);
        if (lane >= offset) inclusive += below;
    }
    if (warp < BIN_WARPS && lane == WARP - 1) warp_totals[warp] = inclusive;
    __syncthreads();
    int below = inclusive - bin_count;
    all = 0;
    for (int w = 0; w < BIN_WARPS; ++w) {
        if (w < warp) below += warp_totals[w];
        all += warp_totals[w];
    }
    return below;
}

// The digit of pass number `pass` among those that not all `keys` of a camera share, or -1 if there are fewer; the lowest
// counts always. `passes` is their number.
__device__ inline int digit_of_pass(const int* histograms, int keys, int pass, int& passes) {
    int digit = -1;
    passes = 0;
    for (int d = 0; d < DIGITS; ++d) {
        bool shared = threadIdx.x < BINS && histograms[d * BINS + threadIdx.x] == keys;
        if (__syncthreads_or(shared) && d > 0) continue;
        if (passes == pass) digit = d;
        ++passes;
    }
    return digit;
}

// Moves the keys of one tile to their places by the pass's digit: `bin_start` is the first place of the thread's digit,
// `column` what the tiles publish for it, `warp_counts` [SORT_WARPS][BINS] zeros.
__device__ inline void scatter(
    const Pass& pass, int tile, int given, int bin_start, volatile unsigned* column, int (*warp_counts)[BINS]) {
    __shared__ int bin_starts[BINS];
    int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP, bin = threadIdx.x;
    uint2 pairs[KEYS];
    int digits[KEYS], ranks[KEYS];  // ranks among the warp's keys with the digit
    bool valid[KEYS];
    int first = tile * SORT_TILE + warp * WARP * KEYS + lane;
#pragma unroll
    for (int k = 0; k < KEYS; ++k) {
        int i = first + k * WARP;
        valid[k] = i < given;
        pairs[k] = valid[k] ? pass.read(i) : make_uint2(UNSEEN, 0);
        valid[k] = pairs[k].x != UNSEEN;
        digits[k] = digit_of(pairs[k].x, pass.digit);
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
        if (tile > 0) column[tile * BINS] = OWN | own;
        int before = keys_before(column, tile);
        column[tile * BINS] = ALL | (before + own);
        bin_starts[bin] = bin_start + before;
    }
    __syncthreads();
#pragma unroll
    for (int k = 0; k < KEYS; ++k)
        if (valid[k]) pass.write(bin_starts[digits[k]] + warp_counts[warp][digits[k]] + ranks[k], pairs[k]);
}

// Sorts `depths` [cameras, points] by way of pairs `a` and `b` [cameras, points] into order [cameras, points] and seen
// [cameras], the number of keys that are not UNSEEN.
//
// histograms [cameras, DIGITS, BINS] of those keys; tickets [cameras], finished [cameras, DIGITS] and published [cameras,
// DIGITS, tiles, BINS] start at zero. Grid (DIGITS x tiles, cameras).
extern "C" __global__ __launch_bounds__(SORT_BLOCK, 2) void sort_by_depth(
    const int* depths, int points, const int* histograms, int* tickets, int* finished, unsigned* published, uint2* a,
    uint2* b, int* order, int* seen) {
    __shared__ int warp_counts[SORT_WARPS][BINS], ticket;
    int camera = blockIdx.y, bin = threadIdx.x, tiles = gridDim.x / DIGITS;
    if (threadIdx.x == 0) ticket = atomicAdd(&tickets[camera], 1);
    for (int i = threadIdx.x; i < SORT_WARPS * BINS; i += SORT_BLOCK) warp_counts[i / BINS][i % BINS] = 0;
    histograms += camera * DIGITS * BINS;
    int all, passes;
    keys_below(bin < BINS ? histograms[bin] : 0, all);
    int number = ticket / tiles, tile = ticket % tiles, digit = digit_of_pass(histograms, all, number, passes);
    if (ticket == 0 && threadIdx.x == 0) seen[camera] = all;
    if (digit < 0) return;
    int bin_start = keys_below(bin < BINS ? histograms[digit * BINS + bin] : 0, all);
    int row = camera * DIGITS + number, given = number == 0 ? points : all;
    if (number > 0 && threadIdx.x == 0) {
        const volatile int* before = &finished[row - 1];
        while (*before < tiles) {}
        __threadfence();
    }
    __syncthreads();
    Pass pass = {digit, camera * points, number == 0, number == passes - 1, depths,
                 number % 2 ? a : b, number % 2 ? b : a, order};
    if (tile * SORT_TILE < given) {
        volatile unsigned* column = published + static_cast<long long>(row) * tiles * BINS + bin;
        scatter(pass, tile, given, bin_start, column, warp_counts);
        __threadfence();
    }
    __syncthreads();
    if (threadIdx.x == 0 && !pass.last) atomicAdd(&finished[row], 1);
}

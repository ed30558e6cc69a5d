// Gradients of the blending, tile by tile from the last contributor of every pixel to the first.
//
// Every instance gets its own row of sums over the pixels of its tile, added in a fixed order: no atomics, and the
// same bits in every run.

#include "blend.cuh"
#include "sums.cuh"

constexpr int STAGE = 128;  // splats in shared memory at a time

// Sums COUNT values over a warp by halving: every step a lane gives half of its values to its partner and adds what it
// gets to the other half, so that all sums together cost about as many shuffles as there are values.
template <int COUNT, int OFFSET>
struct WarpSums {
    static constexpr int KEPT = (COUNT + 1) / 2;

    // The column whose sum this lane ends up with, or -1.
    __device__ static int column(int lane, int valid) {
        if constexpr (OFFSET == 0) {
            return valid > 0 ? 0 : -1;
        } else {
            bool upper = lane & OFFSET;
            if constexpr (COUNT == 1) {
                return upper ? -1 : WarpSums<1, OFFSET / 2>::column(lane, valid);
            } else {
                int inner = WarpSums<KEPT, OFFSET / 2>::column(lane, upper ? valid - KEPT : min(valid, KEPT));
                return inner < 0 ? -1 : inner + (upper ? KEPT : 0);
            }
        }
    }

    __device__ static float sum(const float* values, int lane) {
        if constexpr (OFFSET == 0) {
            return values[0];
        } else if constexpr (COUNT == 1) {
            float both = values[0] + __shfl_xor_sync(FULL_WARP, values[0], OFFSET);
            return WarpSums<1, OFFSET / 2>::sum(&both, lane);
        } else {
            bool upper = lane & OFFSET;
            float kept[KEPT];
#pragma unroll
            for (int i = 0; i < KEPT; ++i) {
                float high = KEPT + i < COUNT ? values[KEPT + i] : 0.0f;
                float given = upper ? values[i] : high;
                kept[i] = (upper ? high : values[i]) + __shfl_xor_sync(FULL_WARP, given, OFFSET);
            }
            return WarpSums<KEPT, OFFSET / 2>::sum(kept, lane);
        }
    }
};

// Grid (tile columns, tile rows, cameras x blocks of channels). Writes the rows `instances` of sums [blocks of channels,
// capacity, ROW]: q and c of sums.cuh, then the gradients of the block's channels. The alpha output belongs to the first
// block. The gradients come with strides of any kind in `image` and `alpha`.
//
// The strides are 32 bits and nothing here branches on data but the rows of pixels: with more of either the compiler works
// out the addresses of shared memory by lane instead of once a warp, a sixth slower.
template <int CHANNELS>
__global__ __launch_bounds__(BLOCK, CHANNELS <= 4 ? 6 : CHANNELS <= 8 ? 5 : 4) void blend_backward(
    const Splat* splats, const float* features, const long long* tile_starts, const int* tile_order, const int* owners,
    const int* instances, long long capacity, int points, int channels, int alpha_point_id, int width, int height,
    const float* final_transmittance, const int* last_contributor, const float* grad_image, int image_camera,
    int image_row, int image_column, int image_channel, const float* grad_alpha, int alpha_camera, int alpha_row,
    int alpha_column, float* sums) {
    constexpr int COLUMNS = SUMS + CHANNELS, ROW = (COLUMNS + 3) / 4 * 4;
    constexpr int GROUP = COLUMNS <= 12 ? 64 : 32;  // splats whose sums over warps wait in shared memory
    __shared__ Splat staged[STAGE];
    __shared__ Features<CHANNELS> staged_features[STAGE];
    __shared__ int staged_instances[STAGE];
    __shared__ float warp_sums[WARPS][GROUP][COLUMNS];
    __shared__ unsigned contributed[WARPS][GROUP / WARP];
    __shared__ int longest;

    Layer layer(tile_order, channels, CHANNELS, points, alpha_point_id);
    Pixel pixel(layer, width, height);
    TileList list(tile_starts, layer, capacity);
    int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    int column = WarpSums<COLUMNS, WARP / 2>::column(lane, COLUMNS);
    float x = static_cast<float>(pixel.x), y = static_cast<float>(pixel.y);
    float transmittance = 1.0f, by_alpha = 0.0f, by_image[CHANNELS] = {};
    float behind = 0.0f, behind_alpha = 0.0f;  // sums over the splats behind of weight * (gradient . feature)
    int last = 0;
    if (pixel.inside) {
        long long index = pixel.index(layer.camera);
        transmittance = final_transmittance[index];
        last = last_contributor[index];
        if (layer.first_channel == 0)
            by_alpha =
                grad_alpha[layer.camera * alpha_camera + pixel.y * alpha_row + pixel.x * alpha_column];
#pragma unroll
        for (int c = 0; c < CHANNELS; ++c)
            if (layer.first_channel + c < channels)
                by_image[c] = grad_image[
                    layer.camera * image_camera + pixel.y * image_row + pixel.x * image_column +
                    (layer.first_channel + c) * image_channel];
    }
    int warp_last = last;
    for (int offset = WARP / 2; offset > 0; offset /= 2)
        warp_last = max(warp_last, __shfl_xor_sync(FULL_WARP, warp_last, offset));
    if (threadIdx.x == 0) longest = 0;
    __syncthreads();
    if (lane == 0) atomicMax(&longest, warp_last);
    __syncthreads();

    sums += layer.first_channel / CHANNELS * capacity * ROW;
    for (int i = longest * ROW + threadIdx.x; i < list.count * ROW; i += BLOCK) {
        int instance = instances[list.begin + i / ROW];
        if (instance < capacity) sums[static_cast<long long>(instance) * ROW + i % ROW] = 0.0f;
    }

    for (int stage_end = longest; stage_end > 0; stage_end -= STAGE) {
        int first = max(stage_end - STAGE, 0), count = stage_end - first;
        if (threadIdx.x < count) {
            long long slot = list.begin + first + threadIdx.x;
            int owner = owners[slot];
            staged[threadIdx.x] = splats[owner];
            staged_features[threadIdx.x].load(features, owner, channels, layer);
            staged_instances[threadIdx.x] = instances[slot];
        }
        __syncthreads();
        for (int group_end = count; group_end > 0; group_end -= GROUP) {
            int group = max(group_end - GROUP, 0);
            for (int word = GROUP / WARP - 1; word >= 0; --word) {
                int own = group + word * WARP + lane;
                bool touches = own < group_end && first + own < warp_last &&
                               touches_patch(staged[own], pixel.patch_x, pixel.patch_y);
                unsigned used = 0;
                for (unsigned hits = __ballot_sync(FULL_WARP, touches); hits != 0;) {
                    int bit = WARP - 1 - __clz(hits);
                    hits ^= 1u << bit;
                    int k = group + word * WARP + bit;
                    const Splat& splat = staged[k];
                    float dy = splat.y - y, across = offset_across(splat, splat.x - x, dy);
                    float level = log2_alpha(splat, across, dy);
                    bool active = level >= LOG2_MIN_ALPHA && first + k < last;
                    if (!__any_sync(FULL_WARP, active)) continue;
                    used |= 1u << bit;
                    float uncapped = exp2_fast(level);
                    float opacity = active ? fminf(MAX_ALPHA, uncapped) : 0.0f;
                    float through = __fdividef(1.0f, 1.0f - opacity);
                    transmittance *= through;
                    float weight = opacity * transmittance;
                    const Features<CHANNELS>& feature = staged_features[k];
                    float values[COLUMNS], along = 0.0f, along_alpha = feature.counts * by_alpha;
#pragma unroll
                    for (int c = 0; c < CHANNELS; ++c) {
                        along = fmaf(feature.values[c], by_image[c], along);
                        values[SUMS + c] = weight * by_image[c];
                    }
                    float by_log = uncapped < MAX_ALPHA ? opacity : 0.0f;
                    float c = by_log * fmaf(transmittance, along, -through * behind);
                    float q = fmaf(by_log, fmaf(transmittance, along_alpha, -through * behind_alpha), c);
                    behind = fmaf(weight, along, behind);
                    behind_alpha = fmaf(weight, along_alpha, behind_alpha);
                    values[Q] = q;
                    values[Q_U] = q * across;
                    values[Q_Y] = q * dy;
                    values[Q_UU] = q * across * across;
                    values[Q_UY] = q * across * dy;
                    values[Q_YY] = q * dy * dy;
                    values[C_U] = c * across;
                    values[C_Y] = c * dy;
                    float total = WarpSums<COLUMNS, WARP / 2>::sum(values, lane);
                    if (column >= 0) warp_sums[warp][k - group][column] = total;
                }
                if (lane == 0) contributed[warp][word] = used;
            }
            __syncthreads();
            for (int i = threadIdx.x; i < (group_end - group) * COLUMNS; i += BLOCK) {
                int k = i / COLUMNS, c = i % COLUMNS;
                float total = 0.0f;
#pragma unroll
                for (int w = 0; w < WARPS; ++w)
                    if (contributed[w][k / WARP] >> k % WARP & 1) total += warp_sums[w][k][c];
                int instance = staged_instances[group + k];
                if (instance < capacity) sums[static_cast<long long>(instance) * ROW + c] = total;
            }
            __syncthreads();
        }
    }
}

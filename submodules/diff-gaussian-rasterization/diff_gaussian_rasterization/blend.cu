// Blending of every tile's list into its pixels, front to back.

#include "blend.cuh"

// The place of the thread among those of its block that `are` so, in their order, and the number of those.
__device__ inline int place_among(bool are, int& number) {
    __shared__ int of_warps[WARPS];
    int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    unsigned lanes = __ballot_sync(FULL_WARP, are);
    if (lane == 0) of_warps[warp] = __popc(lanes);
    __syncthreads();
    int place = __popc(lanes & ((1u << lane) - 1));
    number = 0;
    for (int w = 0; w < WARPS; ++w) {
        if (w < warp) place += of_warps[w];
        number += of_warps[w];
    }
    return place;
}

__device__ inline bool sees(const Splat& splat, int rows, int columns, int tile) {
    bool found = false;
    for_each_tile(splat, rows, columns, [&](int other) { found |= other == tile; });
    return found;
}

// Sums over a tile's splats, front to back, for the thread's pixel.
template <int CHANNELS>
struct Blended {
    float open;  // transmittance, or 0 once the pixel is finished
    float behind = 1.0f, alpha = 0.0f, sum[CHANNELS] = {};
    int last = 0;

    __device__ explicit Blended(bool inside) : open(inside ? 1.0f : 0.0f) {}
};

// Blends the tile's list of splats `owners`, or (LISTED false) those of all splats of the camera that the tile sees.
template <int CHANNELS, bool LISTED>
__device__ __forceinline__ void blend_tile(
    const Splat* splats, const float* features, const int* owners, int available, int channels, const Layer& layer,
    const Pixel& pixel, Splat* staged, Features<CHANNELS>* staged_features, Blended<CHANNELS>& blended) {
    int lane = threadIdx.x % WARP;
    float x = static_cast<float>(pixel.x), y = static_cast<float>(pixel.y);
    float open = blended.open, behind = 1.0f, sum_alpha = 0.0f, sum[CHANNELS] = {};
    int last = 0, first = 0;  // `first` is the place in the tile's list of the first staged splat
    for (int next = 0; next < available; next += BLOCK) {
        if (__syncthreads_and(open == 0.0f)) break;
        int count = min(BLOCK, available - next), place = threadIdx.x;
        bool kept = threadIdx.x < count;
        if (LISTED) first = next;
        if (!LISTED) {
            kept = kept && sees(splats[owners[next + threadIdx.x]], gridDim.y, gridDim.x, layer.row * gridDim.x + layer.column);
            place = place_among(kept, count);
        }
        if (kept) {
            int owner = owners[next + threadIdx.x];
            staged[place] = splats[owner];
            staged_features[place].load(features, owner, channels, layer);
        }
        __syncthreads();
        for (int group = 0; group < count; group += WARP) {
            if (__all_sync(FULL_WARP, open == 0.0f)) break;
            int own = group + lane;
            bool touches = own < count && touches_patch(staged[own], pixel.patch_x, pixel.patch_y);
            for (unsigned hits = __ballot_sync(FULL_WARP, touches); hits != 0; hits &= hits - 1) {
                int k = group + __ffs(hits) - 1;
                const Splat& splat = staged[k];
                float dy = splat.y - y, across = offset_across(splat, splat.x - x, dy);
                float level = log2_alpha(splat, across, dy);
                float opacity = level >= LOG2_MIN_ALPHA ? fminf(MAX_ALPHA, exp2_fast(level)) : 0.0f;
                float after = fmaf(-opacity, open, open);
                float weight = after >= MIN_TRANSMITTANCE ? opacity * open : 0.0f;
                open = after >= MIN_TRANSMITTANCE ? after : 0.0f;
                behind = open > 0.0f ? open : behind;
                last = weight > 0.0f ? first + k + 1 : last;
                const Features<CHANNELS>& feature = staged_features[k];
                sum_alpha = fmaf(feature.counts, weight, sum_alpha);
#pragma unroll
                for (int c = 0; c < CHANNELS; ++c) sum[c] = fmaf(feature.values[c], weight, sum[c]);
            }
        }
        if (!LISTED) first += count;
    }
    blended.behind = behind;
    blended.alpha = sum_alpha;
    blended.last = last;
#pragma unroll
    for (int c = 0; c < CHANNELS; ++c) blended.sum[c] = sum[c];
}

// Grid (tile columns, tile rows, cameras x blocks of channels). Writes image [cameras,H,W,channels] (planar:
// [cameras,channels,H,W]) over a background [channels] (or null: black) that the features are relative to, and from the
// first block of channels alpha [cameras,H,W] (or null), the transmittance behind all splats [cameras,H,W] and the place
// of the last contributor in the tile's list, from 1 [cameras,H,W].
//
// Where there was no room for the lists every tile looks through all the splats that its camera has, in the order of
// depth: the same picture, slowly, and no contributors for the backward pass.
template <int CHANNELS>
__global__ __launch_bounds__(BLOCK, CHANNELS <= 4 ? 8 : CHANNELS <= 8 ? 5 : 4) void blend_forward(
    const Splat* splats, const float* features, const long long* tile_starts, const int* tile_order, const int* owners,
    long long capacity, const int* order, const int* seen, int points, int channels, const float* background, int alpha_point_id, int width,
    int height, bool planar, float* image, float* alpha, float* final_transmittance, int* last_contributor) {
    __shared__ Splat staged[BLOCK];
    __shared__ Features<CHANNELS> staged_features[BLOCK];
    Layer layer(tile_order, channels, CHANNELS, points, alpha_point_id);
    Pixel pixel(layer, width, height);
    TileList list(tile_starts, layer, capacity);
    Blended<CHANNELS> blended(pixel.inside);
    if (list.needed <= capacity)
        blend_tile<CHANNELS, true>(
            splats, features, owners + list.begin, list.count, channels, layer, pixel, staged, staged_features, blended);
    else {
        blend_tile<CHANNELS, false>(
            splats, features, order + static_cast<long long>(layer.camera) * points, seen[layer.camera], channels, layer,
            pixel, staged, staged_features, blended);
        blended.last = 0;  // of a list that is not there
    }
    if (!pixel.inside) return;
    long long index = pixel.index(layer.camera), plane = planar ? static_cast<long long>(width) * height : 1;
    image += planar ? index + layer.camera * (channels - 1) * plane : index * channels;
#pragma unroll
    for (int c = 0; c < CHANNELS; ++c) {
        int channel = layer.first_channel + c;
        if (channel >= channels) break;
        image[channel * plane] = background == nullptr ? blended.sum[c] : blended.sum[c] + background[channel];
    }
    if (layer.first_channel > 0) return;
    if (alpha != nullptr) alpha[index] = blended.alpha;
    final_transmittance[index] = blended.behind;
    last_contributor[index] = blended.last;
}

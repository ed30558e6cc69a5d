// Blending of every tile's list into its pixels, front to back.

#include "blend.cuh"

// Grid (tile columns, tile rows, cameras x blocks of channels). Writes image [cameras,H,W,channels], and from the first
// block of channels alpha [cameras,H,W], the transmittance behind all splats [cameras,H,W] and the place of the last
// contributor in the tile's list, from 1 [cameras,H,W].
template <int CHANNELS>
__global__ __launch_bounds__(BLOCK) void blend_forward(
    const Splat* splats, const float* features, const long long* tile_starts, const int* owners, long long capacity,
    int points, int channels, int alpha_point_id, int width, int height, float* image, float* alpha,
    float* final_transmittance, int* last_contributor) {
    __shared__ Splat staged[BLOCK];
    __shared__ Features<CHANNELS> staged_features[BLOCK];
    Layer layer(channels, CHANNELS, points, alpha_point_id);
    Pixel pixel(width, height);
    TileList list(tile_starts, layer.camera, capacity);
    int lane = threadIdx.x % WARP;
    float x = static_cast<float>(pixel.x), y = static_cast<float>(pixel.y);
    float open = pixel.inside ? 1.0f : 0.0f;  // transmittance, or 0 once the pixel is finished
    float behind = 1.0f, sum_alpha = 0.0f, sum[CHANNELS] = {};
    int last = 0;
    for (int first = 0; first < list.count; first += BLOCK) {
        if (__syncthreads_and(open == 0.0f)) break;
        int count = min(BLOCK, list.count - first);
        if (threadIdx.x < count) {
            int owner = owners[list.begin + first + threadIdx.x];
            staged[threadIdx.x] = splats[owner];
            staged_features[threadIdx.x].load(features, owner, channels, layer);
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
    }
    if (!pixel.inside) return;
    long long index = pixel.index(layer.camera);
#pragma unroll
    for (int c = 0; c < CHANNELS; ++c)
        if (layer.first_channel + c < channels) image[index * channels + layer.first_channel + c] = sum[c];
    if (layer.first_channel > 0) return;
    alpha[index] = sum_alpha;
    final_transmittance[index] = behind;
    last_contributor[index] = last;
}

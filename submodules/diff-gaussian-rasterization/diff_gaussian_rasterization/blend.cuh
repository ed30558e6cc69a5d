// What the forward and the backward blending share: which pixel a thread has, and splats staged in shared memory.

#pragma once

#include "splat.cuh"

// Which camera and which channels a block has.
struct Layer {
    int cameras, camera, first_channel;
    int first_counted;  // splats from here on count in the alpha output

    __device__ Layer(int channels, int block_channels, int points, int alpha_point_id) {
        int blocks = max((channels + block_channels - 1) / block_channels, 1);
        cameras = gridDim.z / blocks;
        camera = blockIdx.z / blocks;
        first_channel = blockIdx.z % blocks * block_channels;
        first_counted = camera * points + alpha_point_id;
    }
};

// One block is one tile, one warp a patch of it, one thread a pixel.
struct Pixel {
    int x, y, width, height;
    bool inside;
    float patch_x, patch_y;  // first pixel of the warp's patch

    __device__ Pixel(int width, int height) : width(width), height(height) {
        constexpr int PATCHES = TILE / PATCH_WIDTH;  // side by side
        int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
        int first_x = blockIdx.x * TILE + warp % PATCHES * PATCH_WIDTH;
        int first_y = blockIdx.y * TILE + warp / PATCHES * PATCH_HEIGHT;
        x = first_x + lane % PATCH_WIDTH;
        y = first_y + lane / PATCH_WIDTH;
        inside = x < width && y < height;
        patch_x = static_cast<float>(first_x);
        patch_y = static_cast<float>(first_y);
    }

    // Of the pixel in the images of all cameras.
    __device__ long long index(int camera) const { return (static_cast<long long>(camera) * height + y) * width + x; }
};

// A block of CHANNELS channels of one splat, behind the 0 or 1 by which it counts in the alpha output.
template <int CHANNELS>
struct __align__(16) Features {
    float counts;
    float values[CHANNELS];

    __device__ void load(const float* features, int owner, int channels, const Layer& layer) {
        const float* row = features + static_cast<long long>(owner) * channels + layer.first_channel;
        counts = owner >= layer.first_counted ? 1.0f : 0.0f;
#pragma unroll
        for (int c = 0; c < CHANNELS; ++c) values[c] = layer.first_channel + c < channels ? row[c] : 0.0f;
    }
};

// The list of the block's tile, as far as it was kept.
struct TileList {
    long long begin;
    long long needed;  // room for all lists
    int count;

    __device__ TileList(const long long* tile_starts, int cameras, int camera, long long capacity) {
        long long tile = (static_cast<long long>(camera) * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
        needed = tile_starts[static_cast<long long>(cameras) * gridDim.y * gridDim.x];
        begin = min(tile_starts[tile], capacity);
        count = static_cast<int>(min(tile_starts[tile + 1], capacity) - begin);
    }
};

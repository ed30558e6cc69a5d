// What the forward and the backward blending share: which pixel a thread has, and splats staged in shared memory.

#pragma once

#include "splat.cuh"

// Which tile, of which camera, and which channels a block has. tile_order [cameras x tiles] says which tiles come first.
struct Layer {
    int cameras, camera, row, column, first_channel;
    int first_counted;  // splats from here on count in the alpha output

    __device__ Layer(const int* tile_order, int channels, int block_channels, int points, int alpha_point_id) {
        int blocks = max((channels + block_channels - 1) / block_channels, 1), tiles = gridDim.x * gridDim.y;
        int tile = tile_order[blockIdx.z / blocks * tiles + blockIdx.y * gridDim.x + blockIdx.x];
        cameras = gridDim.z / blocks;
        camera = tile / tiles;
        row = tile % tiles / gridDim.x;
        column = tile % tiles % gridDim.x;
        first_channel = blockIdx.z % blocks * block_channels;
        first_counted = camera * points + alpha_point_id;
    }
};

// One block is one tile, one warp a patch of it, one thread a pixel.
struct Pixel {
    int x, y, width, height;
    bool inside;
    float patch_x, patch_y;  // first pixel of the warp's patch

    __device__ Pixel(const Layer& layer, int width, int height) : width(width), height(height) {
        constexpr int PATCHES = TILE / PATCH_WIDTH;  // side by side
        int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
        int first_x = layer.column * TILE + warp % PATCHES * PATCH_WIDTH;
        int first_y = layer.row * TILE + warp / PATCHES * PATCH_HEIGHT;
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

    __device__ TileList(const long long* tile_starts, const Layer& layer, long long capacity) {
        int tile = (layer.camera * gridDim.y + layer.row) * gridDim.x + layer.column;
        needed = tile_starts[layer.cameras * gridDim.y * gridDim.x];
        begin = min(tile_starts[tile], capacity);
        count = static_cast<int>(min(tile_starts[tile + 1], capacity) - begin);
    }
};

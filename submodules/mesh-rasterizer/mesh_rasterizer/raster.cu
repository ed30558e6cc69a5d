// The nearest face of every pixel: an atomic minimum over keys of depth and face number, so that of equally near faces
// the first wins and neither threads nor their order matter.

#include "triangle.cuh"

constexpr int WARP = 32;
constexpr int SMALL_BOX = 64;  // pixels of a bounding box that one thread walks alone
constexpr int PARTS = 16;      // warps that share a larger face
constexpr unsigned long long NOTHING = ~0ull;

// Offers the face to one pixel.
__device__ __forceinline__ void draw_pixel(
    const Triangle& triangle, unsigned face, double ray_x, double ray_y, unsigned long long* key) {
    double weights[3];
    const double total = triangle.weigh(ray_x, ray_y, weights);
    const bool inside = (weights[0] >= 0 && weights[1] >= 0 && weights[2] >= 0) ||
                        (weights[0] <= 0 && weights[1] <= 0 && weights[2] <= 0);
    const double first_depth = triangle.corner[0].z;
    if (!inside || fabs(total) <= DEGENERATE * first_depth * first_depth) return;
    double depth = 0;
    for (int i = 0; i < 3; ++i) depth += weights[i] * triangle.corner[i].z;
    const float z = static_cast<float>(depth / total);
    if (!(z < __int_as_float(0x7f800000))) return;
    // Positive floats order like their bits.
    const unsigned long long candidate = static_cast<unsigned long long>(__float_as_uint(z)) << 32 | face;
    // A key read too early is only too large, and then the minimum decides.
    if (candidate < *const_cast<volatile unsigned long long*>(key)) atomicMin(key, candidate);
}

// One thread per face; grid (faces / block, images). Fills bounds [B,F], draws small faces into keys [B,H,W] (NOTHING
// at the start) and appends the others, as image * F + face, to `large` [B * F], whose length is *large_count (0).
extern "C" __global__ void draw_small(
    const float* vertices, const int* faces, const float* intrinsics, double near, int vertex_count, int face_count,
    int width, int height, Box* bounds, unsigned long long* keys, long long* large, unsigned long long* large_count) {
    const int face = blockIdx.x * blockDim.x + threadIdx.x;
    const long long image = blockIdx.y;
    if (face >= face_count) return;
    const Camera camera(intrinsics, image);
    Triangle triangle;
    Box box = {0, -1, 0, -1};
    if (triangle.load(vertices + image * vertex_count * 3, vertex_count, faces, face))
        box = triangle.bounds(camera, near, width, height);
    const long long number = image * face_count + face;
    bounds[number] = box;
    if (box.pixels() > SMALL_BOX) {
        large[atomicAdd(large_count, 1ull)] = number;
        return;
    }
    keys += image * height * width;
    for (int row = box.top; row <= box.bottom; ++row) {
        const double ray_y = camera.ray_y(row);
        for (int column = box.left; column <= box.right; ++column)
            draw_pixel(triangle, face, camera.ray_x(column), ray_y, keys + static_cast<long long>(row) * width + column);
    }
}

// Any number of blocks of whole warps: they take turns at the parts of the faces in `large`.
extern "C" __global__ void draw_large(
    const float* vertices, const int* faces, const float* intrinsics, int vertex_count, int face_count, int width,
    int height, const Box* bounds, unsigned long long* keys, const long long* large,
    const unsigned long long* large_count) {
    const int lane = threadIdx.x % WARP, warps_per_block = blockDim.x / WARP;
    const long long jobs = PARTS * static_cast<long long>(*large_count);
    const long long stride = static_cast<long long>(gridDim.x) * warps_per_block;
    for (long long job = static_cast<long long>(blockIdx.x) * warps_per_block + threadIdx.x / WARP; job < jobs;
         job += stride) {
        const long long number = large[job / PARTS], image = number / face_count;
        const int face = static_cast<int>(number % face_count);
        const Box box = bounds[number];
        const int columns = box.right - box.left + 1;
        const Camera camera(intrinsics, image);
        Triangle triangle;
        triangle.load(vertices + image * vertex_count * 3, vertex_count, faces, face);
        for (long long p = job % PARTS * WARP + lane; p < box.pixels(); p += PARTS * WARP) {
            const int row = box.top + static_cast<int>(p / columns), column = box.left + static_cast<int>(p % columns);
            const long long pixel = (image * height + row) * width + column;
            draw_pixel(triangle, face, camera.ray_x(column), camera.ray_y(row), keys + pixel);
        }
    }
}

// One thread per pixel; grid (pixels / block, images). Turns keys into face_id, barycentric and depth.
extern "C" __global__ void resolve(
    const float* vertices, const int* faces, const float* intrinsics, int vertex_count, int width, int height,
    const unsigned long long* keys, long long* face_id, float* barycentric, float* depth) {
    const int place = blockIdx.x * blockDim.x + threadIdx.x;
    const long long image = blockIdx.y;
    if (place >= width * height) return;
    const long long pixel = image * height * width + place;
    const unsigned long long key = keys[pixel];
    if (key == NOTHING) {
        face_id[pixel] = -1;
        depth[pixel] = __int_as_float(0x7f800000);
        for (int i = 0; i < 3; ++i) barycentric[3 * pixel + i] = 0;
        return;
    }
    const int face = static_cast<int>(key & 0xffffffff);
    const Camera camera(intrinsics, image);
    Triangle triangle;
    triangle.load(vertices + image * vertex_count * 3, vertex_count, faces, face);
    double weights[3];
    const double total = triangle.weigh(camera.ray_x(place % width), camera.ray_y(place / width), weights);
    face_id[pixel] = face;
    depth[pixel] = __uint_as_float(static_cast<unsigned>(key >> 32));
    for (int i = 0; i < 3; ++i) barycentric[3 * pixel + i] = static_cast<float>(weights[i] / total);
}

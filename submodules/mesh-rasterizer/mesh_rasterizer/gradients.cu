// Gradients of vertices and attributes: summed over the pixels of every face, then over the faces of every vertex.

#include "sums.cuh"

// With w_i = ray . (v_j x v_k), total = sum w and b_i = w_i / total:
// d loss / d w_i = (g_i - sum_k g_k b_k) / total =: h_i, d w_i / d v_j = v_k x ray, d w_i / d v_k = ray x v_j.
// All are linear in S_i = sum over pixels of h_i ray, so S is what is summed.
struct RaySums {
    using Real = double;
    static constexpr int SUMS = 9;
    struct Inputs {
        const float* vertices;
        const int* faces;
        const float* intrinsics;
        int vertex_count, face_count, width, height;
        const float* barycentric;
        const float* grad;  // [B,H,W,3] of the barycentrics
        double* corner_grads;  // [B,F,3,3] of the corners' positions
    };

    const Inputs& in;
    const Camera camera;
    Triangle triangle;
    long long first_pixel, number;
    bool valid;
    double sums[SUMS] = {};

    __device__ RaySums(const Inputs& inputs, long long image, int face)
        : in(inputs),
          camera(in.intrinsics, image),
          first_pixel(image * in.height * in.width),
          number(image * in.face_count + face) {
        valid = triangle.load(in.vertices + image * in.vertex_count * 3, in.vertex_count, in.faces, face);
    }

    __device__ void add(int row, int column) {
        if (!valid) return;
        const double x = camera.ray_x(column), y = camera.ray_y(row);
        double weights[3], mean = 0;
        const double total = triangle.weigh(x, y, weights);
        const long long pixel = 3 * (first_pixel + static_cast<long long>(row) * in.width + column);
        for (int i = 0; i < 3; ++i) mean += static_cast<double>(in.grad[pixel + i]) * in.barycentric[pixel + i];
        for (int i = 0; i < 3; ++i) {
            const double h = (in.grad[pixel + i] - mean) / total;
            sums[3 * i] += h * x;
            sums[3 * i + 1] += h * y;
            sums[3 * i + 2] += h;
        }
    }

    __device__ void store() const {
        Vec3 grads[3] = {};
        for (int i = 0; valid && i < 3; ++i) {
            const int j = (i + 1) % 3, k = (i + 2) % 3;
            const Vec3 sum = {sums[3 * i], sums[3 * i + 1], sums[3 * i + 2]};
            if (sum.x == 0 && sum.y == 0 && sum.z == 0) continue;  // not seen; a corner may be infinite
            const Vec3 to_j = cross(triangle.corner[k], sum), to_k = cross(sum, triangle.corner[j]);
            grads[j] = {grads[j].x + to_j.x, grads[j].y + to_j.y, grads[j].z + to_j.z};
            grads[k] = {grads[k].x + to_k.x, grads[k].y + to_k.y, grads[k].z + to_k.z};
        }
        for (int i = 0; i < 3; ++i) {
            in.corner_grads[9 * number + 3 * i] = grads[i].x;
            in.corner_grads[9 * number + 3 * i + 1] = grads[i].y;
            in.corner_grads[9 * number + 3 * i + 2] = grads[i].z;
        }
    }
};

extern "C" __global__ void __launch_bounds__(SUM_THREADS) sum_positions(
    const float* vertices, const int* faces, const float* intrinsics, int vertex_count, int face_count, int width,
    int height, const long long* face_id, const Box* bounds, const float* barycentric, const float* grad,
    double* corner_grads) {
    const RaySums::Inputs inputs = {
        vertices, faces, intrinsics, vertex_count, face_count, width, height, barycentric, grad, corner_grads
    };
    sum_over_faces<RaySums>(inputs, face_id, bounds, face_count, width, height);
}

// Sums of weight x gradient for up to CHANNELS channels from CHANNELS * blockIdx.z on.
struct AttributeSums {
    using Real = float;
    static constexpr int CHANNELS = 4, SUMS = 3 * CHANNELS;
    struct Inputs {
        int face_count, width, height, channels;
        const float* barycentric;
        const float* grad;  // [B,H,W,C] of the interpolated values
        float* corner_grads;  // [B,F,3,C]
    };

    const Inputs& in;
    long long first_pixel, number;
    int first, count;
    float sums[SUMS] = {};

    __device__ AttributeSums(const Inputs& inputs, long long image, int face)
        : in(inputs),
          first_pixel(image * in.height * in.width),
          number(image * in.face_count + face),
          first(CHANNELS * blockIdx.z),
          count(min(CHANNELS, in.channels - first)) {}

    __device__ void add(int row, int column) {
        const long long pixel = first_pixel + static_cast<long long>(row) * in.width + column;
        const float* grad = in.grad + pixel * in.channels + first;
        const float* weight = in.barycentric + 3 * pixel;
#pragma unroll
        for (int c = 0; c < CHANNELS; ++c) {
            if (c >= count) break;
            for (int i = 0; i < 3; ++i) sums[3 * c + i] += weight[i] * grad[c];
        }
    }

    __device__ void store() const {
#pragma unroll
        for (int c = 0; c < CHANNELS; ++c) {
            if (c >= count) break;
            for (int i = 0; i < 3; ++i)
                in.corner_grads[(3 * number + i) * in.channels + first + c] = sums[3 * c + i];
        }
    }
};

// Grid z: channels / AttributeSums::CHANNELS.
extern "C" __global__ void __launch_bounds__(SUM_THREADS) sum_attributes(
    int face_count, int width, int height, int channels, const long long* face_id, const Box* bounds,
    const float* barycentric, const float* grad, float* corner_grads) {
    const AttributeSums::Inputs inputs = {face_count, width, height, channels, barycentric, grad, corner_grads};
    sum_over_faces<AttributeSums>(inputs, face_id, bounds, face_count, width, height);
}

// One thread per vertex and channel; grid (V C / block, images). vertex_grads [B,V,C] = corner_grads [B,3F,C] summed over
// the corners at a vertex, `corners` from starts[v] to starts[v + 1].
template <class Real>
__global__ void gather_corners(
    const Real* corner_grads, const int* starts, const int* corners, int vertex_count, int face_count, int channels,
    float* vertex_grads) {
    const long long place = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
    if (place >= static_cast<long long>(vertex_count) * channels) return;
    const int vertex = static_cast<int>(place / channels), channel = static_cast<int>(place % channels);
    const long long image = blockIdx.y;
    double sum = 0;
    for (int k = starts[vertex]; k < starts[vertex + 1]; ++k)
        sum += corner_grads[(image * face_count * 3 + corners[k]) * channels + channel];
    vertex_grads[image * vertex_count * channels + place] = static_cast<float>(sum);
}

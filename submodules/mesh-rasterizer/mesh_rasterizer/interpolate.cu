// Vertex attributes at the fragments, and the gradient of the fragments' barycentrics. One thread per pixel; grid
// (pixels / block, images). `per_image` is 0 where all images share one set of attributes [1,V,C], else 1.

#include "triangle.cuh"

// The corners of the face a pixel shows; false if there is none or an index is out of range.
__device__ __forceinline__ bool load_corners(
    long long face, const int* faces, int face_count, int vertex_count, int* corners) {
    if (face < 0 || face >= face_count) return false;
    for (int i = 0; i < 3; ++i) {
        corners[i] = faces[3 * face + i];
        if (!in_range(corners[i], vertex_count)) return false;
    }
    return true;
}

extern "C" __global__ void interpolate(
    const long long* face_id, const float* barycentric, const int* faces, const float* attributes, int per_image,
    int vertex_count, int face_count, int channels, int pixels, float* values) {
    const int place = blockIdx.x * blockDim.x + threadIdx.x;
    if (place >= pixels) return;
    const long long pixel = static_cast<long long>(blockIdx.y) * pixels + place;
    int corners[3];
    const bool shown = load_corners(face_id[pixel], faces, face_count, vertex_count, corners);
    attributes += static_cast<long long>(per_image) * blockIdx.y * vertex_count * channels;
    for (int channel = 0; channel < channels; ++channel) {
        float value = 0;
        for (int i = 0; shown && i < 3; ++i)
            value += barycentric[3 * pixel + i] * attributes[static_cast<long long>(corners[i]) * channels + channel];
        values[pixel * channels + channel] = value;
    }
}

extern "C" __global__ void differentiate_weights(
    const long long* face_id, const int* faces, const float* attributes, int per_image, int vertex_count,
    int face_count, int channels, int pixels, const float* values_grad, float* barycentric_grad) {
    const int place = blockIdx.x * blockDim.x + threadIdx.x;
    if (place >= pixels) return;
    const long long pixel = static_cast<long long>(blockIdx.y) * pixels + place;
    int corners[3];
    const bool shown = load_corners(face_id[pixel], faces, face_count, vertex_count, corners);
    attributes += static_cast<long long>(per_image) * blockIdx.y * vertex_count * channels;
    for (int i = 0; i < 3; ++i) {
        float sum = 0;
        for (int channel = 0; shown && channel < channels; ++channel)
            sum += values_grad[pixel * channels + channel] *
                   attributes[static_cast<long long>(corners[i]) * channels + channel];
        barycentric_grad[3 * pixel + i] = sum;
    }
}

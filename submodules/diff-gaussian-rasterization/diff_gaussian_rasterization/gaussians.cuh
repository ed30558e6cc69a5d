// The Gaussians of a launch as they are given, numbered through all its cameras.

#pragma once

#include "camera.cuh"

// Covariances are given whole, as upper triangles [P,6], or (`whole` null) as quaternions [P,4] and scales [P,3].
struct Shapes {
    const double* whole;
    const float* rotations;
    const float* scales;
    float scale_modifier;  // multiplies all scales

    __device__ float4 rotation(int p) const {
        const float* q = rotations + 4ll * p;
        return make_float4(q[0], q[1], q[2], q[3]);
    }

    __device__ float3 scaled(int p) const {
        const float* s = scales + 3ll * p;
        return make_float3(scale_modifier * s[0], scale_modifier * s[1], scale_modifier * s[2]);
    }

    __device__ Symmetric covariance(int p) const {
        if (whole == nullptr) return factored_covariance(rotation(p), scaled(p));
        const double* c = whole + 6ll * p;
        return {c[0], c[1], c[2], c[3], c[4], c[5]};
    }
};

__device__ inline Vector load_vector(const float* values, int p) {
    const float* v = values + 3ll * p;
    return {v[0], v[1], v[2]};
}

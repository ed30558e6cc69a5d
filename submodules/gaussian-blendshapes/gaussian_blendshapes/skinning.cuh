// What inference and training share of turning and decoding Gaussians.
#pragma once
#include "posing.cuh"

constexpr int POLAR_STEPS = 4;

__device__ inline float sigmoid(float x) { return 1 / (1 + expf(-x)); }

// Hamilton product of quaternions (w, x, y, z) held as (x, y, z, w) of a float4.
__device__ inline float4 multiply(float4 a, float4 b) {
  float3 u = make_float3(a.x, a.y, a.z), v = make_float3(b.x, b.y, b.z);
  float3 vector = a.w * v + b.w * u + cross(u, v);
  return make_float4(vector.x, vector.y, vector.z, a.w * b.w - dot(u, v));
}

__device__ inline float4 unit_quaternion(float w, float x, float y, float z) {
  float inverse = rsqrtf(fmaxf(w * w + x * x + y * y + z * z, 1e-24f));
  return make_float4(x * inverse, y * inverse, z * inverse, w * inverse);
}

// The quaternion with w >= 0 of the rotation nearest to the 3 x 3 part of `transform` [12]: Newton's iteration
// (R + R^-T) / 2, then magnitudes from the diagonal and signs from the skew part.
__device__ inline float4 nearest_quaternion(const float* transform) {
  float3 rows[3];
  for (int i = 0; i < 3; ++i) rows[i] = make_float3(transform[4 * i], transform[4 * i + 1], transform[4 * i + 2]);
  for (int step = 0; step < POLAR_STEPS; ++step) {
    float3 cofactors[3];
    for (int i = 0; i < 3; ++i) cofactors[i] = cross(rows[(i + 1) % 3], rows[(i + 2) % 3]);
    float inverse = 1 / dot(rows[0], cofactors[0]);
    for (int i = 0; i < 3; ++i) rows[i] = 0.5f * (rows[i] + inverse * cofactors[i]);
  }
  float xx = rows[0].x, yy = rows[1].y, zz = rows[2].z;
  float w = 0.5f * sqrtf(fmaxf(1 + xx + yy + zz, 0.f));
  float x = copysignf(0.5f * sqrtf(fmaxf(1 + xx - yy - zz, 0.f)), rows[2].y - rows[1].z);
  float y = copysignf(0.5f * sqrtf(fmaxf(1 - xx + yy - zz, 0.f)), rows[0].z - rows[2].x);
  float z = copysignf(0.5f * sqrtf(fmaxf(1 - xx - yy + zz, 0.f)), rows[1].x - rows[0].y);
  return make_float4(x, y, z, w);
}

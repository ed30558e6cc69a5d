// Small vectors, rotations and half floats for the posing kernels.
#pragma once

constexpr float SMALL_ANGLE_SQUARED = 1e-2f;  // below it sine and cosine go by their series

__device__ inline float3 load3(const float* rows, long long row) {
  return make_float3(rows[3 * row], rows[3 * row + 1], rows[3 * row + 2]);
}

__device__ inline void store3(float* rows, long long row, float3 value) {
  rows[3 * row] = value.x;
  rows[3 * row + 1] = value.y;
  rows[3 * row + 2] = value.z;
}

__device__ inline float3 operator+(float3 a, float3 b) { return make_float3(a.x + b.x, a.y + b.y, a.z + b.z); }
__device__ inline float3 operator-(float3 a, float3 b) { return make_float3(a.x - b.x, a.y - b.y, a.z - b.z); }
__device__ inline float3 operator*(float s, float3 a) { return make_float3(s * a.x, s * a.y, s * a.z); }
__device__ inline float dot(float3 a, float3 b) { return a.x * b.x + a.y * b.y + a.z * b.z; }

__device__ inline float3 cross(float3 a, float3 b) {
  return make_float3(a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x);
}

// The direction of a vector; 0 stays 0. Scaled first, because the square of a small one would vanish.
__device__ inline float3 unit(float3 a) {
  float largest = fmaxf(fmaxf(fabsf(a.x), fabsf(a.y)), fabsf(a.z));
  if (!(largest > 0)) return make_float3(0, 0, 0);
  a = make_float3(a.x / largest, a.y / largest, a.z / largest);
  return rsqrtf(dot(a, a)) * a;
}

__device__ inline float half_to_float(unsigned short bits) {
  float value;
  asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
  return value;
}

__device__ inline float4 unpack_halves(uint2 four) {
  return make_float4(
      half_to_float(four.x & 0xffff), half_to_float(four.x >> 16), half_to_float(four.y & 0xffff),
      half_to_float(four.y >> 16));
}

// Rodrigues' formula, row-major.
__device__ inline void rotation_of(const float* axis_angle, float* matrix) {
  float x = axis_angle[0], y = axis_angle[1], z = axis_angle[2];
  float squared = x * x + y * y + z * z;
  float sine, versine;  // sin(a) / a, (1 - cos(a)) / a^2
  if (squared < SMALL_ANGLE_SQUARED) {
    sine = 1 - squared / 6 * (1 - squared / 20 * (1 - squared / 42));
    versine = (1 - squared / 12 * (1 - squared / 30 * (1 - squared / 56))) / 2;
  } else {
    float angle = sqrtf(squared), half_sine = sinf(0.5f * angle);
    sine = sinf(angle) / angle;
    versine = 2 * half_sine * half_sine / squared;
  }
  matrix[0] = 1 - versine * (y * y + z * z);
  matrix[1] = versine * x * y - sine * z;
  matrix[2] = versine * x * z + sine * y;
  matrix[3] = versine * x * y + sine * z;
  matrix[4] = 1 - versine * (x * x + z * z);
  matrix[5] = versine * y * z - sine * x;
  matrix[6] = versine * x * z - sine * y;
  matrix[7] = versine * y * z + sine * x;
  matrix[8] = 1 - versine * (x * x + y * y);
}

// blended [12] += the transforms [joints, 12] by their weights.
__device__ inline void blend_transforms(const float* weights, const float* transforms, int joints, float* blended) {
  for (int joint = 0; joint < joints; ++joint) {
    float weight = weights[joint];
    for (int i = 0; i < 12; ++i) blended[i] += weight * transforms[12 * joint + i];
  }
}

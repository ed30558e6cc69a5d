// One pose of all Gaussians in a single pass over their deltas.
#include "skinning.cuh"

constexpr int WARP = 32;
constexpr int THREADS = 256;
constexpr int QUADS = 5;  // lanes that share a Gaussian: four of its sums each
constexpr int PER_WARP = WARP / QUADS;
constexpr int PER_BLOCK = THREADS / WARP * PER_WARP;
constexpr int SUMS = 4 * QUADS;
// Places of the sums, and of what they are added to in a row of `neutral`.
constexpr int POSITION = 0, TURN = 3, ROTATION = 7, LOG_SCALE = 11, OPACITY = 14, ALBEDO = 15, ROUGHNESS = 18,
              SPECULAR = 19;

// neutral [points, SUMS] (raw parameters; TURN is not read), deltas [pairs, SUMS] half floats of the pairs
// [offsets[p], offsets[p + 1]) with the expression each belongs to; weights as in head.cu; corrective [correctives,
// points] of four half floats, the moves by the weights behind the expressions.
extern "C" __global__ void __launch_bounds__(THREADS) pose_gaussians(
    const float* neutral, const int* offsets, const unsigned short* expression, const uint2* deltas,
    const float* weights, int expressions, const uint2* corrective, int correctives, const float* skin_weights,
    const float* transforms, int joints, int points, float least_roughness, float* means, float4* rotations,
    float* scales, float* opacities, float* albedo, float* roughness, float* specular) {
  __shared__ float sums[PER_BLOCK][SUMS + 1];
  int lane = threadIdx.x % WARP, place = threadIdx.x / WARP * PER_WARP + lane / QUADS, quad = lane % QUADS;
  int p = blockIdx.x * PER_BLOCK + place;
  if (lane < PER_WARP * QUADS && p < points) {
    float4 sum = make_float4(0, 0, 0, 0);
    int end = offsets[p + 1];
#pragma unroll 4
    for (int pair = offsets[p]; pair < end; ++pair) {
      float weight = weights[expression[pair]];
      if (weight == 0) continue;
      float4 delta = unpack_halves(deltas[(long long)pair * QUADS + quad]);
      sum.x += weight * delta.x;
      sum.y += weight * delta.y;
      sum.z += weight * delta.z;
      sum.w += weight * delta.w;
    }
    float* own = sums[place] + 4 * quad;
    own[0] = sum.x;
    own[1] = sum.y;
    own[2] = sum.z;
    own[3] = sum.w;
  }
  __syncthreads();
  p = blockIdx.x * PER_BLOCK + threadIdx.x;
  if (threadIdx.x >= PER_BLOCK || p >= points) return;
  const float* change = sums[threadIdx.x];
  float raw[SUMS];
  for (int i = 0; i < SUMS; ++i) raw[i] = neutral[(long long)p * SUMS + i] + change[i];
  for (int term = 0; term < correctives; ++term) {
    float4 offset = unpack_halves(corrective[(long long)term * points + p]);
    float weight = weights[expressions + term];
    raw[POSITION] += weight * offset.x;
    raw[POSITION + 1] += weight * offset.y;
    raw[POSITION + 2] += weight * offset.z;
  }
  float transform[12] = {};
  blend_transforms(skin_weights + (long long)p * joints, transforms, joints, transform);
  for (int row = 0; row < 3; ++row)
    means[3ll * p + row] = transform[4 * row] * raw[POSITION] + transform[4 * row + 1] * raw[POSITION + 1] +
                           transform[4 * row + 2] * raw[POSITION + 2] + transform[4 * row + 3];
  float4 turn = unit_quaternion(1 + change[TURN], change[TURN + 1], change[TURN + 2], change[TURN + 3]);
  float4 own = unit_quaternion(raw[ROTATION], raw[ROTATION + 1], raw[ROTATION + 2], raw[ROTATION + 3]);
  float4 turned = multiply(nearest_quaternion(transform), multiply(turn, own));
  rotations[p] = make_float4(turned.w, turned.x, turned.y, turned.z);
  for (int i = 0; i < 3; ++i) {
    scales[3ll * p + i] = expf(raw[LOG_SCALE + i]);
    albedo[3ll * p + i] = sigmoid(raw[ALBEDO + i]);
  }
  opacities[p] = sigmoid(raw[OPACITY]);
  roughness[p] = least_roughness + (1 - least_roughness) * sigmoid(raw[ROUGHNESS]);
  specular[p] = sigmoid(raw[SPECULAR]);
}

// One pose of all Gaussians in a single pass over their deltas, and the surface they are attached to.
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

// Of every Gaussian: its unit normal, which leans from that of the point of the mesh it is attached to by normal_offset
// [points, 3] in the axes that its quaternion (w, x, y, z) turns; the occlusion (null: none) of that point; and the unit
// direction to the camera world_to_camera [3, 4].
extern "C" __global__ void attach(
    const float* vertex_normals, const float* vertex_occlusion, const int* corners, const float* barycentric,
    const float* normal_offset, const float* means, const float4* rotations, const float* world_to_camera, int points,
    float* normals, float* views, float* occlusion) {
  int p = blockIdx.x * blockDim.x + threadIdx.x;
  if (p >= points) return;
  float3 normal = make_float3(0, 0, 0);
  float hidden = 0;
  for (int k = 0; k < 3; ++k) {
    int vertex = corners[3ll * p + k];
    float weight = barycentric[3ll * p + k];
    normal = normal + weight * load3(vertex_normals, vertex);
    if (vertex_occlusion != nullptr) hidden += weight * vertex_occlusion[vertex];
  }
  float4 q = rotations[p];
  float3 axis = make_float3(q.y, q.z, q.w), lean = load3(normal_offset, p);
  lean = lean + 2.f * cross(axis, cross(axis, lean) + q.x * lean);
  store3(normals, p, unit(unit(normal) + lean));
  const float* m = world_to_camera;
  float3 eye = make_float3(
      -(m[0] * m[3] + m[4] * m[7] + m[8] * m[11]), -(m[1] * m[3] + m[5] * m[7] + m[9] * m[11]),
      -(m[2] * m[3] + m[6] * m[7] + m[10] * m[11]));
  store3(views, p, unit(eye - load3(means, p)));
  occlusion[p] = hidden;
}

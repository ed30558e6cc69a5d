// One posed head: joint transforms, blendshapes and skinning of the vertices, vertex normals.
#include "posing.cuh"

// transforms [joints, 12] = rigid motion of every joint from rest to pose, rows of [R | t], translation included;
// weights [expressions + 9 (joints - 1)] = the expression and then R - I of every joint but the root, what the rows of
// the vertices' basis are multiplied by. `order` has parents before children. One block.
extern "C" __global__ void pose_joints(
    const float* expression, int expressions, const float* axis_angles, const float* translation, const float* rest,
    const float* rest_basis, const int* parents, const int* order, int joints, int correctives, float* transforms,
    float* weights) {
  for (int i = threadIdx.x; i < expressions; i += blockDim.x) weights[i] = expression[i];
  for (int j = threadIdx.x; j < joints; j += blockDim.x) {
    float* local = transforms + 12 * j;
    float rotation[9], center[3];
    rotation_of(axis_angles + 3 * j, rotation);
    for (int i = 0; i < 3; ++i) {
      center[i] = rest[3 * j + i];
      if (rest_basis != nullptr)
        for (int e = 0; e < expressions; ++e) center[i] += expression[e] * rest_basis[(e * joints + j) * 3 + i];
    }
    for (int row = 0; row < 3; ++row) {
      float moved = 0;
      for (int column = 0; column < 3; ++column) {
        local[4 * row + column] = rotation[3 * row + column];
        moved += rotation[3 * row + column] * center[column];
      }
      local[4 * row + 3] = center[row] - moved;
    }
    if (j > 0 && correctives > 0)
      for (int i = 0; i < 9; ++i) weights[expressions + 9 * (j - 1) + i] = rotation[i] - (i % 4 == 0 ? 1.f : 0.f);
  }
  __syncthreads();
  if (threadIdx.x > 0) return;
  for (int i = 0; i < joints; ++i) {
    int j = order[i], parent = parents[j];
    if (parent < 0) continue;
    float* own = transforms + 12 * j;
    const float* above = transforms + 12 * parent;
    float product[12];
    for (int row = 0; row < 3; ++row)
      for (int column = 0; column < 4; ++column) {
        float sum = column == 3 ? above[4 * row + 3] : 0.f;
        for (int k = 0; k < 3; ++k) sum += above[4 * row + k] * own[4 * k + column];
        product[4 * row + column] = sum;
      }
    for (int k = 0; k < 12; ++k) own[k] = product[k];
  }
  for (int j = 0; j < joints; ++j)
    for (int row = 0; row < 3; ++row) transforms[12 * j + 4 * row + 3] += translation[row];
}

// posed [vertices, 3]; basis [terms, vertices] of four floats (x, y, z, 0), skin_weights [vertices, joints].
extern "C" __global__ void pose_vertices(
    const float* rest, const float4* basis, const float* weights, int terms, const float* skin_weights,
    const float* transforms, int joints, int vertices, float* posed) {
  int v = blockIdx.x * blockDim.x + threadIdx.x;
  if (v >= vertices) return;
  float x = rest[3 * v], y = rest[3 * v + 1], z = rest[3 * v + 2];
#pragma unroll 4
  for (int term = 0; term < terms; ++term) {
    float weight = weights[term];
    if (weight == 0) continue;
    float4 offset = basis[(long long)term * vertices + v];
    x += weight * offset.x;
    y += weight * offset.y;
    z += weight * offset.z;
  }
  float blended[12] = {};
  blend_transforms(skin_weights + (long long)v * joints, transforms, joints, blended);
  for (int row = 0; row < 3; ++row)
    posed[3 * v + row] =
        blended[4 * row] * x + blended[4 * row + 1] * y + blended[4 * row + 2] * z + blended[4 * row + 3];
}

// normals [vertices, 3]: unit sums of the area-weighted normals of the faces around every vertex, listed in ring_faces
// [ring_offsets[v], ring_offsets[v + 1]); 0 where there are none.
extern "C" __global__ void vertex_normals(
    const float* posed, const int* faces, const int* ring_offsets, const int* ring_faces, int vertices,
    float* normals) {
  int v = blockIdx.x * blockDim.x + threadIdx.x;
  if (v >= vertices) return;
  float3 sum = make_float3(0, 0, 0);
  for (int i = ring_offsets[v]; i < ring_offsets[v + 1]; ++i) {
    const int* corners = faces + 3 * ring_faces[i];
    float3 a = load3(posed, corners[0]), b = load3(posed, corners[1]), c = load3(posed, corners[2]);
    sum = sum + cross(b - a, c - a);
  }
  store3(normals, v, unit(sum));
}

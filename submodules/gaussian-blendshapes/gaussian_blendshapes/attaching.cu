// The surface points that Gaussians are attached to, and the gradient by where they are and how their normals lean.
#include "posing.cuh"

// What a vector becomes when the quaternion (w, x, y, z) with this vector part turns it.
__device__ inline float3 turned(float w, float3 axis, float3 vector) {
  return vector + 2.f * cross(axis, cross(axis, vector) + w * vector);
}

// The normal of a Gaussian before it is scaled to length 1: that of its mesh point, and its lean.
__device__ inline float3 leaning(
    const float* vertex_normals, const int* corners, const float* barycentric, float3 offset, float4 q, int p) {
  float3 normal = make_float3(0, 0, 0);
  for (int k = 0; k < 3; ++k) normal = normal + barycentric[3ll * p + k] * load3(vertex_normals, corners[3ll * p + k]);
  return unit(normal) + turned(q.x, make_float3(q.y, q.z, q.w), offset);
}

// The centre of the camera world_to_camera [3, 4].
__device__ inline float3 centre_of(const float* m) {
  return make_float3(
      -(m[0] * m[3] + m[4] * m[7] + m[8] * m[11]), -(m[1] * m[3] + m[5] * m[7] + m[9] * m[11]),
      -(m[2] * m[3] + m[6] * m[7] + m[10] * m[11]));
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
  float hidden = 0;
  if (vertex_occlusion != nullptr)
    for (int k = 0; k < 3; ++k) hidden += barycentric[3ll * p + k] * vertex_occlusion[corners[3ll * p + k]];
  store3(normals, p, unit(leaning(vertex_normals, corners, barycentric, load3(normal_offset, p), rotations[p], p)));
  store3(views, p, unit(centre_of(world_to_camera) - load3(means, p)));
  occlusion[p] = hidden;
}

// Gradient by a vector of that by its direction.
__device__ inline float3 by_vector(float3 vector, float3 by_direction) {
  float inverse = rsqrtf(fmaxf(dot(vector, vector), 1e-24f));
  float3 direction = inverse * vector;
  return inverse * (by_direction - dot(direction, by_direction) * direction);
}

extern "C" __global__ void attach_backward(
    const float* vertex_normals, const int* corners, const float* barycentric, const float* normal_offset,
    const float* means, const float4* rotations, const float* world_to_camera, int points, const float* by_normals,
    const float* by_views, float* by_normal_offset, float* by_means) {
  int p = blockIdx.x * blockDim.x + threadIdx.x;
  if (p >= points) return;
  float4 q = rotations[p];
  float3 normal = leaning(vertex_normals, corners, barycentric, load3(normal_offset, p), q, p);
  float3 by_normal = by_vector(normal, load3(by_normals, p));
  store3(by_normal_offset, p, turned(q.x, make_float3(-q.y, -q.z, -q.w), by_normal));
  float3 view = centre_of(world_to_camera) - load3(means, p);
  store3(by_means, p, -1.f * by_vector(view, load3(by_views, p)));
}

// Turning, skinning and decoding of Gaussians from blended parameters, and the gradients by these.
#include "skinning.cuh"

constexpr int LEARNED = 16, MOVED = 10;
constexpr int MOVED_LOG_SCALE = 7;  // place in a row of `moved`
// Places in a row of `learned`.
constexpr int POSITION = 0, ROTATION = 3, LOG_SCALE = 7, OPACITY = 10, ALBEDO = 11, ROUGHNESS = 14, SPECULAR = 15;

// Raw parameters of all Gaussians, one tensor a channel, and the changes to them.
struct Parameters {
  const float *position, *rotation, *log_scale, *opacity, *albedo, *roughness, *specular;
  const float *learned, *delta_scale;  // [points, LEARNED], [LEARNED]
  const float* moved;                  // [points, MOVED]

  __device__ void load(int p, float* raw) const {
    for (int i = 0; i < 3; ++i) raw[POSITION + i] = position[3ll * p + i];
    for (int i = 0; i < 4; ++i) raw[ROTATION + i] = rotation[4ll * p + i];
    for (int i = 0; i < 3; ++i) raw[LOG_SCALE + i] = log_scale[3ll * p + i];
    raw[OPACITY] = opacity[p];
    for (int i = 0; i < 3; ++i) raw[ALBEDO + i] = albedo[3ll * p + i];
    raw[ROUGHNESS] = roughness[p];
    raw[SPECULAR] = specular[p];
    for (int i = 0; i < LEARNED; ++i) raw[i] += delta_scale[i] * learned[(long long)LEARNED * p + i];
    for (int i = 0; i < 3; ++i) raw[LOG_SCALE + i] += moved[(long long)MOVED * p + MOVED_LOG_SCALE + i];
  }
};

// How the mesh carries a Gaussian: an affine map of its place and the turn (x, y, z, w) of its axes.
struct Carried {
  float transform[12];
  float3 shift;
  float4 turn;

  // moved [points, MOVED]: shift, change of the identity quaternion and of log scales; corrective [points, 3] may be null.
  __device__ Carried(
      int p, const float* moved, const float* corrective, const float* skin_weights, const float* transforms,
      int joints)
      : transform{} {
    blend_transforms(skin_weights + (long long)p * joints, transforms, joints, transform);
    const float* change = moved + (long long)MOVED * p;
    shift = make_float3(change[0], change[1], change[2]);
    if (corrective != nullptr) shift = shift + load3(corrective, p);
    turn = multiply(
        nearest_quaternion(transform), unit_quaternion(1 + change[3], change[4], change[5], change[6]));
  }
};

extern "C" __global__ void skin_forward(
    const float* position, const float* rotation, const float* log_scale, const float* opacity, const float* albedo,
    const float* roughness, const float* specular, const float* learned, const float* delta_scale, const float* moved,
    const float* corrective, const float* skin_weights, const float* transforms, int joints, int points,
    float least_roughness, float* means, float4* rotations, float* scales, float* opacities, float* albedos,
    float* roughnesses, float* speculars) {
  int p = blockIdx.x * blockDim.x + threadIdx.x;
  if (p >= points) return;
  float raw[LEARNED];
  Parameters{position, rotation, log_scale, opacity, albedo, roughness, specular, learned, delta_scale, moved}.load(
      p, raw);
  Carried carried(p, moved, corrective, skin_weights, transforms, joints);
  const float* m = carried.transform;
  float3 x = make_float3(raw[POSITION], raw[POSITION + 1], raw[POSITION + 2]) + carried.shift;
  for (int row = 0; row < 3; ++row)
    means[3ll * p + row] = m[4 * row] * x.x + m[4 * row + 1] * x.y + m[4 * row + 2] * x.z + m[4 * row + 3];
  float4 own = unit_quaternion(raw[ROTATION], raw[ROTATION + 1], raw[ROTATION + 2], raw[ROTATION + 3]);
  float4 turned = multiply(carried.turn, own);
  rotations[p] = make_float4(turned.w, turned.x, turned.y, turned.z);
  for (int i = 0; i < 3; ++i) {
    scales[3ll * p + i] = expf(raw[LOG_SCALE + i]);
    albedos[3ll * p + i] = sigmoid(raw[ALBEDO + i]);
  }
  opacities[p] = sigmoid(raw[OPACITY]);
  roughnesses[p] = least_roughness + (1 - least_roughness) * sigmoid(raw[ROUGHNESS]);
  speculars[p] = sigmoid(raw[SPECULAR]);
}

// Gradients by the raw parameters [points, LEARNED], which are those of all seven tensors side by side.
extern "C" __global__ void skin_backward(
    const float* position, const float* rotation, const float* log_scale, const float* opacity, const float* albedo,
    const float* roughness, const float* specular, const float* learned, const float* delta_scale, const float* moved,
    const float* corrective, const float* skin_weights, const float* transforms, int joints, int points,
    float least_roughness, const float* by_means, const float4* by_rotations, const float* by_scales,
    const float* by_opacities, const float* by_albedos, const float* by_roughnesses, const float* by_speculars,
    float* by_position, float* by_rotation, float* by_log_scale, float* by_opacity, float* by_albedo,
    float* by_roughness, float* by_specular, float* by_learned) {
  int p = blockIdx.x * blockDim.x + threadIdx.x;
  if (p >= points) return;
  float raw[LEARNED], grad[LEARNED];
  Parameters{position, rotation, log_scale, opacity, albedo, roughness, specular, learned, delta_scale, moved}.load(
      p, raw);
  Carried carried(p, moved, corrective, skin_weights, transforms, joints);
  float3 g = load3(by_means, p);
  const float* m = carried.transform;
  for (int i = 0; i < 3; ++i) grad[POSITION + i] = m[i] * g.x + m[4 + i] * g.y + m[8 + i] * g.z;

  // The product with a unit quaternion is an orthogonal map, whose transpose is the product with its conjugate.
  float4 q = by_rotations[p], t = carried.turn;
  float4 by_unit = multiply(make_float4(-t.x, -t.y, -t.z, t.w), make_float4(q.y, q.z, q.w, q.x));
  float w = raw[ROTATION], x = raw[ROTATION + 1], y = raw[ROTATION + 2], z = raw[ROTATION + 3];
  float inverse = rsqrtf(fmaxf(w * w + x * x + y * y + z * z, 1e-24f));
  w *= inverse;
  x *= inverse;
  y *= inverse;
  z *= inverse;
  float along = w * by_unit.w + x * by_unit.x + y * by_unit.y + z * by_unit.z;
  grad[ROTATION] = inverse * (by_unit.w - along * w);
  grad[ROTATION + 1] = inverse * (by_unit.x - along * x);
  grad[ROTATION + 2] = inverse * (by_unit.y - along * y);
  grad[ROTATION + 3] = inverse * (by_unit.z - along * z);

  for (int i = 0; i < 3; ++i) {
    grad[LOG_SCALE + i] = by_scales[3ll * p + i] * expf(raw[LOG_SCALE + i]);
    float a = sigmoid(raw[ALBEDO + i]);
    grad[ALBEDO + i] = by_albedos[3ll * p + i] * a * (1 - a);
  }
  float o = sigmoid(raw[OPACITY]), r = sigmoid(raw[ROUGHNESS]), s = sigmoid(raw[SPECULAR]);
  grad[OPACITY] = by_opacities[p] * o * (1 - o);
  grad[ROUGHNESS] = by_roughnesses[p] * (1 - least_roughness) * r * (1 - r);
  grad[SPECULAR] = by_speculars[p] * s * (1 - s);

  for (int i = 0; i < 3; ++i) by_position[3ll * p + i] = grad[POSITION + i];
  for (int i = 0; i < 4; ++i) by_rotation[4ll * p + i] = grad[ROTATION + i];
  for (int i = 0; i < 3; ++i) by_log_scale[3ll * p + i] = grad[LOG_SCALE + i];
  by_opacity[p] = grad[OPACITY];
  for (int i = 0; i < 3; ++i) by_albedo[3ll * p + i] = grad[ALBEDO + i];
  by_roughness[p] = grad[ROUGHNESS];
  by_specular[p] = grad[SPECULAR];
  for (int i = 0; i < LEARNED; ++i) by_learned[(long long)LEARNED * p + i] = delta_scale[i] * grad[i];
}

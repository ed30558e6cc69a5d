// What is known about every Gaussian without a picture: means of squared excesses over bounds, and their gradient.
#include "sums.cuh"

constexpr int THREADS = 256;
constexpr int TERMS = 6;
constexpr int SURFACE = 0, SIZE = 1, MATERIALS = 2, FLOOR = 3, LEAN = 4, ENTROPY = 5;
constexpr float LEAST_ENTROPY = 1e-4f;  // opacities count as at least this far from 0 and 1

// What `gaussian_priors` is given, in the order of its arguments.
struct Given {
  const float *position, *scales, *roughness, *specular, *opacities, *lean;
  const float *surface, *reach, *bounds, *floor;  // bounds [points, 4]: least, largest roughness, specular albedo
  float unit, largest;                            // lengths are counted in `unit`; axes are free up to `largest` of it

  __device__ float3 above(int p) const {
    return make_float3(
        position[3ll * p] - surface[3ll * p], position[3ll * p + 1] - surface[3ll * p + 1],
        position[3ll * p + 2] - surface[3ll * p + 2]);
  }

  __device__ float too_large(int p, int axis) const { return fmaxf(scales[3ll * p + axis] / unit - largest, 0.f); }

  // By how much `value` is above (positive) or below (negative) the bounds.
  __device__ static float outside(float value, float least, float most) {
    return value < least ? value - least : fmaxf(value - most, 0.f);
  }

  __device__ float rough(int p) const { return outside(roughness[p], bounds[4ll * p], bounds[4ll * p + 1]); }
  __device__ float shiny(int p) const { return outside(specular[p], bounds[4ll * p + 2], bounds[4ll * p + 3]); }
};

__device__ inline float length(float3 a) { return sqrtf(a.x * a.x + a.y * a.y + a.z * a.z); }

// partial [blocks, TERMS]: sums of the block, each over the number of its summands.
extern "C" __global__ void __launch_bounds__(THREADS) priors_forward(
    const float* position, const float* scales, const float* roughness, const float* specular, const float* opacities,
    const float* lean, const float* surface, const float* reach, const float* bounds, const float* floor, float unit,
    float largest, int points, float* partial) {
  __shared__ float room[TERMS][THREADS / WARP];
  Given given{position, scales, roughness, specular, opacities, lean, surface, reach, bounds, floor, unit, largest};
  int p = blockIdx.x * THREADS + threadIdx.x;
  float sums[TERMS] = {};
  if (p < points) {
    float beyond = fmaxf(length(given.above(p)) - reach[p], 0.f) / unit;
    sums[SURFACE] = beyond * beyond;
    for (int i = 0; i < 3; ++i) {
      float excess = given.too_large(p, i), offset = lean[3ll * p + i];
      sums[SIZE] += excess * excess / 3;
      sums[LEAN] += offset * offset / 3;
    }
    float rough = given.rough(p), shiny = given.shiny(p);
    sums[MATERIALS] = rough * rough + shiny * shiny;
    float opacity = opacities[p], lack = fmaxf(floor[p] - opacity, 0.f);
    sums[FLOOR] = lack * lack;
    float likely = fminf(fmaxf(opacity, LEAST_ENTROPY), 1 - LEAST_ENTROPY);
    sums[ENTROPY] = -(likely * logf(likely) + (1 - likely) * logf(1 - likely));
  }
  sum_over_block<TERMS, THREADS / WARP>(sums, room);
  if (threadIdx.x != 0) return;
  for (int i = 0; i < TERMS; ++i) partial[TERMS * blockIdx.x + i] = sums[i] / points;
}

// by_terms [TERMS]: gradient by the means.
extern "C" __global__ void __launch_bounds__(THREADS) priors_backward(
    const float* position, const float* scales, const float* roughness, const float* specular, const float* opacities,
    const float* lean, const float* surface, const float* reach, const float* bounds, const float* floor, float unit,
    float largest, int points, const float* by_terms, float* by_position, float* by_scales, float* by_roughness,
    float* by_specular, float* by_opacities, float* by_lean) {
  Given given{position, scales, roughness, specular, opacities, lean, surface, reach, bounds, floor, unit, largest};
  int p = blockIdx.x * THREADS + threadIdx.x;
  if (p >= points) return;
  float3 above = given.above(p);
  float distance = length(above), beyond = fmaxf(distance - reach[p], 0.f) / unit;
  float along = beyond > 0 ? 2 * by_terms[SURFACE] * beyond / (unit * distance * points) : 0;
  by_position[3ll * p] = along * above.x;
  by_position[3ll * p + 1] = along * above.y;
  by_position[3ll * p + 2] = along * above.z;
  for (int i = 0; i < 3; ++i) {
    by_scales[3ll * p + i] = 2 * by_terms[SIZE] * given.too_large(p, i) / (3 * unit * points);
    by_lean[3ll * p + i] = 2 * by_terms[LEAN] * lean[3ll * p + i] / (3.f * points);
  }
  by_roughness[p] = 2 * by_terms[MATERIALS] * given.rough(p) / points;
  by_specular[p] = 2 * by_terms[MATERIALS] * given.shiny(p) / points;
  float opacity = opacities[p], by_opacity = -2 * by_terms[FLOOR] * fmaxf(floor[p] - opacity, 0.f);
  if (opacity >= LEAST_ENTROPY && opacity <= 1 - LEAST_ENTROPY)
    by_opacity += by_terms[ENTROPY] * logf((1 - opacity) / opacity);
  by_opacities[p] = by_opacity / points;
}

// Log of every channel of an albedo, which is never quite 0.
__device__ inline float3 log_albedo(const float* albedo, long long p, float black) {
  return make_float3(logf(albedo[3 * p] + black), logf(albedo[3 * p + 1] + black), logf(albedo[3 * p + 2] + black));
}

__device__ inline float3 difference(float3 a, float3 b) { return make_float3(a.x - b.x, a.y - b.y, a.z - b.z); }
__device__ inline float robust_length(float3 a, float robust) {
  return sqrtf(a.x * a.x + a.y * a.y + a.z * a.z + robust * robust);
}

// Pairs are sorted by their first; those of point p are offsets[p] to offsets[p + 1]. partial [blocks]: sums of the
// block over the number of pairs.
extern "C" __global__ void __launch_bounds__(THREADS) unevenness_forward(
    const float* albedo, const long long* second, const long long* offsets, float black, float robust, int points,
    int pairs, float* partial) {
  __shared__ float room[1][THREADS / WARP];
  int p = blockIdx.x * THREADS + threadIdx.x;
  float sums[1] = {0};
  if (p < points) {
    float3 own = log_albedo(albedo, p, black);
    for (long long pair = offsets[p]; pair < offsets[p + 1]; ++pair)
      sums[0] += robust_length(difference(own, log_albedo(albedo, second[pair], black)), robust) - robust;
  }
  sum_over_block<1, THREADS / WARP>(sums, room);
  if (threadIdx.x == 0) partial[blockIdx.x] = sums[0] / pairs;
}

// by_second: the pairs sorted by their second; those of point p are second_offsets[p] to second_offsets[p + 1] of it.
extern "C" __global__ void __launch_bounds__(THREADS) unevenness_backward(
    const float* albedo, const long long* first, const long long* second, const long long* offsets,
    const long long* by_second, const long long* second_offsets, float black, float robust, int points, int pairs,
    const float* by_mean, float* by_albedo) {
  int p = blockIdx.x * THREADS + threadIdx.x;
  if (p >= points) return;
  float3 own = log_albedo(albedo, p, black), sum = make_float3(0, 0, 0);
  long long left = offsets[p], right = second_offsets[p];
  while (left < offsets[p + 1] || right < second_offsets[p + 1]) {
    // A point is drawn alike to those it has chosen and to those that have chosen it.
    long long other = left < offsets[p + 1] ? second[left++] : first[by_second[right++]];
    float3 apart = difference(own, log_albedo(albedo, other, black));
    float inverse = 1 / robust_length(apart, robust);
    sum = make_float3(sum.x + inverse * apart.x, sum.y + inverse * apart.y, sum.z + inverse * apart.z);
  }
  float scale = *by_mean / pairs;
  by_albedo[3ll * p] = scale * sum.x / (albedo[3ll * p] + black);
  by_albedo[3ll * p + 1] = scale * sum.y / (albedo[3ll * p + 1] + black);
  by_albedo[3ll * p + 2] = scale * sum.z / (albedo[3ll * p + 2] + black);
}

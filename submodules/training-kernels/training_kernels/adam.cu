// One step of Adam in a single pass over parameter, gradient and moments.
#include "adam.cuh"

constexpr int PER_THREAD = 4;

extern "C" __global__ void adam_step(
    float* parameter, const float* gradient, float* first_moment, float* second_moment, const float* rate,
    const float* step, float beta1, float beta2, float log_beta1, float log_beta2, float eps, long long total) {
  Adam adam(*rate, *step, beta1, beta2, log_beta1, log_beta2, eps);
  long long i = (static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x) * PER_THREAD;
  if (i >= total) return;
  bool aligned = ((reinterpret_cast<unsigned long long>(parameter) | reinterpret_cast<unsigned long long>(gradient) |
                   reinterpret_cast<unsigned long long>(first_moment) |
                   reinterpret_cast<unsigned long long>(second_moment)) & 15) == 0;
  if (aligned && i + PER_THREAD <= total) {
    float4 p = *reinterpret_cast<float4*>(parameter + i), m = *reinterpret_cast<float4*>(first_moment + i);
    float4 v = *reinterpret_cast<float4*>(second_moment + i), g = *reinterpret_cast<const float4*>(gradient + i);
    adam.update(p.x, g.x, m.x, v.x);
    adam.update(p.y, g.y, m.y, v.y);
    adam.update(p.z, g.z, m.z, v.z);
    adam.update(p.w, g.w, m.w, v.w);
    *reinterpret_cast<float4*>(parameter + i) = p;
    *reinterpret_cast<float4*>(first_moment + i) = m;
    *reinterpret_cast<float4*>(second_moment + i) = v;
    return;
  }
  for (long long k = i; k < min(i + PER_THREAD, total); ++k)
    adam.update(parameter[k], gradient[k], first_moment[k], second_moment[k]);
}

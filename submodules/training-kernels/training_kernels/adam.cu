// One step of Adam in a single pass over parameter, gradient and moments.

constexpr int PER_THREAD = 4;

__device__ inline void update(
    float& parameter, float gradient, float& first, float& second, float size, float correction, float beta1,
    float beta2, float eps) {
  first = beta1 * first + (1 - beta1) * gradient;
  second = beta2 * second + (1 - beta2) * gradient * gradient;
  parameter -= size * first / (sqrtf(second) * correction + eps);
}

extern "C" __global__ void adam_step(
    float* parameter, const float* gradient, float* first_moment, float* second_moment, const float* rate,
    const float* step, float beta1, float beta2, float log_beta1, float log_beta2, float eps, long long total) {
  // 1 - beta^step without the cancellation of a difference.
  float size = *rate / -expm1f(*step * log_beta1);
  float correction = rsqrtf(-expm1f(*step * log_beta2));
  long long i = (static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x) * PER_THREAD;
  if (i >= total) return;
  bool aligned = ((reinterpret_cast<unsigned long long>(parameter) | reinterpret_cast<unsigned long long>(gradient) |
                   reinterpret_cast<unsigned long long>(first_moment) |
                   reinterpret_cast<unsigned long long>(second_moment)) & 15) == 0;
  if (aligned && i + PER_THREAD <= total) {
    float4 p = *reinterpret_cast<float4*>(parameter + i), m = *reinterpret_cast<float4*>(first_moment + i);
    float4 v = *reinterpret_cast<float4*>(second_moment + i), g = *reinterpret_cast<const float4*>(gradient + i);
    update(p.x, g.x, m.x, v.x, size, correction, beta1, beta2, eps);
    update(p.y, g.y, m.y, v.y, size, correction, beta1, beta2, eps);
    update(p.z, g.z, m.z, v.z, size, correction, beta1, beta2, eps);
    update(p.w, g.w, m.w, v.w, size, correction, beta1, beta2, eps);
    *reinterpret_cast<float4*>(parameter + i) = p;
    *reinterpret_cast<float4*>(first_moment + i) = m;
    *reinterpret_cast<float4*>(second_moment + i) = v;
    return;
  }
  for (long long k = i; k < min(i + PER_THREAD, total); ++k)
    update(parameter[k], gradient[k], first_moment[k], second_moment[k], size, correction, beta1, beta2, eps);
}

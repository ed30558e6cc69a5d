// The update of Adam (Kingma and Ba 2015).
#pragma once

struct Adam {
  float size, correction, beta1, beta2, eps;

  // step: how many steps were made, this one included.
  __device__ Adam(float rate, float step, float b1, float b2, float log_beta1, float log_beta2, float epsilon)
      : beta1(b1), beta2(b2), eps(epsilon) {
    // 1 - beta^step without the cancellation of a difference.
    size = rate / -expm1f(step * log_beta1);
    correction = rsqrtf(-expm1f(step * log_beta2));
  }

  __device__ void update(float& parameter, float gradient, float& first, float& second) const {
    first = beta1 * first + (1 - beta1) * gradient;
    second = beta2 * second + (1 - beta2) * gradient * gradient;
    parameter -= size * first / (sqrtf(second) * correction + eps);
  }
};

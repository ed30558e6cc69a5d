// One step of Adam on rows that were summed with weights, whose gradient is never written down.
#include "adam.cuh"
#include "sums.cuh"

constexpr int THREADS = 256;

// Rows of `quads` float4. Row r counts by weights[r] in row owner[r] of a sum, by_sums is the gradient by that; decay
// times the row itself is added. squares [blocks]: what the squares of the rows before the step add up to.
extern "C" __global__ void __launch_bounds__(THREADS) adam_step_rows(
    float4* parameter, const float4* by_sums, const int* owner, const float* weights, float4* first_moment,
    float4* second_moment, const float* rate, const float* step, float decay, float beta1, float beta2, float log_beta1,
    float log_beta2, float eps, int quads, long long total, float* squares) {
  __shared__ float room[1][THREADS / WARP];
  Adam adam(*rate, *step, beta1, beta2, log_beta1, log_beta2, eps);
  long long i = static_cast<long long>(blockIdx.x) * THREADS + threadIdx.x;
  float square[1] = {0};
  if (i < total) {
    long long row = i / quads;
    float4 p = parameter[i], m = first_moment[i], v = second_moment[i];
    float4 by_sum = by_sums[static_cast<long long>(owner[row]) * quads + i % quads];
    float weight = weights[row];
    square[0] = p.x * p.x + p.y * p.y + p.z * p.z + p.w * p.w;
    adam.update(p.x, weight * by_sum.x + decay * p.x, m.x, v.x);
    adam.update(p.y, weight * by_sum.y + decay * p.y, m.y, v.y);
    adam.update(p.z, weight * by_sum.z + decay * p.z, m.z, v.z);
    adam.update(p.w, weight * by_sum.w + decay * p.w, m.w, v.w);
    parameter[i] = p;
    first_moment[i] = m;
    second_moment[i] = v;
  }
  sum_over_block<1, THREADS / WARP>(square, room);
  if (threadIdx.x == 0) squares[blockIdx.x] = square[0];
}

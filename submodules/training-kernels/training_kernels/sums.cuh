// Sums over the threads of a block, always in the same order.
#pragma once

constexpr int WARP = 32;

// The sums of `values` over the block, in its first thread; `room` [COUNT][warps of a block] may be used again after a
// barrier.
template <int COUNT, int WARPS>
__device__ inline void sum_over_block(float (&values)[COUNT], float (*room)[WARPS]) {
  int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
#pragma unroll
  for (int i = 0; i < COUNT; ++i) {
#pragma unroll
    for (int step = WARP / 2; step > 0; step /= 2) values[i] += __shfl_xor_sync(0xffffffffu, values[i], step);
    if (lane == 0) room[i][warp] = values[i];
  }
  __syncthreads();
  if (threadIdx.x != 0) return;
#pragma unroll
  for (int i = 0; i < COUNT; ++i) {
    values[i] = 0;
    for (int other = 0; other < WARPS; ++other) values[i] += room[i][other];
  }
}

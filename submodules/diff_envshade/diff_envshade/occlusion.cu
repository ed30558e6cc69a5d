// The cosine-weighted share of its hemisphere that every point does not see. A warp takes a point, lanes are the bits of
// a visibility word.
#include "shading.cuh"

constexpr float LEAST_LIGHT = 1e-6f * 3.14159265f;  // as in occlusion.py, not divided by pi

// hidden [points]; `table` as light_table makes it, words [points, row_words].
__global__ void __launch_bounds__(THREADS) occlusion(
    const float4* table, int word_count, const float* normal, const unsigned* words, int row_words, int points,
    float* hidden) {
  int point = (blockIdx.x * THREADS + threadIdx.x) / WARP, lane = threadIdx.x % WARP;
  if (point >= points) return;
  float3 n = load3(normal, point);
  float seen = 0, whole = 0;
  for (int word = 0; word < word_count; ++word) {
    const float4* texel = table + (size_t)(word * BITS + lane) * TEXEL_PARTS;
    float light = fmaxf(dot(n, texel[0]), 0.f) * texel[1].w;
    whole += light;
    if (words[(size_t)point * row_words + word] >> lane & 1) seen += light;
  }
  for (int offset = WARP / 2; offset > 0; offset /= 2) {
    seen += __shfl_xor_sync(~0u, seen, offset);
    whole += __shfl_xor_sync(~0u, whole, offset);
  }
  if (lane == 0) hidden[point] = __saturatef(1.f - seen / fmaxf(whole, LEAST_LIGHT));
}

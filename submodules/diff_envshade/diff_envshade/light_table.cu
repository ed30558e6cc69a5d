// What goes before and after the shading kernels: the table of lights, and the last sum of the map's gradient.
#include "shading.cuh"

constexpr double PI = 3.14159265358979323846;
// Warps that share a column of partial gradients.
constexpr int STRIPS = 32;

// Directions of the texels turned by `rotation` [3, 3], and radiance times solid angle, in double precision until the
// last rounding. Texels from height * width to `padded` have neither. The convention is that of envmap.py. A null rotation
// turns nothing, a null map is 1 everywhere.
//
// Also turns visibility words [row_words, vertices] (or null) into rows of vertices.
__global__ void light_table(
    const float* envmap, const float* rotation, int height, int width, int padded, float4* table,
    const unsigned* columns, int row_words, int vertices, unsigned* rows) {
  int texel = blockIdx.x * blockDim.x + threadIdx.x, texels = height * width;
  if (columns != nullptr && texel < vertices)
    for (int word = 0; word < row_words; ++word)
      rows[(long long)texel * row_words + word] = columns[(long long)word * vertices + texel];
  if (texel >= padded) return;
  float4 direction = make_float4(0, 0, 0, 0), radiance = make_float4(0, 0, 0, 0);
  if (texel < texels) {
    double sin_azimuth, cos_azimuth, sin_polar, cos_polar;  // the polar angle is from the zenith
    sincospi(2 * (texel % width + 0.5) / width, &sin_azimuth, &cos_azimuth);
    sincospi((texel / width + 0.5) / height, &sin_polar, &cos_polar);
    double local[3] = {sin_polar * cos_azimuth, cos_polar, sin_polar * sin_azimuth};
    float turned[3];
    double squared = 0;
    for (int row = 0; row < 3; ++row) {
      double sum = 0;
      for (int column = 0; column < 3; ++column)
        sum += (rotation != nullptr ? rotation[3 * row + column] : row == column ? 1.f : 0.f) * local[column];
      turned[row] = (float)sum;
      squared += (double)turned[row] * turned[row];
    }
    double solid_angle = 4 * PI / width * sin_polar * sinpi(0.5 / height);
    direction = make_float4(turned[0], turned[1], turned[2], (float)(0.5 * squared));
    float light[3];
    for (int channel = 0; channel < 3; ++channel) light[channel] = envmap != nullptr ? envmap[channel * texels + texel] : 1;
    radiance = make_float4(
        (float)(light[0] * solid_angle), (float)(light[1] * solid_angle), (float)(light[2] * solid_angle),
        (float)solid_angle);
  }
  table[TEXEL_PARTS * texel] = direction;
  table[TEXEL_PARTS * texel + 1] = radiance;
}

// The map's gradient [3, texels]: the sum of `shares` [share_count, 3, padded] in a fixed order, times solid angles. A block
// of STRIPS warps sums 32 columns.
__global__ void __launch_bounds__(STRIPS * WARP) sum_shares(
    const float* shares, int share_count, int padded, const float4* table, int texels, float* grad_envmap) {
  __shared__ float sums[STRIPS][WARP];
  int lane = threadIdx.x % WARP, strip = threadIdx.x / WARP;
  int column = blockIdx.x * WARP + lane;
  float sum = 0;
#pragma unroll 4
  for (int share = strip; share < share_count; share += STRIPS) sum += shares[(size_t)share * 3 * padded + column];
  sums[strip][lane] = sum;
  __syncthreads();
  int channel = column / padded, texel = column % padded;
  if (strip > 0 || texel >= texels) return;
  float total = 0;
  for (int part = 0; part < STRIPS; ++part) total += sums[part][lane];
  grad_envmap[channel * texels + texel] = total * table[TEXEL_PARTS * texel + 1].w;
}

// Sums over the light map of what P points reflect diffusely (E) and specularly (S).
#include "shading.cuh"

constexpr int SUMS = 6;

// Arguments as in ops.shade; `table` holds words * 32 texels, `words` (visibility) may be null, and so may both albedos
// and all outputs but irradiance. A block shades 32 points.
template <bool SPECULAR>
__global__ void __launch_bounds__(THREADS) shade_forward(
    const float4* __restrict__ table, int word_count, const float* __restrict__ normal, const float* __restrict__ view,
    const float* __restrict__ roughness, int points, const unsigned* __restrict__ words, int row_words, int vertices,
    const int* __restrict__ faces, int face_count, int face_stride, int face_corner_stride,
    const long long* __restrict__ face_id, const float* __restrict__ barycentric, int point_stride,
    int point_corner_stride, const float* __restrict__ albedo, const float* __restrict__ specular_albedo,
    float* __restrict__ irradiance, float* __restrict__ reflection, float* __restrict__ radiance) {
  __shared__ float4 light[TILE_WORDS * WORD_PARTS];
  __shared__ __align__(COMBINATIONS * COLUMN_STRIDE) WeightTable weights;
  __shared__ float sums[SLICES][SUMS][WARP];
  int lane = threadIdx.x % WARP, slice = threadIdx.x / WARP;
  int first_point = blockIdx.x * WARP;
  int index = min(first_point + lane, points - 1);
  Point point(load3(normal, index), load3(view, index), roughness[index]);
  Mesh mesh = {words, row_words, vertices, faces, face_count, face_stride, face_corner_stride, face_id, barycentric,
               point_stride, point_corner_stride};
  Visibility seen(weights, index, mesh);

  float3 diffuse = make_float3(0, 0, 0), specular = make_float3(0, 0, 0);
  for (int first = 0; first < word_count; first += TILE_WORDS) {
    int count = min(TILE_WORDS, word_count - first);
    stage_light(table, first, count, light);
    for (int word = slice; word < count; word += SLICES) {
      seen.read(first + word);
      for (int bit = 0; bit < BITS; bit += OCTET) {
        if (!seen.turn_to(bit)) continue;
        const float4* texels = light + word * WORD_PARTS + bit * TEXEL_PARTS;
#pragma unroll
        for (int texel = 0; texel < OCTET; ++texel) {
          float4 l = texels[TEXEL_PARTS * texel], light_of_texel = texels[TEXEL_PARTS * texel + 1];
          float nl = dot(point.n, l), lit = fmaxf(nl, 0.f);
          float e = seen.weight(texel) * lit;
          diffuse.x += e * light_of_texel.x;
          diffuse.y += e * light_of_texel.y;
          diffuse.z += e * light_of_texel.z;
          if (SPECULAR) {
            Half half(point, nl, l);
            float c = __saturatef(1.f - half.ls * half.inv_length);
            float fresnel = FRESNEL_0 + (1.f - FRESNEL_0) * (c * c) * (c * c) * c;
            float d = fmaxf(half.root * half.root, MIN_DISTRIBUTION_DENOMINATOR);
            float s = (half.defined ? e : 0.f) * (fresnel * (1.f / ((lit * point.kc + point.k) * d)));
            specular.x += s * light_of_texel.x;
            specular.y += s * light_of_texel.y;
            specular.z += s * light_of_texel.z;
          }
        }
      }
    }
  }

  float scale = 0.25f * point.a2 * point.masking;
  float own[SUMS] = {diffuse.x * INV_PI, diffuse.y * INV_PI, diffuse.z * INV_PI,
                     specular.x * scale, specular.y * scale, specular.z * scale};
#pragma unroll
  for (int i = 0; i < SUMS; ++i) sums[slice][i][lane] = own[i];
  __syncthreads();
  int values = 3 * min(WARP, points - first_point);
  for (int i = threadIdx.x; i < values; i += THREADS) {
    float e = 0, s = 0;
    for (int part = 0; part < SLICES; ++part) {
      e += sums[part][i % 3][i / 3];
      s += sums[part][3 + i % 3][i / 3];
    }
    int value = 3 * first_point + i;
    irradiance[value] = e;
    if (reflection != nullptr) reflection[value] = s;
    if (radiance == nullptr) continue;
    float reflected = albedo != nullptr ? albedo[value] * e : 0.f;
    radiance[value] = specular_albedo != nullptr ? reflected + specular_albedo[value] * s : reflected;
  }
}

// Gradients of the shading sums for the points and, in one pass with them, for the light map.
#include "shading.cuh"

// Texels whose weights are in shared memory at a time, for the map's gradient.
constexpr int BATCH = 2 * OCTET;
// Blocks of a multiprocessor: 80 registers a thread, enough for the inner loop without spilling.
constexpr int BLOCKS = 6;
// Row length of these weights; the odd one keeps a column's entries in different banks.
constexpr int PITCH = WARP + 1;

// Sums over texels from which a point's gradients follow; see the end of the kernel.
struct PointSums {
  float3 n;
  float s1, s2, s_along, l;  // for v: by s along t1, t2 and n, by l
  float ns, density, peak, k;
};
constexpr int SUMS = sizeof(PointSums) / sizeof(float);

__device__ inline float3 add(float3 a, float3 b) { return make_float3(a.x + b.x, a.y + b.y, a.z + b.z); }

__device__ inline float3 scale(float factor, float3 a) { return make_float3(factor * a.x, factor * a.y, factor * a.z); }

__device__ inline float3 product(float3 a, float3 b) { return make_float3(a.x * b.x, a.y * b.y, a.z * b.z); }

__device__ inline float3 load3_or_zero(const float* rows, int row) {
  return rows == nullptr ? make_float3(0, 0, 0) : load3(rows, row);
}

__device__ inline void store3(float* rows, int row, float3 value) {
  rows[3 * row] = value.x;
  rows[3 * row + 1] = value.y;
  rows[3 * row + 2] = value.z;
}

// Adds one texel, seen with `weight`, to the sums. `ge` is the gradient for E over pi, `gs` that for S times the view's
// masking over 4. Returns what multiplies these gradients in the map's own gradient: n.l, and the lobe without constants.
template <bool SPECULAR>
__device__ inline float2 add_texel(
    const Point& point, float weight, float4 l, float4 radiance, float3 ge, float3 gs, PointSums& sums) {
  float nl = dot(point.n, l);
  float weight_e = nl > 0.f ? weight : 0.f;
  float by_n = weight_e * dot(ge, radiance);
  float lobe = 0;
  if (SPECULAR) {
    Half half(point, nl, l);
    float lit = half.defined ? fmaxf(nl, 0.f) : 0.f;
    float c = __saturatef(1.f - half.ls * half.inv_length), c4 = (c * c) * (c * c);
    float fresnel = FRESNEL_0 + (1.f - FRESNEL_0) * c4 * c;
    float fresnel_slope = half.ls >= 0.f ? c4 : 0.f;  // by l.h, over -5 (1 - F0)
    float square = half.root * half.root;
    float inv_d = 1.f / fmaxf(square, MIN_DISTRIBUTION_DENOMINATOR);
    float inv_a = 1.f / (lit * point.kc + point.k);
    float radiance_s = dot(gs, radiance);
    // From here on everything lacks a factor alpha^2.
    float density_a = (lit > 0.f ? weight : 0.f) * inv_d * inv_a;
    float reflected = density_a * fresnel;
    lobe = reflected * lit;
    float by_density = lobe * radiance_s;
    float by_fresnel = density_a * lit * radiance_s * fresnel_slope * (-5.f * (1.f - FRESNEL_0) * point.a2);
    float by_shadowing = reflected * radiance_s * inv_a;
    float by_root = square > MIN_DISTRIBUTION_DENOMINATOR ? by_density * inv_d * half.root : 0.f;
    float nh = half.ns * half.inv_q;
    float by_ns = by_root * (4.f * SQRT_PI * point.a2 * (1.f - point.a2)) * nh;
    float by_l = by_fresnel * half.inv_length;
    float by_s = -half.inv_q * (by_l * half.ls + by_ns * half.ns);
    by_n += by_ns + by_shadowing * (point.k * point.a2);
    // With l = s - v, because the terms for s and l would cancel where s is small.
    float by_v = by_s + by_l;
    sums.s1 += by_v * half.s1;
    sums.s2 += by_v * half.s2;
    sums.s_along += by_v * half.ns;
    sums.l += by_l;
    sums.ns += by_ns;
    sums.density += by_density;
    sums.peak += by_root * half.ns * nh;
    sums.k += by_shadowing * (lit * lit - lit);
  }
  sums.n = add(sums.n, make_float3(by_n * l.x, by_n * l.y, by_n * l.z));
  return make_float2(weight_e * nl, lobe);
}

// Arguments as in shade_forward.cu, with the gradients for its outputs; all of them may be null, and both of its sums,
// which the gradients for the albedos are made of. A block handles `groups` times 32 points. Where `shares` [blocks, 3, words * 32] is not
// null, the block writes its share of the map's gradient there, without the solid angles.
template <bool SPECULAR>
__global__ void __launch_bounds__(THREADS, BLOCKS) shade_backward(
    const float4* __restrict__ table, int word_count, const float* __restrict__ normal, const float* __restrict__ view,
    const float* __restrict__ roughness, int points, int groups, const unsigned* __restrict__ words, int row_words,
    int vertices, const int* __restrict__ faces, int face_count, int face_stride, int face_corner_stride,
    const long long* __restrict__ face_id, const float* __restrict__ barycentric, int point_stride,
    int point_corner_stride, const float* __restrict__ albedo, const float* __restrict__ specular_albedo,
    const float* __restrict__ irradiance, const float* __restrict__ reflection,
    const float* __restrict__ by_radiance, const float* __restrict__ by_irradiance,
    const float* __restrict__ by_reflection, float* __restrict__ grad_normal, float* __restrict__ grad_view,
    float* __restrict__ grad_roughness, float* __restrict__ grad_albedo, float* __restrict__ grad_specular_albedo,
    float* __restrict__ shares) {
  __shared__ float4 light[TILE_WORDS * WORD_PARTS];
  __shared__ __align__(COMBINATIONS * COLUMN_STRIDE) WeightTable weights;
  __shared__ float2 pairs[SLICES][BATCH][PITCH];  // later the sums of the slices
  __shared__ float4 grads_e[WARP], grads_s[WARP];
  static_assert(sizeof(pairs) >= sizeof(float) * SLICES * SUMS * WARP, "the sums of the slices need more room");
  int lane = threadIdx.x % WARP, slice = threadIdx.x / WARP;
  int padded = word_count * BITS;
  Mesh mesh = {words, row_words, vertices, faces, face_count, face_stride, face_corner_stride, face_id, barycentric,
               point_stride, point_corner_stride};

  for (int group = 0; group < groups; ++group) {
    int own = (blockIdx.x * groups + group) * WARP + lane;
    int index = min(own, points - 1);
    Point point(load3(normal, index), load3(view, index), roughness[index]);
    Visibility seen(weights, index, mesh);
    float scale_e = own < points ? INV_PI : 0.f, scale_s = own < points ? 0.25f * point.masking : 0.f;
    float3 by_own = load3_or_zero(by_radiance, index);
    float3 by_e = add(product(by_own, load3_or_zero(albedo, index)), load3_or_zero(by_irradiance, index));
    float3 by_s = add(product(by_own, load3_or_zero(specular_albedo, index)), load3_or_zero(by_reflection, index));
    float3 ge = scale(scale_e, by_e), gs = scale(scale_s, by_s);
    if (slice == 0) {
      grads_e[lane] = make_float4(ge.x, ge.y, ge.z, 0);
      grads_s[lane] = make_float4(gs.x * point.a2, gs.y * point.a2, gs.z * point.a2, 0);
    }

    PointSums sums = {};
    for (int first = 0; first < word_count; first += TILE_WORDS) {
      int count = min(TILE_WORDS, word_count - first);
      stage_light(table, first, count, light);
      for (int word = slice; word < count; word += SLICES) {
        seen.read(first + word);
        for (int batch = 0; batch < BITS; batch += BATCH) {
          for (int octet = 0; octet < BATCH; octet += OCTET) {
            float2(*column)[PITCH] = &pairs[slice][octet];
            if (!seen.turn_to(batch + octet)) {
              for (int texel = 0; texel < OCTET; ++texel) column[texel][lane] = make_float2(0, 0);
              continue;
            }
            const float4* texels = light + word * WORD_PARTS + (batch + octet) * TEXEL_PARTS;
#pragma unroll
            for (int texel = 0; texel < OCTET; ++texel) {
              float4 l = texels[TEXEL_PARTS * texel], radiance = texels[TEXEL_PARTS * texel + 1];
              float2 pair = add_texel<SPECULAR>(point, seen.weight(texel), l, radiance, ge, gs, sums);
              if (shares != nullptr) column[texel][lane] = pair;
            }
          }
          if (shares == nullptr) continue;
          // Turn the warp: a lane now has one texel and half of the points.
          __syncwarp();
          int texel = lane % BATCH, first_point = lane / BATCH * BATCH;
          float3 share = make_float3(0, 0, 0);
#pragma unroll
          for (int i = first_point; i < first_point + BATCH; ++i) {
            float2 pair = pairs[slice][texel][i];
            float4 e = grads_e[i], s = grads_s[i];
            share = make_float3(share.x + pair.x * e.x, share.y + pair.x * e.y, share.z + pair.x * e.z);
            share = make_float3(share.x + pair.y * s.x, share.y + pair.y * s.y, share.z + pair.y * s.z);
          }
          share.x += __shfl_xor_sync(~0u, share.x, BATCH);
          share.y += __shfl_xor_sync(~0u, share.y, BATCH);
          share.z += __shfl_xor_sync(~0u, share.z, BATCH);
          if (lane < BATCH) {
            float* column = shares + (size_t)blockIdx.x * 3 * padded + (first + word) * BITS + batch + lane;
            column[0] = share.x + (group > 0 ? column[0] : 0.f);
            column[padded] = share.y + (group > 0 ? column[padded] : 0.f);
            column[2 * padded] = share.z + (group > 0 ? column[2 * padded] : 0.f);
          }
          __syncwarp();
        }
      }
    }

    __syncthreads();
    float* slots = reinterpret_cast<float*>(pairs);
    const float* values = reinterpret_cast<const float*>(&sums);
#pragma unroll
    for (int i = 0; i < SUMS; ++i) slots[(slice * SUMS + i) * WARP + lane] = values[i];
    __syncthreads();
    if (slice > 0 || own >= points) continue;
    PointSums total = {};
    float* totals = reinterpret_cast<float*>(&total);
#pragma unroll
    for (int i = 0; i < SUMS; ++i)
      for (int part = 0; part < SLICES; ++part) totals[i] += slots[(part * SUMS + i) * WARP + lane];
    float lobe = point.a2 * total.density, r = point.roughness;
    float by_nv = point.nv > 0.f ? -lobe * point.kc * point.masking : 0.f;
    float by_k = point.a2 * total.k - lobe * (1.f - fmaxf(point.nv, 0.f)) * point.masking;
    float by_a2 = total.density - 2.f * SQRT_PI * point.a2 * total.peak;
    float along = total.ns + by_nv;
    float along_n = along + total.s_along * point.inv_nn;
    store3(grad_normal, own, add(total.n, scale(along, point.v)));
    float3 across = add(scale(total.s1, point.t1), scale(total.s2, point.t2));
    store3(grad_view, own, add(add(across, scale(along_n, point.n)), scale(-total.l, point.v)));
    grad_roughness[own] = 4.f * r * r * r * by_a2 + 0.25f * (1.f + r) * by_k;
    float3 by_output = load3_or_zero(by_radiance, own);
    if (grad_albedo != nullptr) store3(grad_albedo, own, product(by_output, load3_or_zero(irradiance, own)));
    if (grad_specular_albedo != nullptr)
      store3(grad_specular_albedo, own, product(by_output, load3_or_zero(reflection, own)));
  }
}

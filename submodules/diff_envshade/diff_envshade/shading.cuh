// What the forward and the backward kernel share: the light table, visibility bits, and the geometry of a point and a
// light direction.
//
// Work is laid out so that a warp holds 32 points and walks over texels together: a texel's light is then one broadcast
// from shared memory. The SLICES warps of a block hold the same points and take every SLICES-th word (32 texels) each.
//
// Names: n normal, v view direction, l light direction, nl = n.l and so on, s = l + v, q = |s|^2, half vector h = s / |s|.
#pragma once

constexpr int WARP = 32;
constexpr int BITS = 32;
constexpr int SLICES = 4;
constexpr int THREADS = SLICES * WARP;
// Words of the map that are in shared memory at a time: 256 texels, 8 KiB.
constexpr int TILE_WORDS = 8;
// A texel of the table is two float4: direction and |l|^2 / 2, radiance times solid angle and solid angle.
constexpr int TEXEL_PARTS = 2;
constexpr int WORD_PARTS = BITS * TEXEL_PARTS;
// Texels of a word that are unrolled.
constexpr int OCTET = 8;
constexpr unsigned OCTET_BITS = 0xff;

// As in reference.py.
constexpr float FRESNEL_0 = 0.04f;
constexpr float MIN_DISTRIBUTION_DENOMINATOR = 1e-9f;
constexpr float MIN_HALF_SQUARED = 1e-6f;

constexpr float INV_PI = 0.318309886f;
constexpr float SQRT_PI = 1.77245385f;
// Keeps a zero normal finite.
constexpr float TINY = 1e-30f;

__device__ inline float3 load3(const float* rows, int row) {
  return make_float3(rows[3 * row], rows[3 * row + 1], rows[3 * row + 2]);
}

__device__ inline float dot(float3 a, float3 b) { return a.x * b.x + a.y * b.y + a.z * b.z; }

__device__ inline float dot(float3 a, float4 b) { return a.x * b.x + a.y * b.y + a.z * b.z; }

// a + b = sum + error exactly; the intrinsics keep the compiler from contracting.
__device__ inline float two_sum(float a, float b, float& error) {
  float sum = __fadd_rn(a, b);
  float part = __fsub_rn(sum, a);
  error += __fadd_rn(__fsub_rn(a, __fsub_rn(sum, part)), __fsub_rn(b, part));
  return sum;
}

// 1 - |n|^2 to 1e-14, as small as it is: float32 alone would leave its own rounding.
__device__ inline float unit_excess(float3 n) {
  float error = 0, rest = 1;
  for (float x : {n.x, n.y, n.z}) {
    float square = __fmul_rn(x, x);
    error -= __fmaf_rn(x, x, -square);
    rest = two_sum(rest, -square, error);
  }
  return rest + error;
}

// The weight of a texel for a point is one of eight sums, by which of the three corners of its triangle see the texel.
// Shared memory holds them, a column for each thread, so that a texel costs one look-up.
constexpr int COMBINATIONS = 8;
constexpr int COLUMN_STRIDE = WARP * sizeof(float);
constexpr unsigned COMBINATION_MASK = (COMBINATIONS - 1) * COLUMN_STRIDE;
constexpr int COMBINATION_SHIFT = 7;
static_assert(COLUMN_STRIDE == 1 << COMBINATION_SHIFT, "a combination's number is shifted into place");
using WeightTable = float[SLICES][COMBINATIONS][WARP];

// The mesh whose vertices have visibility words. Words may be null; faces and barycentrics lie in any order.
struct Mesh {
  const unsigned* words;  // [vertices, row_words]
  int row_words, vertices;
  const int* faces;
  int face_count, face_stride, face_corner_stride;
  const long long* face_id;
  const float* barycentric;
  int point_stride, point_corner_stride;
};

// What a point sees. Without visibility words that is everything. Indices out of range count as the nearest valid one, so
// that nothing else is read.
class Visibility {
 public:
  __device__ Visibility(WeightTable& table, int point, const Mesh& mesh)
      : table_(reinterpret_cast<const char*>(table)),
        column_((threadIdx.x / WARP * COMBINATIONS * WARP + threadIdx.x % WARP) * sizeof(float)) {
    float weights[3] = {1, 0, 0};
    bool blocked = mesh.words != nullptr;
    long long face = blocked ? min(max(mesh.face_id[point], 0LL), (long long)mesh.face_count - 1) : 0;
#pragma unroll
    for (int corner = 0; corner < 3; ++corner) {
      rows_[corner] = nullptr;
      if (!blocked) continue;
      int corner_vertex = mesh.faces[face * mesh.face_stride + (long long)corner * mesh.face_corner_stride];
      long long vertex = min(max(corner_vertex, 0), mesh.vertices - 1);
      rows_[corner] = mesh.words + vertex * mesh.row_words;
      weights[corner] = mesh.barycentric[(long long)point * mesh.point_stride + (long long)corner * mesh.point_corner_stride];
    }
#pragma unroll
    for (int i = 0; i < COMBINATIONS; ++i) {
      float sum = 0;
      for (int corner = 0; corner < 3; ++corner) sum += i >> corner & 1 ? weights[corner] : 0.f;
      table[threadIdx.x / WARP][i][threadIdx.x % WARP] = sum;
    }
  }

  __device__ void read(int word) {
    for (int corner = 0; corner < 3; ++corner) bits_[corner] = rows_[corner] == nullptr ? ~0u : rows_[corner][word];
  }

  // Prepare eight texels from bit `first` on; false if none of them is seen.
  __device__ bool turn_to(int first) {
    if (((bits_[0] | bits_[1] | bits_[2]) & OCTET_BITS << first) == 0) return false;
    // Put the bits of a texel, one a corner, side by side. For every third texel at once, because they need three places.
    unsigned turned[3];
    for (int corner = 0; corner < 3; ++corner)
      turned[corner] = __funnelshift_r(bits_[corner], bits_[corner], first - COMBINATION_SHIFT - corner);
    for (int third = 0; third < 3; ++third) {
      unsigned own = THIRDS << (COMBINATION_SHIFT + third) % 3, next = THIRDS << (COMBINATION_SHIFT + third + 2) % 3;
      unsigned two = (turned[0] & own) | (turned[1] & ~own);
      mixed_[third] = (turned[2] & next) | (two & ~next);
    }
    return true;
  }

  // Weight of one of these texels.
  __device__ float weight(int texel) const {
    return *reinterpret_cast<const float*>(table_ + ((mixed_[texel % 3] >> texel & COMBINATION_MASK) | column_));
  }

 private:
  static constexpr unsigned THIRDS = 0x49249249;  // every third bit from the lowest on

  const char* table_;
  unsigned column_;
  const unsigned* rows_[3];
  unsigned bits_[3], mixed_[3];
};

// What the integrals need of a point. t1 and t2 are unit, at right angles to n and to each other.
struct Point {
  float3 n, v, t1, t2;
  float nv;
  float inv_nn, half_vv;       // 1 / |n|^2, |v|^2 / 2
  float roughness, k, kc, a2;  // masking k = (r + 1)^2 / 8, 1 - k, alpha^2 = r^4
  float masking;               // of the view: 1 / (max(n.v, 0) (1 - k) + k)
  float u_a2, u_nn, u_excess;  // alpha^2, |n|^2 and 1 - |n|^2, times sqrt(pi)

  __device__ Point(float3 normal, float3 view, float r) : n(normal), v(view), roughness(r) {
    float nn = fmaxf(dot(n, n), TINY);
    float scale = rsqrtf(nn);
    scale *= 1.5f - 0.5f * nn * scale * scale;  // one step of Newton's method: the hardware's root is two bits short
    inv_nn = scale * scale;
    float3 m = make_float3(n.x * scale, n.y * scale, n.z * scale);
    float sign = copysignf(1.f, m.z);
    float a = __fdiv_rn(-1.f, sign + m.z);
    float b = m.x * m.y * a;
    t1 = make_float3(1.f + sign * m.x * m.x * a, sign * b, -sign * m.x);
    t2 = make_float3(b, sign + m.y * m.y * a, -m.y);
    nv = dot(n, v);
    half_vv = 0.5f * dot(v, v);
    k = (r + 1.f) * (r + 1.f) * 0.125f;
    kc = 1.f - k;
    a2 = r * r * r * r;
    masking = 1.f / (fmaxf(nv, 0.f) * kc + k);
    u_a2 = SQRT_PI * a2;
    u_nn = SQRT_PI * nn;
    u_excess = SQRT_PI * unit_excess(n);
  }
};

// Of one light direction: s along t1, t2 and n (n.s), 1 / |s|, 1 / q, l.s, the root of pi u^2 with
// u = 1 + (n.h)^2 (alpha^2 - 1), and whether light is reflected if it comes from above the horizon.
//
// Near the mirror direction u is small and must not be a difference: |s|^2 is split into its part along n and the part tt
// across, and u = (n.h)^2 alpha^2 + (1 - |n|^2) + |n|^2 tt / q. The same split gives q without cancellation where light
// comes from straight behind, of which nothing is reflected.
struct Half {
  float s1, s2, ns, inv_length, inv_q, ls, root;
  bool defined;

  __device__ Half(const Point& p, float nl, float4 light) {
    ns = nl + p.nv;
    float3 s = make_float3(light.x + p.v.x, light.y + p.v.y, light.z + p.v.z);
    s1 = dot(p.t1, s);
    s2 = dot(p.t2, s);
    float tt = s1 * s1 + s2 * s2, along = ns * ns;
    float q = along * p.inv_nn + tt;
    inv_length = rsqrtf(fmaxf(q, MIN_HALF_SQUARED));
    inv_q = inv_length * inv_length;
    ls = 0.5f * q + (light.w - p.half_vv);  // |v|^2 = |s - l|^2
    root = (along * p.u_a2 + tt * p.u_nn) * inv_q + p.u_excess;
    defined = q > MIN_HALF_SQUARED;
  }
};

// Copy the words of the table from `first` on to shared memory; the block waits before and after.
__device__ inline void stage_light(const float4* table, int first, int count, float4* light) {
  __syncthreads();
  for (int i = threadIdx.x; i < count * WORD_PARTS; i += THREADS) light[i] = table[first * WORD_PARTS + i];
  __syncthreads();
}

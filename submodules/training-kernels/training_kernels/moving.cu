// A small rigid motion of all Gaussians, to first order in its turn, and the gradient by it.
#include "sums.cuh"

constexpr int THREADS = 256;
constexpr int AXES = 6;  // of a correction: turn x, y, z and shift x, y, z

__device__ inline float3 operator+(float3 a, float3 b) { return make_float3(a.x + b.x, a.y + b.y, a.z + b.z); }
__device__ inline float3 operator-(float3 a, float3 b) { return make_float3(a.x - b.x, a.y - b.y, a.z - b.z); }
__device__ inline float3 operator*(float s, float3 a) { return make_float3(s * a.x, s * a.y, s * a.z); }
__device__ inline float dot(float3 a, float3 b) { return a.x * b.x + a.y * b.y + a.z * b.z; }
__device__ inline float3 cross(float3 a, float3 b) {
  return make_float3(a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x);
}

// The motion of one frame in world space.
struct Motion {
  float3 spin, slide, pivot, half;  // half of the turn: the vector part of its quaternion
  float scale;                      // what that quaternion's length is divided by

  // own [AXES]: the correction; root [4, 4]: from the head to the world; centre [3]: what the head turns about.
  __device__ Motion(const float* own, const float* root, const float* centre, float radians, float metres) {
    spin = radians * turned(root, own);
    slide = metres * turned(root, own + 3);
    pivot = turned(root, centre) + make_float3(root[3], root[7], root[11]);
    half = 0.5f * spin;
    scale = rsqrtf(1 + dot(half, half));
  }

  __device__ static float3 turned(const float* m, const float* v) {
    return make_float3(
        m[0] * v[0] + m[1] * v[1] + m[2] * v[2], m[4] * v[0] + m[5] * v[1] + m[6] * v[2],
        m[8] * v[0] + m[9] * v[1] + m[10] * v[2]);
  }
};

// own [AXES] of shared memory: row `frame` of raw [frames, AXES] without the mean of all rows; warps share the axes.
__device__ inline void find_own(const float* raw, int frames, long long frame, float* own) {
  int lane = threadIdx.x % WARP, axis = threadIdx.x / WARP;
  if (axis < AXES) {
    float sum = 0;
    for (int row = lane; row < frames; row += WARP) sum += raw[AXES * row + axis];
    for (int step = WARP / 2; step > 0; step /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, step);
    if (lane == 0) own[axis] = raw[AXES * frame + axis] - sum / frames;
  }
  __syncthreads();
}

// means [points, 3], rotations [points] (w, x, y, z).
extern "C" __global__ void __launch_bounds__(THREADS) move_forward(
    const float* means, const float4* rotations, const float* raw, int frames, const long long* frame,
    const float* root, const float* centre, float radians, float metres, int points, float* moved, float4* turned) {
  __shared__ float own[AXES];
  find_own(raw, frames, *frame, own);
  int p = blockIdx.x * THREADS + threadIdx.x;
  if (p >= points) return;
  Motion motion(own, root, centre, radians, metres);
  float3 x = make_float3(means[3ll * p], means[3ll * p + 1], means[3ll * p + 2]);
  float3 to = x + motion.slide + cross(motion.spin, x - motion.pivot);
  moved[3ll * p] = to.x;
  moved[3ll * p + 1] = to.y;
  moved[3ll * p + 2] = to.z;
  float4 q = rotations[p];
  float3 v = make_float3(q.y, q.z, q.w), h = motion.half;
  float3 vector = motion.scale * (v + q.x * h + cross(h, v));
  turned[p] = make_float4(motion.scale * (q.x - dot(h, v)), vector.x, vector.y, vector.z);
}

// Gradients by means and rotations; partial [blocks, AXES]: what the block's Gaussians say of spin and slide.
extern "C" __global__ void __launch_bounds__(THREADS) move_backward(
    const float* means, const float4* rotations, const float* raw, int frames, const long long* frame,
    const float* root, const float* centre, float radians, float metres, int points, const float* by_moved,
    const float4* by_turned, float* by_means, float4* by_rotations, float* partial) {
  __shared__ float own[AXES], room[AXES][THREADS / WARP];
  find_own(raw, frames, *frame, own);
  int p = blockIdx.x * THREADS + threadIdx.x;
  float sums[AXES] = {};
  if (p < points) {
    Motion motion(own, root, centre, radians, metres);
    float3 x = make_float3(means[3ll * p], means[3ll * p + 1], means[3ll * p + 2]);
    float3 g = make_float3(by_moved[3ll * p], by_moved[3ll * p + 1], by_moved[3ll * p + 2]);
    float3 by_x = g - cross(motion.spin, g);
    by_means[3ll * p] = by_x.x;
    by_means[3ll * p + 1] = by_x.y;
    by_means[3ll * p + 2] = by_x.z;
    float4 q = rotations[p], by_q = by_turned[p];
    float3 v = make_float3(q.y, q.z, q.w), by_v = make_float3(by_q.y, by_q.z, by_q.w), h = motion.half;
    // The product with a quaternion has the product with its conjugate for a transpose.
    float3 vector = motion.scale * (by_v - by_q.x * h - cross(h, by_v));
    by_rotations[p] = make_float4(motion.scale * (by_q.x + dot(h, by_v)), vector.x, vector.y, vector.z);
    float3 by_half = motion.scale * (q.x * by_v - by_q.x * v + cross(v, by_v));
    // The quaternion is scaled to length 1: what changes its length alone has no effect.
    float along = by_q.x * (q.x - dot(h, v)) + dot(by_v, v + q.x * h + cross(h, v));
    by_half = by_half - motion.scale * motion.scale * motion.scale * along * h;
    float3 by_spin = cross(x - motion.pivot, g) + 0.5f * by_half;
    sums[0] = by_spin.x;
    sums[1] = by_spin.y;
    sums[2] = by_spin.z;
    sums[3] = g.x;
    sums[4] = g.y;
    sums[5] = g.z;
  }
  sum_over_block<AXES, THREADS / WARP>(sums, room);
  if (threadIdx.x != 0) return;
  for (int i = 0; i < AXES; ++i) partial[AXES * blockIdx.x + i] = sums[i];
}

// by_raw [frames, AXES] from partial [blocks, AXES]; one block.
extern "C" __global__ void __launch_bounds__(THREADS) move_gather(
    const float* partial, int blocks, int frames, const long long* frame, const float* root, float radians,
    float metres, float* by_raw) {
  __shared__ float world[AXES], own[AXES];
  int lane = threadIdx.x % WARP, axis = threadIdx.x / WARP;
  if (axis < AXES) {
    float sum = 0;
    for (int block = lane; block < blocks; block += WARP) sum += partial[AXES * block + axis];
    for (int step = WARP / 2; step > 0; step /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, step);
    if (lane == 0) world[axis] = sum;
  }
  __syncthreads();
  if (threadIdx.x < AXES) {
    int column = threadIdx.x % 3;
    const float* of = world + threadIdx.x / 3 * 3;
    float along = root[column] * of[0] + root[4 + column] * of[1] + root[8 + column] * of[2];
    own[threadIdx.x] = (threadIdx.x < 3 ? radians : metres) * along;
  }
  __syncthreads();
  for (int i = threadIdx.x; i < AXES * frames; i += THREADS)
    by_raw[i] = own[i % AXES] * ((i / AXES == *frame) - 1.f / frames);
}

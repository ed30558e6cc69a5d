// Means over a separable window: a block stages its tile with a border in shared memory, sums rows, then columns.

constexpr int TILE = 16;
constexpr int WEIGHTS = 16;

// images, out [count, height, width, channels]; grid (tile columns, tile rows, count * channels), block (TILE, TILE).
// w0 to w15: weights at each distance, 0 beyond RADIUS.
template <int RADIUS>
__global__ void __launch_bounds__(TILE* TILE) window_mean(
    const float* images, int height, int width, int channels, float w0, float w1, float w2, float w3, float w4,
    float w5, float w6, float w7, float w8, float w9, float w10, float w11, float w12, float w13, float w14, float w15,
    float* out) {
  constexpr int SIDE = TILE + 2 * RADIUS;
  __shared__ float staged[SIDE][SIDE + 1];
  __shared__ float rows[SIDE][TILE + 1];
  const float weights[WEIGHTS] = {w0, w1, w2, w3, w4, w5, w6, w7, w8, w9, w10, w11, w12, w13, w14, w15};
  int image = blockIdx.z / channels, channel = blockIdx.z % channels;
  const float* source = images + (long long)image * height * width * channels + channel;
  int left = blockIdx.x * TILE - RADIUS, top = blockIdx.y * TILE - RADIUS;
  int thread = threadIdx.y * TILE + threadIdx.x;
  for (int i = thread; i < SIDE * SIDE; i += TILE * TILE) {
    int x = left + i % SIDE, y = top + i / SIDE;
    bool inside = x >= 0 && x < width && y >= 0 && y < height;
    staged[i / SIDE][i % SIDE] = inside ? source[((long long)y * width + x) * channels] : 0.f;
  }
  __syncthreads();
  for (int i = thread; i < SIDE * TILE; i += TILE * TILE) {
    const float* row = staged[i / TILE] + i % TILE + RADIUS;
    float sum = weights[0] * row[0];
#pragma unroll
    for (int k = 1; k <= RADIUS; ++k) sum += weights[k] * (row[-k] + row[k]);
    rows[i / TILE][i % TILE] = sum;
  }
  __syncthreads();
  int x = blockIdx.x * TILE + threadIdx.x, y = blockIdx.y * TILE + threadIdx.y;
  if (x >= width || y >= height) return;
  int own = threadIdx.y + RADIUS;
  float sum = weights[0] * rows[own][threadIdx.x];
#pragma unroll
  for (int k = 1; k <= RADIUS; ++k) sum += weights[k] * (rows[own - k][threadIdx.x] + rows[own + k][threadIdx.x]);
  out[(((long long)image * height + y) * width + x) * channels + channel] = sum;
}

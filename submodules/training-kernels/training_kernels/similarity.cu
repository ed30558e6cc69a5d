// Structural similarity (Wang et al. 2004) of two pictures by pixel and channel, and its gradient by the first.
//
// A block stages its tile of both pictures with a border, and takes the windowed means of a, b, aa, bb and ab along
// rows, then along columns. What the gradient needs is kept by pixel, and goes through the window once more.

constexpr int TILE = 16, RADIUS = 5, SIDE = TILE + 2 * RADIUS;
constexpr int THREADS = TILE * TILE;

struct Window {
  float weights[RADIUS + 1];

  // The weighted sum of values that are `stride` apart, around `middle`.
  __device__ float across(const float* middle, int stride) const {
    float sum = weights[0] * middle[0];
#pragma unroll
    for (int k = 1; k <= RADIUS; ++k) sum += weights[k] * (middle[-k * stride] + middle[k * stride]);
    return sum;
  }
};

// Where a block's tile and its thread's pixel are; grid (tile columns, tile rows, channels), block (THREADS).
struct Place {
  int left, top, x, y, width, height, channels;

  __device__ Place(int width, int height, int channels) : width(width), height(height), channels(channels) {
    left = blockIdx.x * TILE - RADIUS;
    top = blockIdx.y * TILE - RADIUS;
    x = blockIdx.x * TILE + threadIdx.x % TILE;
    y = blockIdx.y * TILE + threadIdx.x / TILE;
  }

  __device__ long long at(int x, int y) const { return ((long long)y * width + x) * channels + blockIdx.z; }

  // The value of a picture at place i of the tile with its border, 0 beyond the picture.
  __device__ float staged(const float* picture, int i) const {
    int x = left + i % SIDE, y = top + i / SIDE;
    return x >= 0 && x < width && y >= 0 && y < height ? picture[at(x, y)] : 0.f;
  }
};

// a, b, similarity and the rest [height, width, channels]; by_mean, by_cross, by_square: derivatives of the similarity
// by the windowed means of a, ab and aa. w0 to w5: the window at each distance.
extern "C" __global__ void __launch_bounds__(THREADS) similarity(
    const float* a, const float* b, int height, int width, int channels, float w0, float w1, float w2, float w3,
    float w4, float w5, float c1, float c2, float* similarity, float* by_mean, float* by_cross, float* by_square) {
  __shared__ float of_a[SIDE][SIDE + 1], of_b[SIDE][SIDE + 1], rows[5][SIDE][TILE + 1];
  const Window window{{w0, w1, w2, w3, w4, w5}};
  Place place(width, height, channels);
  for (int i = threadIdx.x; i < SIDE * SIDE; i += THREADS) {
    of_a[i / SIDE][i % SIDE] = place.staged(a, i);
    of_b[i / SIDE][i % SIDE] = place.staged(b, i);
  }
  __syncthreads();
  for (int i = threadIdx.x; i < SIDE * TILE; i += THREADS) {
    int row = i / TILE, column = i % TILE;
    float sums[5] = {};
#pragma unroll
    for (int k = -RADIUS; k <= RADIUS; ++k) {
      float x = of_a[row][column + RADIUS + k], y = of_b[row][column + RADIUS + k];
      float weight = window.weights[k < 0 ? -k : k], wx = weight * x, wy = weight * y;
      sums[0] += wx;
      sums[1] += wy;
      sums[2] += wx * x;
      sums[3] += wy * y;
      sums[4] += wx * y;
    }
#pragma unroll
    for (int j = 0; j < 5; ++j) rows[j][row][column] = sums[j];
  }
  __syncthreads();
  if (place.x >= width || place.y >= height) return;
  int row = threadIdx.x / TILE + RADIUS, column = threadIdx.x % TILE;
  float means[5];
#pragma unroll
  for (int j = 0; j < 5; ++j) means[j] = window.across(&rows[j][row][column], TILE + 1);
  float mean_a = means[0], mean_b = means[1], squares = mean_a * mean_a + mean_b * mean_b, product = mean_a * mean_b;
  float luminance = 2 * product + c1, structure = 2 * (means[4] - product) + c2;
  float luminance_norm = squares + c1, structure_norm = means[2] + means[3] - squares + c2;
  float norm = 1 / (luminance_norm * structure_norm), value = luminance * structure * norm;
  float by_product = 2 * (structure - luminance) * norm, by_squares = value * (1 / structure_norm - 1 / luminance_norm);
  long long pixel = place.at(place.x, place.y);
  similarity[pixel] = value;
  by_mean[pixel] = by_product * mean_b + 2 * by_squares * mean_a;
  by_cross[pixel] = 2 * luminance * norm;
  by_square[pixel] = -value / structure_norm;
}

// by_a: the gradient by a, from that by the similarity.
extern "C" __global__ void __launch_bounds__(THREADS) similarity_backward(
    const float* a, const float* b, int height, int width, int channels, float w0, float w1, float w2, float w3,
    float w4, float w5, const float* by_mean, const float* by_cross, const float* by_square, const float* gradient,
    float* by_a) {
  __shared__ float staged[3][SIDE][SIDE + 1], rows[3][SIDE][TILE + 1];
  const Window window{{w0, w1, w2, w3, w4, w5}};
  Place place(width, height, channels);
  const float* of[3] = {by_mean, by_cross, by_square};
  for (int i = threadIdx.x; i < SIDE * SIDE; i += THREADS) {
    float upstream = place.staged(gradient, i);
#pragma unroll
    for (int j = 0; j < 3; ++j) staged[j][i / SIDE][i % SIDE] = upstream * place.staged(of[j], i);
  }
  __syncthreads();
  for (int i = threadIdx.x; i < SIDE * TILE; i += THREADS)
#pragma unroll
    for (int j = 0; j < 3; ++j)
      rows[j][i / TILE][i % TILE] = window.across(&staged[j][i / TILE][i % TILE + RADIUS], 1);
  __syncthreads();
  if (place.x >= width || place.y >= height) return;
  int row = threadIdx.x / TILE + RADIUS, column = threadIdx.x % TILE;
  float sums[3];
#pragma unroll
  for (int j = 0; j < 3; ++j) sums[j] = window.across(&rows[j][row][column], TILE + 1);
  long long pixel = place.at(place.x, place.y);
  by_a[pixel] = sums[0] + b[pixel] * sums[1] + 2 * a[pixel] * sums[2];
}

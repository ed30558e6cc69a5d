// Weighted sums over segments of rows, and their gradient. A warp takes a segment, and as many of its rows at a time as
// have room side by side; rows wider than a warp go in strips.

constexpr int WARP = 32;

// Which rows and which channel a lane handles.
struct Lane {
  int segment, row, rows, channel;
  bool active;

  __device__ Lane(int segments, int channels) {
    int lane = threadIdx.x % WARP, width = min(channels, WARP);
    segment = (blockIdx.x * blockDim.x + threadIdx.x) / WARP;
    rows = WARP / width;
    row = lane / width;
    channel = lane % width;
    active = segment < segments && row < rows;
  }
};

// out [segments, channels]; values [rows, channels], weights [rows], offsets [segments + 1].
extern "C" __global__ void segment_sum(
    const float* values, const float* weights, const long long* offsets, int segments, int channels, float* out) {
  Lane lane(segments, channels);
  long long begin = lane.active ? offsets[lane.segment] : 0, end = lane.active ? offsets[lane.segment + 1] : 0;
  for (int first = 0; first < channels; first += WARP) {
    int channel = first + lane.channel;
    bool inside = lane.active && channel < channels;
    float sum = 0;
    if (inside) {
#pragma unroll 4
      for (long long row = begin + lane.row; row < end; row += lane.rows) {
        float weight = weights[row];
        if (weight != 0) sum += weight * values[row * channels + channel];
      }
    }
    float total = sum;
    for (int other = 1; other < lane.rows; ++other)
      total += __shfl_down_sync(0xffffffffu, sum, min(other * channels, WARP - 1));
    if (inside && lane.row == 0) out[(long long)lane.segment * channels + channel] = total;
  }
}

// grad_values [rows, channels] = weights times the gradient [segments, channels] of the row's segment.
extern "C" __global__ void segment_sum_backward(
    const float* gradient, const float* weights, const long long* offsets, int segments, int channels,
    float* grad_values) {
  Lane lane(segments, channels);
  if (!lane.active) return;
  long long begin = offsets[lane.segment], end = offsets[lane.segment + 1];
  for (int channel = lane.channel; channel < channels; channel += WARP) {
    float own = gradient[(long long)lane.segment * channels + channel];
#pragma unroll 4
    for (long long row = begin + lane.row; row < end; row += lane.rows)
      grad_values[row * channels + channel] = weights[row] * own;
  }
}

// The camera, projection of Gaussians to splats, and the histograms by which they are sorted.
//
// Everything [P,..] here is [cameras, points,..] with one camera per block row.

#include "gaussians.cuh"
#include "radix.cuh"

// The splat of a Gaussian, or an invisible one, and its radius.
__device__ inline Splat project(const Projection& p, float opacity, bool antialias, int width, int height, int& radius) {
    Splat splat = {};
    splat.half_height = INVISIBLE;
    radius = 0;
    double center_x = p.x.value - 0.5, center_y = p.y.value - 0.5;
    if (!(p.determinant > 0 && isfinite(p.determinant + center_x + center_y))) return splat;
    double middle = 0.5 * (p.a + p.c);
    double largest = middle + sqrt(fmax(MIN_EIGENVALUE_GAP, middle * middle - p.determinant));
    double reach = ceil(fmin(RADIUS_SIGMAS * sqrt(largest), LARGEST_RADIUS));
    if (fabs(center_x - 0.5 * (width - 1)) > reach + 0.5 * width) return splat;
    if (fabs(center_y - 0.5 * (height - 1)) > reach + 0.5 * height) return splat;
    radius = static_cast<int>(reach);
    if (antialias) opacity *= p.compensation();
    if (!(opacity > MIN_ALPHA)) return splat;
    // What the blending multiplies by squared distances is rounded once.
    float log2_opacity = static_cast<float>(LOG2_E * log(static_cast<double>(opacity)));
    float sigmas = sqrtf(static_cast<float>(2 * LN_2) * fmaxf(log2_opacity - LOG2_MIN_ALPHA, 0.0f));
    // These only cull; what does not fit a float32 is wider than every image.
    float a = static_cast<float>(fmin(p.a, LARGEST_VARIANCE)), c = static_cast<float>(fmin(p.c, LARGEST_VARIANCE));
    float b = static_cast<float>(fmin(fmax(p.b, -LARGEST_VARIANCE), LARGEST_VARIANCE));
    splat.x = static_cast<float>(center_x);
    splat.y = static_cast<float>(center_y);
    splat.slope_x = static_cast<float>(p.slope_x());
    splat.slope_y = static_cast<float>(p.slope_y());
    splat.curve = static_cast<float>(p.curve());
    splat.log2_opacity = log2_opacity;
    splat.half_height = sigmas * sqrtf(c);
    splat.widest = sigmas * (b / sqrtf(a));
    return splat;
}

// The first of `count` rows that the thread's splat gets; `next_row` hands them out to blocks as they come, which
// changes where sums are stored but not the order in which they are added.
__device__ inline long long reserve_rows(int count, unsigned long long* next_row) {
    __shared__ unsigned long long warp_counts[WARPS], base;
    int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    unsigned long long inclusive = count;
    for (int offset = 1; offset < WARP; offset *= 2) {
        unsigned long long below = __shfl_up_sync(FULL_WARP, inclusive, offset);
        if (lane >= offset) inclusive += below;
    }
    if (lane == WARP - 1) warp_counts[warp] = inclusive;
    __syncthreads();
    if (threadIdx.x == 0) {
        unsigned long long total = 0;
        for (int w = 0; w < WARPS; ++w) {
            unsigned long long own = warp_counts[w];
            warp_counts[w] = total;
            total += own;
        }
        base = total == 0 ? 0 : atomicAdd(next_row, total);
    }
    __syncthreads();
    return static_cast<long long>(base + warp_counts[warp] + inclusive - count);
}

// A 4 x 4 matrix of upstream's convention, transposed and with any strides.
struct Transposed {
    const float* values;
    int column_stride, row_stride;

    __device__ Vector row(int i) const { return {at(i, 0), at(i, 1), at(i, 2)}; }
    __device__ double at(int i, int j) const { return values[j * column_stride + i * row_stride]; }
};

// Sets `counters` [count] to zero and, given upstream's matrices (else null), turns them into world_to_camera [3,4] and
// intrinsics [4]: with P the clip matrix `full` times the inverse of `view`, P00 and P11 over P32 are the focal lengths
// in half images, P02 and P12 over P32 the principal point.
extern "C" __global__ __launch_bounds__(BLOCK) void prepare(
    int* counters, int count, const float* view_values, int view_stride_0, int view_stride_1, const float* full_values,
    int full_stride_0, int full_stride_1, int width, int height, double* world_to_camera, double* intrinsics) {
    for (int i = blockIdx.x * BLOCK + threadIdx.x; i < count; i += gridDim.x * BLOCK) counters[i] = 0;
    if (view_values == nullptr || blockIdx.x > 0 || threadIdx.x > 0) return;
    Transposed view = {view_values, view_stride_0, view_stride_1}, full = {full_values, full_stride_0, full_stride_1};
    for (int i = 0; i < 12; ++i) world_to_camera[i] = view.at(i / 4, i % 4);
    Vector right = view.row(0), down = view.row(1), forward = view.row(2);
    // Columns of the inverse, but for a common factor.
    Vector first = cross(down, forward), second = cross(forward, right), third = cross(right, down);
    double per_depth = 1 / dot(full.row(3), third);
    intrinsics[0] = 0.5 * width * per_depth * dot(full.row(0), first);
    intrinsics[1] = 0.5 * height * per_depth * dot(full.row(1), second);
    intrinsics[2] = 0.5 * width * (1 + per_depth * dot(full.row(0), third));
    intrinsics[3] = 0.5 * height * (1 + per_depth * dot(full.row(1), third));
}

// Fills splats [P], depths [P] (keys of the sort, in metres), radii [P] (pixels, 0 = culled), and for every splat the
// number of tiles that see it and the first of its rows; next_row ends as the number of all instances, histograms
// [cameras, DIGITS, BINS] as those of the depths. Both start at zero. Given a background [channels] (else null),
// over_background [P, channels] is what the features are more than it: blended on black that gives the same picture with
// the same gradients. Grid (parts, cameras).
extern "C" __global__ __launch_bounds__(BLOCK) void project_forward(
    const float* means, const double* covariances, const float* rotations, const float* scales, float scale_modifier,
    const float* opacities, const double* world_to_camera, const double* intrinsics, double fx, double fy, double cx,
    double cy, double near, int points, int width, int height, bool antialias, Splat* splats, int* depths, int* radii,
    int* tile_counts, long long* bases, unsigned long long* next_row, int* histograms, const float* features,
    const float* background, int channels, float* over_background) {
    __shared__ int histogram[DIGITS * BINS];
    for (int i = threadIdx.x; i < DIGITS * BINS; i += BLOCK) histogram[i] = 0;
    int in_camera = blockIdx.x * BLOCK + threadIdx.x, p = blockIdx.y * points + in_camera;
    int count = 0, depth = UNSEEN;
    if (in_camera < points) {
        Cameras cameras = {world_to_camera, intrinsics, {fx, fy, cx, cy}};
        Camera view = cameras.camera(blockIdx.y);
        Vector camera = view.position(load_vector(means, p));
        Splat splat = {};
        splat.half_height = INVISIBLE;
        int radius = 0;
        if (camera.z > near) {
            Symmetric covariance = Shapes{covariances, rotations, scales, scale_modifier}.covariance(p);
            Projection projection(view, cameras.lens(blockIdx.y), width, height, camera, covariance);
            splat = project(projection, opacities[p], antialias, width, height, radius);
        }
        int rows = (height + TILE - 1) / TILE, columns = (width + TILE - 1) / TILE;
        for_each_tile(splat, rows, columns, [&](int) { ++count; });
        if (count > 0) depth = __float_as_int(static_cast<float>(camera.z));
        splats[p] = splat;
        radii[p] = radius;
        tile_counts[p] = count;
        depths[p] = depth;
        for (long long c = 0; background != nullptr && c < channels; ++c)
            over_background[p * channels + c] = features[p * channels + c] - background[c];
    }
    __syncthreads();
    if (count > 0)
        for (int digit = 0; digit < DIGITS; ++digit) atomicAdd(&histogram[digit * BINS + digit_of(depth, digit)], 1);
    long long base = reserve_rows(count, next_row);
    if (in_camera < points) bases[p] = base;
    // Behind the synchronisation of reserve_rows.
    for (int i = threadIdx.x; i < DIGITS * BINS; i += BLOCK)
        if (histogram[i] > 0) atomicAdd(&histograms[blockIdx.y * DIGITS * BINS + i], histogram[i]);
}

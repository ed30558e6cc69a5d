// Projection of Gaussians to splats, and the way back from the sums that the blending leaves for every instance.

#include "camera.cuh"

constexpr int LAST_DEPTH = 0x7fffffff;  // sorts what no tile sees behind everything else

// Columns of the sums over pixels: q = d loss / d log alpha, c = the part of q that comes from the features, each
// times offsets from the centre. The gradients of the features follow.
constexpr int Q = 0, Q_X = 1, Q_Y = 2, Q_XX = 3, Q_XY = 4, Q_YY = 5, C_X = 6, C_Y = 7, SUMS = 8;

// Covariances are given whole, as upper triangles [P,6], or (`whole` null) as quaternions [P,4] and scales [P,3].
struct Shapes {
    const double* whole;
    const float* rotations;
    const float* scales;

    __device__ float4 rotation(int p) const {
        const float* q = rotations + 4ll * p;
        return make_float4(q[0], q[1], q[2], q[3]);
    }

    __device__ Symmetric covariance(int p) const {
        if (whole == nullptr) return factored_covariance(rotation(p), scales + 3ll * p);
        const double* c = whole + 6ll * p;
        return {c[0], c[1], c[2], c[3], c[4], c[5]};
    }
};

__device__ inline Vector load_vector(const float* values, int p) {
    const float* v = values + 3ll * p;
    return {v[0], v[1], v[2]};
}

// The splat of a Gaussian, or an invisible one, and its radius.
__device__ inline Splat project(
    const Camera& view, const Lens& lens, Vector camera, const Symmetric& covariance, float opacity, int width,
    int height, int& radius) {
    Splat splat = {};
    splat.half_height = INVISIBLE;
    radius = 0;
    Projection p(view, lens, camera, covariance);
    double center_x = lens.fx * camera.x / camera.z + lens.cx - 0.5;
    double center_y = lens.fy * camera.y / camera.z + lens.cy - 0.5;
    if (!(p.determinant > 0 && isfinite(p.determinant + center_x + center_y))) return splat;
    double middle = 0.5 * (p.a + p.c);
    double largest = middle + sqrt(fmax(MIN_EIGENVALUE_GAP, middle * middle - p.determinant));
    double reach = ceil(fmin(RADIUS_SIGMAS * sqrt(largest), LARGEST_RADIUS));
    if (fabs(center_x - 0.5 * (width - 1)) > reach + 0.5 * width) return splat;
    if (fabs(center_y - 0.5 * (height - 1)) > reach + 0.5 * height) return splat;
    radius = static_cast<int>(reach);
    if (!(opacity > MIN_ALPHA)) return splat;
    double log_opacity = log(static_cast<double>(opacity)), visible = log_opacity - log(MIN_ALPHA);
    double slope_x = sqrt(0.5 * LOG2_E * p.c / p.determinant);
    splat.x = static_cast<float>(center_x);
    splat.y = static_cast<float>(center_y);
    splat.slope_x = static_cast<float>(slope_x);
    splat.slope_y = static_cast<float>(-0.5 * LOG2_E * p.b / (p.determinant * slope_x));
    splat.curve = static_cast<float>(0.5 * LOG2_E / p.c);
    splat.log2_opacity = static_cast<float>(LOG2_E * log_opacity);
    splat.half_height = static_cast<float>(sqrt(2 * p.c * visible));
    splat.widest = static_cast<float>(p.b * sqrt(2 * visible / p.a));
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

// Fills splats [P], depths [P] (bits of positive floats, in metres), radii [P] (pixels, 0 = culled), and for every
// splat the number of tiles that see it and the first of its rows; next_row ends as the number of all instances.
extern "C" __global__ __launch_bounds__(BLOCK) void project_forward(
    const float* means, const double* covariances, const float* rotations, const float* scales, const float* opacities,
    const double* world_to_camera, double fx, double fy, double cx, double cy, double lowest_u, double highest_u,
    double lowest_v, double highest_v, double near, int points, int width, int height, Splat* splats, int* depths,
    int* radii, int* tile_counts, long long* bases, unsigned long long* next_row) {
    int p = blockIdx.x * BLOCK + threadIdx.x;
    int count = 0;
    if (p < points) {
        Lens lens = {fx, fy, cx, cy, lowest_u, highest_u, lowest_v, highest_v};
        Camera view(world_to_camera);
        Vector camera = view.position(load_vector(means, p));
        Splat splat = {};
        splat.half_height = INVISIBLE;
        int radius = 0;
        if (camera.z > near) {
            Symmetric covariance = Shapes{covariances, rotations, scales}.covariance(p);
            splat = project(view, lens, camera, covariance, opacities[p], width, height, radius);
        }
        int rows = (height + TILE - 1) / TILE, columns = (width + TILE - 1) / TILE;
        for_each_tile(splat, rows, columns, [&](int) { ++count; });
        splats[p] = splat;
        radii[p] = radius;
        tile_counts[p] = count;
        depths[p] = count > 0 ? __float_as_int(static_cast<float>(camera.z)) : LAST_DEPTH;
    }
    long long base = reserve_rows(count, next_row);
    if (p < points) bases[p] = base;
}

// Gradients by the mean, the covariance (as a symmetric matrix) and the screen point of one Gaussian.
__device__ inline void unproject(
    const Camera& view, const Lens& lens, const Projection& p, const double* sums, int width, int height, Vector& mean,
    Symmetric& covariance, double& screen_x, double& screen_y) {
    double conic_a = p.c / p.determinant, conic_b = -p.b / p.determinant, conic_c = p.a / p.determinant;
    double x = p.camera.x, y = p.camera.y, z = p.camera.z;

    // The mean moves the splat; the screen gradient is that of the features alone, by normalised coordinates.
    double pixel_x = -(conic_a * sums[Q_X] + conic_b * sums[Q_Y]);
    double pixel_y = -(conic_b * sums[Q_X] + conic_c * sums[Q_Y]);
    screen_x = -0.5 * width * (conic_a * sums[C_X] + conic_b * sums[C_Y]);
    screen_y = -0.5 * height * (conic_b * sums[C_X] + conic_c * sums[C_Y]);
    Vector camera = {lens.fx / z * pixel_x, lens.fy / z * pixel_y, 0};
    camera.z = -(x * camera.x + y * camera.y) / z;

    // log alpha = ... - d^T K d / 2, K the inverse covariance: the covariance's gradient is K (sum q d d^T) K / 2.
    double left_x = conic_a * sums[Q_XX] + conic_b * sums[Q_XY], left_xy = conic_a * sums[Q_XY] + conic_b * sums[Q_YY];
    double left_y = conic_b * sums[Q_XY] + conic_c * sums[Q_YY], left_yx = conic_b * sums[Q_XX] + conic_c * sums[Q_XY];
    double a = 0.5 * (left_x * conic_a + left_xy * conic_b);
    double b = 0.5 * (left_x * conic_b + left_xy * conic_c);
    double c = 0.5 * (left_yx * conic_b + left_y * conic_c);

    // Projected covariance = M Sigma M^T with the Jacobian rows M.
    Vector turned_x = a * p.row_x + b * p.row_y, turned_y = b * p.row_x + c * p.row_y;
    covariance.xx = p.row_x.x * turned_x.x + p.row_y.x * turned_y.x;
    covariance.xy = p.row_x.x * turned_x.y + p.row_y.x * turned_y.y;
    covariance.xz = p.row_x.x * turned_x.z + p.row_y.x * turned_y.z;
    covariance.yy = p.row_x.y * turned_x.y + p.row_y.y * turned_y.y;
    covariance.yz = p.row_x.y * turned_x.z + p.row_y.y * turned_y.z;
    covariance.zz = p.row_x.z * turned_x.z + p.row_y.z * turned_y.z;

    // M = (f / z) (camera axis - tangent * optical axis): through z and through the tangent inside its limits.
    Vector by_row_x = 2.0 * (a * p.half_x + b * p.half_y), by_row_y = 2.0 * (b * p.half_x + c * p.half_y);
    camera.z -= (dot(p.row_x, by_row_x) + dot(p.row_y, by_row_y)) / z;
    double u = x / z, v = y / z;
    if (lens.lowest_u < u && u < lens.highest_u) {
        double by_u = -lens.fx / z * dot(view.forward, by_row_x);
        camera.x += by_u / z;
        camera.z -= by_u * u / z;
    }
    if (lens.lowest_v < v && v < lens.highest_v) {
        double by_v = -lens.fy / z * dot(view.forward, by_row_y);
        camera.y += by_v / z;
        camera.z -= by_v * v / z;
    }
    mean = camera.x * view.right + camera.y * view.down + camera.z * view.forward;
}

// Adds the rows of every splat in their order and carries them to the inputs: grad_means [P,3], grad_opacities [P],
// grad_features [P, channels], grad_screen [P,2], and grad_covariances [P,6] or the gradients of the two factors.
//
// `sums` [blocks of channels, capacity, ROW] with BLOCK_CHANNELS feature columns each. Whoever counted more instances
// than there is capacity has no complete sums: then all gradients are zero.
template <int BLOCK_CHANNELS>
__global__ __launch_bounds__(BLOCK) void project_backward(
    const float* means, const double* covariances, const float* rotations, const float* scales, const float* opacities,
    const double* world_to_camera, double fx, double fy, double cx, double cy, double lowest_u, double highest_u,
    double lowest_v, double highest_v, int points, int width, int height, int channels, const int* tile_counts,
    const long long* bases, const unsigned long long* needed, long long capacity, const float4* sums,
    float* grad_means, double* grad_covariances, float* grad_rotations, float* grad_scales, float* grad_opacities,
    float* grad_features, float* grad_screen) {
    constexpr int QUADS = (SUMS + BLOCK_CHANNELS + 3) / 4;
    int p = blockIdx.x * BLOCK + threadIdx.x;
    if (p >= points) return;
    int count = *needed <= static_cast<unsigned long long>(capacity) ? tile_counts[p] : 0;
    double total[SUMS] = {};
    int blocks = (channels + BLOCK_CHANNELS - 1) / BLOCK_CHANNELS;
    for (int block = 0; block < max(blocks, 1); ++block) {
        float features[4 * QUADS - SUMS] = {};
        const float4* row = sums + (block * capacity + bases[p]) * QUADS;
        for (int i = 0; i < count; ++i, row += QUADS) {
            float4 quads[QUADS];
#pragma unroll
            for (int k = 0; k < QUADS; ++k) quads[k] = row[k];
            const float* values = reinterpret_cast<const float*>(quads);
#pragma unroll
            for (int k = 0; k < SUMS; ++k) total[k] += values[k];
#pragma unroll
            for (int k = 0; k < BLOCK_CHANNELS; ++k) features[k] += values[SUMS + k];
        }
        int first = block * BLOCK_CHANNELS;
#pragma unroll
        for (int k = 0; k < BLOCK_CHANNELS; ++k)
            if (first + k < channels) grad_features[static_cast<long long>(p) * channels + first + k] = features[k];
    }

    Vector mean = {};
    Symmetric covariance = {};
    double screen_x = 0, screen_y = 0, opacity = 0;
    Shapes shapes = {covariances, rotations, scales};
    if (count > 0) {
        Lens lens = {fx, fy, cx, cy, lowest_u, highest_u, lowest_v, highest_v};
        Camera view(world_to_camera);
        Projection projection(view, lens, view.position(load_vector(means, p)), shapes.covariance(p));
        unproject(view, lens, projection, total, width, height, mean, covariance, screen_x, screen_y);
        opacity = total[Q] / opacities[p];
    }
    grad_means[3ll * p] = static_cast<float>(mean.x);
    grad_means[3ll * p + 1] = static_cast<float>(mean.y);
    grad_means[3ll * p + 2] = static_cast<float>(mean.z);
    grad_opacities[p] = static_cast<float>(opacity);
    grad_screen[2ll * p] = static_cast<float>(screen_x);
    grad_screen[2ll * p + 1] = static_cast<float>(screen_y);
    if (covariances != nullptr) {
        double* g = grad_covariances + 6ll * p;
        g[0] = covariance.xx;
        g[1] = 2 * covariance.xy;
        g[2] = 2 * covariance.xz;
        g[3] = covariance.yy;
        g[4] = 2 * covariance.yz;
        g[5] = covariance.zz;
        return;
    }
    float by_rotation[4] = {}, by_scales[3] = {};
    if (count > 0) factor_gradients(covariance, shapes.rotation(p), scales + 3ll * p, by_rotation, by_scales);
    for (int i = 0; i < 4; ++i) grad_rotations[4ll * p + i] = by_rotation[i];
    for (int i = 0; i < 3; ++i) grad_scales[3ll * p + i] = by_scales[i];
}

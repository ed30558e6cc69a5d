// Gradients of the Gaussians from the sums that the blending leaves for every instance.
//
// Everything [P,..] here is [cameras, points,..] with one camera per block row.

#include "gaussians.cuh"
#include "sums.cuh"

// Gradients by the mean, the covariance (as a symmetric matrix) and the screen point of one Gaussian.
__device__ inline void unproject(
    const Camera& view, const Lens& lens, const Projection& p, const double* sums, bool antialias, int width, int height,
    Vector& mean, Symmetric& covariance, double& screen_x, double& screen_y) {
    double u = p.camera.x * p.per_z, v = p.camera.y * p.per_z, per_x = lens.fx * p.per_z, per_y = lens.fy * p.per_z;

    // The mean moves the splat; the screen gradient is that of the features alone, by normalised coordinates. With the
    // inverse covariance K, log alpha = ... - d^T K d / 2 and K d = 2 ln 2 (slope_x u, slope_y u + curve dy).
    constexpr double TWICE = 2 * LN_2;
    double slope_x = p.slope_x(), slope_y = p.slope_y(), curve = p.curve();
    double pixel_x = -TWICE * slope_x * sums[Q_U];
    double pixel_y = -TWICE * (slope_y * sums[Q_U] + curve * sums[Q_Y]);
    screen_x = -0.5 * width * TWICE * slope_x * sums[C_U];
    screen_y = -0.5 * height * TWICE * (slope_y * sums[C_U] + curve * sums[C_Y]);
    Vector camera = {per_x * pixel_x, per_y * pixel_y, 0};
    camera.z = -(u * camera.x + v * camera.y);

    // The covariance's gradient is K (sum q d d^T) K / 2.
    constexpr double HALF_SQUARED = 0.5 * TWICE * TWICE;
    double by_uy = curve * sums[Q_UY];
    double a = HALF_SQUARED * slope_x * slope_x * sums[Q_UU];
    double b = HALF_SQUARED * slope_x * (slope_y * sums[Q_UU] + by_uy);
    double c = HALF_SQUARED * (slope_y * (slope_y * sums[Q_UU] + 2 * by_uy) + curve * curve * sums[Q_YY]);
    if (antialias) {
        // log alpha also holds half the logarithm of the determinants' ratio.
        double by_ratio = 0.5 * sums[Q], per_sharp = 1 / p.sharp_determinant();
        a += by_ratio * (p.sharp_c * per_sharp - p.c * p.per_determinant);
        b += by_ratio * p.b * (p.per_determinant - per_sharp);
        c += by_ratio * (p.sharp_a * per_sharp - p.a * p.per_determinant);
    }

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
    camera.z -= (dot(p.row_x, by_row_x) + dot(p.row_y, by_row_y)) * p.per_z;
    if (p.x.inside) {
        double by_x = -per_x * dot(view.forward, by_row_x) * p.per_z;
        camera.x += by_x;
        camera.z -= by_x * u;
    }
    if (p.y.inside) {
        double by_y = -per_y * dot(view.forward, by_row_y) * p.per_z;
        camera.y += by_y;
        camera.z -= by_y * v;
    }
    mean = camera.x * view.right + camera.y * view.down + camera.z * view.forward;
}

// Adds the rows of every splat in their order and carries them to the inputs: grad_means [P,3], grad_opacities [P],
// grad_features [P, channels], grad_screen [P,screen_stride] (or null; zeros behind x and y), and grad_covariances [P,6] or the gradients of the two factors.
//
// `sums` [blocks of channels, capacity, ROW] with BLOCK_CHANNELS feature columns each. Whoever needed more instances
// than there is capacity has no complete sums: then all gradients are zero. Grid (parts, cameras).
template <int BLOCK_CHANNELS>
__global__ __launch_bounds__(BLOCK) void project_backward(
    const float* means, const double* covariances, const float* rotations, const float* scales, float scale_modifier,
    const float* opacities, const double* world_to_camera, const double* intrinsics, double fx, double fy, double cx,
    double cy, int points, int width, int height, bool antialias, int channels, const int* tile_counts,
    const long long* bases, const long long* needed, long long capacity, const float4* sums, float* grad_means,
    double* grad_covariances, float* grad_rotations, float* grad_scales, float* grad_opacities, float* grad_features,
    float* grad_screen, int screen_stride) {
    constexpr int QUADS = (SUMS + BLOCK_CHANNELS + 3) / 4;
    int in_camera = blockIdx.x * BLOCK + threadIdx.x, p = blockIdx.y * points + in_camera;
    if (in_camera >= points) return;
    int count = *needed <= capacity ? tile_counts[p] : 0;
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
    Shapes shapes = {covariances, rotations, scales, scale_modifier};
    if (count > 0) {
        Cameras cameras = {world_to_camera, intrinsics, {fx, fy, cx, cy}};
        Camera view = cameras.camera(blockIdx.y);
        Lens lens = cameras.lens(blockIdx.y);
        Vector camera = view.position(load_vector(means, p));
        Projection projection(view, lens, width, height, camera, shapes.covariance(p));
        unproject(
            view, lens, projection, total, antialias, width, height, mean, covariance, screen_x, screen_y);
        opacity = total[Q] / opacities[p];
    }
    grad_means[3ll * p] = static_cast<float>(mean.x);
    grad_means[3ll * p + 1] = static_cast<float>(mean.y);
    grad_means[3ll * p + 2] = static_cast<float>(mean.z);
    grad_opacities[p] = static_cast<float>(opacity);
    if (grad_screen != nullptr) {
        float* screen = grad_screen + static_cast<long long>(screen_stride) * p;
        screen[0] = static_cast<float>(screen_x);
        screen[1] = static_cast<float>(screen_y);
        for (int i = 2; i < screen_stride; ++i) screen[i] = 0;
    }
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
    if (count > 0) factor_gradients(covariance, shapes.rotation(p), shapes.scaled(p), by_rotation, by_scales);
    for (int i = 0; i < 4; ++i) grad_rotations[4ll * p + i] = by_rotation[i];
    for (int i = 0; i < 3; ++i) grad_scales[3ll * p + i] = scale_modifier * by_scales[i];
}

// The local affine projection of a Gaussian and its covariance, in float64: huge, thin and grazing Gaussians stay well
// conditioned. Consumer cards have 1/64 of the speed in float64, so divisions and roots are few here, and what follows
// from the projection is float32 where nothing cancels.

#pragma once

#include "splat.cuh"

struct Vector {
    double x, y, z;
};

__device__ inline double dot(Vector a, Vector b) { return a.x * b.x + a.y * b.y + a.z * b.z; }
__device__ inline Vector cross(Vector a, Vector b) {
    return {a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x};
}
__device__ inline Vector operator+(Vector a, Vector b) { return {a.x + b.x, a.y + b.y, a.z + b.z}; }
__device__ inline Vector operator*(double s, Vector a) { return {s * a.x, s * a.y, s * a.z}; }

// A symmetric 3 x 3 matrix by its upper triangle.
struct Symmetric {
    double xx, xy, xz, yy, yz, zz;
};

__device__ inline Vector operator*(const Symmetric& m, Vector v) {
    return {m.xx * v.x + m.xy * v.y + m.xz * v.z, m.xy * v.x + m.yy * v.y + m.yz * v.z,
            m.xz * v.x + m.yz * v.y + m.zz * v.z};
}

// World to camera rotation rows and translation, read once per thread from the float64 matrix [3,4].
struct Camera {
    Vector right, down, forward, offset;

    __device__ explicit Camera(const double* m)
        : right{m[0], m[1], m[2]}, down{m[4], m[5], m[6]}, forward{m[8], m[9], m[10]}, offset{m[3], m[7], m[11]} {}

    __device__ Vector position(Vector world) const {
        return Vector{dot(right, world), dot(down, world), dot(forward, world)} + offset;
    }
};

// A pinhole lens in pixels.
struct Lens {
    double fx, fy, cx, cy;
};

// The cameras of a launch: matrices [cameras,3,4], and intrinsics [cameras,4] or (null) those of `shared` for all.
struct Cameras {
    const double* world_to_camera;
    const double* intrinsics;
    Lens shared;

    __device__ Camera camera(int index) const { return Camera(world_to_camera + 12ll * index); }

    __device__ Lens lens(int index) const {
        if (intrinsics == nullptr) return shared;
        const double* own = intrinsics + 4ll * index;
        return {own[0], own[1], own[2], own[3]};
    }
};

// Columns of the rotation matrix of a unit quaternion wxyz.
__device__ inline void rotation_columns(float4 q, Vector* columns) {
    double w = q.x, x = q.y, y = q.z, z = q.w;
    columns[0] = {1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)};
    columns[1] = {2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x)};
    columns[2] = {2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)};
}

// R diag(scales^2) R^T.
__device__ inline Symmetric factored_covariance(float4 rotation, float3 scales) {
    Vector columns[3];
    rotation_columns(rotation, columns);
    double factors[3] = {scales.x, scales.y, scales.z};
    Symmetric sum = {};
    for (int k = 0; k < 3; ++k) {
        Vector c = factors[k] * columns[k];
        sum.xx += c.x * c.x;
        sum.xy += c.x * c.y;
        sum.xz += c.x * c.z;
        sum.yy += c.y * c.y;
        sum.yz += c.y * c.z;
        sum.zz += c.z * c.z;
    }
    return sum;
}

// Gradients by quaternion and scales from `g`, the gradient of the covariance as a symmetric matrix.
//
// With L = R diag(s), dL = 2 g L; the quaternion gradient is that of the formula that does not normalise.
__device__ inline void factor_gradients(
    const Symmetric& g, float4 rotation, float3 scales, float* grad_rotation, float* grad_scales) {
    Vector columns[3], d[3];  // d[k] = gradient by column k of R
    rotation_columns(rotation, columns);
    double factors[3] = {scales.x, scales.y, scales.z};
    for (int k = 0; k < 3; ++k) {
        double scale = factors[k];
        Vector by_column = 2.0 * (g * columns[k]);
        grad_scales[k] = static_cast<float>(scale * dot(by_column, columns[k]));
        d[k] = scale * scale * by_column;
    }
    double w = rotation.x, x = rotation.y, y = rotation.z, z = rotation.w;
    double skew_x = d[1].z - d[2].y, skew_y = d[2].x - d[0].z, skew_z = d[0].y - d[1].x;
    double even_xy = d[1].x + d[0].y, even_xz = d[2].x + d[0].z, even_yz = d[2].y + d[1].z;
    grad_rotation[0] = static_cast<float>(2 * (x * skew_x + y * skew_y + z * skew_z));
    grad_rotation[1] = static_cast<float>(2 * (w * skew_x + y * even_xy + z * even_xz - 2 * x * (d[1].y + d[2].z)));
    grad_rotation[2] = static_cast<float>(2 * (w * skew_y + x * even_xy + z * even_yz - 2 * y * (d[0].x + d[2].z)));
    grad_rotation[3] = static_cast<float>(2 * (w * skew_z + x * even_xz + y * even_yz - 2 * z * (d[0].x + d[1].y)));
}

// A pixel coordinate, and the one at which the projection is linearised: not farther than TAN_MARGIN half images outside.
struct Coordinate {
    double value, limited;
    bool inside;  // whether the linearisation follows the value

    __device__ Coordinate(double pixel, int size) : value(pixel) {
        double low = -0.5 * TAN_MARGIN * size, high = size - low;
        limited = fmin(fmax(value, low), high);
        inside = low < value && value < high;
    }
};

// A Gaussian in the image: its covariance (a, b; b, c) with the low-pass, and what led there.
struct Projection {
    Vector camera;  // mean in camera space
    double per_z;
    Coordinate x, y;  // pixel of the mean; the first pixel covers 0 to 1
    Vector row_x, row_y;  // Jacobian of pixel by world position
    Vector half_x, half_y;  // covariance times those rows
    double sharp_a, sharp_c;  // without the low-pass
    double a, b, c, determinant, per_determinant;

    __device__ Projection(
        const Camera& view, const Lens& lens, int width, int height, Vector mean_in_camera, const Symmetric& covariance)
        : camera(mean_in_camera), per_z(1 / camera.z), x(lens.fx * camera.x * per_z + lens.cx, width),
          y(lens.fy * camera.y * per_z + lens.cy, height) {
        row_x = per_z * (lens.fx * view.right + (lens.cx - x.limited) * view.forward);
        row_y = per_z * (lens.fy * view.down + (lens.cy - y.limited) * view.forward);
        half_x = covariance * row_x;
        half_y = covariance * row_y;
        sharp_a = dot(row_x, half_x);
        sharp_c = dot(row_y, half_y);
        a = sharp_a + LOW_PASS_VARIANCE;
        b = dot(row_x, half_y);
        c = sharp_c + LOW_PASS_VARIANCE;
        determinant = a * c - b * b;
        per_determinant = 1 / determinant;
    }

    // What splat.cuh multiplies offsets by.
    __device__ double slope_x() const { return sqrt(0.5 * LOG2_E * c * per_determinant); }
    __device__ double slope_y() const { return -0.5 * LOG2_E * b * per_determinant / slope_x(); }
    __device__ double curve() const { return 0.5 * LOG2_E / c; }

    // Determinant of the covariance without the low-pass, up to rounding not negative.
    __device__ double sharp_determinant() const { return sharp_a * sharp_c - b * b; }

    // The share of its opacity that keeps a Gaussian's sum over the pixels what it is without the low-pass.
    __device__ float compensation() const {
        return sqrtf(fmaxf(static_cast<float>(sharp_determinant() * per_determinant), 0.0f));
    }
};

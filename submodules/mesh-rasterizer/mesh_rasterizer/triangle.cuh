// A triangle in front of a camera: which pixel centres it may cover, and a pixel's barycentric weights.
//
// Geometry is computed in double from float32 vertices, as on the CPU: the edge functions of millimetre triangles a
// metre away lose most of their digits in single precision. Products of two floats are exact in double, so the two
// faces on an edge see exactly opposite weights and no pixel between them is lost.

// As in cpu_raster.py: a triangle of less projected area than this fraction of its squared depth is rounding noise.
constexpr double DEGENERATE = 1e-14;

struct Vec3 {
    double x, y, z;
};

__device__ __forceinline__ Vec3 cross(Vec3 a, Vec3 b) {
    return {a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x};
}

__device__ __forceinline__ Vec3 load_point(const float* points, long long index) {
    return {points[3 * index], points[3 * index + 1], points[3 * index + 2]};
}

// Indices are the caller's to check; a wrong one must not make a kernel read out of bounds.
__device__ __forceinline__ bool in_range(int index, int count) {
    return static_cast<unsigned>(index) < static_cast<unsigned>(count);
}

// First and last column, first and last row; empty where a last one lies before the first.
struct Box {
    int left, right, top, bottom;
    __device__ long long pixels() const {
        return left <= right && top <= bottom ? static_cast<long long>(right - left + 1) * (bottom - top + 1) : 0;
    }
};

struct Camera {
    float focal_x, focal_y, centre_x, centre_y;

    __device__ Camera(const float* intrinsics, long long image)
        : focal_x(intrinsics[4 * image]),
          focal_y(intrinsics[4 * image + 1]),
          centre_x(intrinsics[4 * image + 2]),
          centre_y(intrinsics[4 * image + 3]) {}

    // The direction through a pixel's centre; its z is 1.
    __device__ double ray_x(int column) const { return (column + 0.5 - centre_x) / focal_x; }
    __device__ double ray_y(int row) const { return (row + 0.5 - centre_y) / focal_y; }

    // Where a point lies on screen, in pixels. The product is a float32 one on the CPU too.
    __device__ double screen_x(Vec3 p) const { return focal_x * static_cast<float>(p.x) / p.z + centre_x; }
    __device__ double screen_y(Vec3 p) const { return focal_y * static_cast<float>(p.y) / p.z + centre_y; }
};

struct Triangle {
    Vec3 corner[3];
    Vec3 normal[3];  // v_j x v_k: dotted with a pixel's ray it is the weight of corner i, up to a common factor

    // False for a face with an index out of range.
    __device__ bool load(const float* vertices, int vertex_count, const int* faces, long long face) {
        for (int i = 0; i < 3; ++i) {
            const int index = faces[3 * face + i];
            if (!in_range(index, vertex_count)) return false;
            corner[i] = load_point(vertices, index);
        }
        for (int i = 0; i < 3; ++i) normal[i] = cross(corner[(i + 1) % 3], corner[(i + 2) % 3]);
        return true;
    }

    // The pixels whose centres it may cover; none if a corner is nearer than `near` or not a number.
    __device__ Box bounds(const Camera& camera, double near, int width, int height) const {
        const Box none = {0, -1, 0, -1};
        double left = 1e300, right = -1e300, top = 1e300, bottom = -1e300;
        for (int i = 0; i < 3; ++i) {
            if (!(corner[i].z >= near)) return none;
            const double x = camera.screen_x(corner[i]), y = camera.screen_y(corner[i]);
            left = fmin(left, x), right = fmax(right, x), top = fmin(top, y), bottom = fmax(bottom, y);
        }
        if (!(right >= 0 && left <= width && bottom >= 0 && top <= height)) return none;
        return {
            static_cast<int>(fmax(0.0, ceil(left - 0.5))), static_cast<int>(fmin(width - 1.0, floor(right - 0.5))),
            static_cast<int>(fmax(0.0, ceil(top - 0.5))), static_cast<int>(fmin(height - 1.0, floor(bottom - 0.5)))
        };
    }

    // Fills weights [3] of the ray (x, y, 1) and returns their sum.
    __device__ double weigh(double x, double y, double* weights) const {
        for (int i = 0; i < 3; ++i) weights[i] = normal[i].x * x + normal[i].y * y + normal[i].z;
        return weights[0] + weights[1] + weights[2];
    }
};

// Silhouette antialiasing: which edge passes between two neighbouring pixels, blending across it, gradients.
//
// A pair of neighbours, a pixel and its right (axis 0) or lower (axis 1) one, keeps the edge that reaches farthest from
// the pixel its surface covers, of equal ones the first: an atomic maximum over keys. Which of the two pixels is covered
// follows from their depths, so all edges offered to a pair agree on it.

#include "triangle.cuh"

constexpr unsigned LAST_EDGE = 0x7fffffff;

// A key orders like (reach, -edge); 0 stands for no edge.
__device__ __forceinline__ unsigned long long make_key(float reach, unsigned edge, bool covers_second) {
    const unsigned bits = __float_as_uint(reach + 0.0f);  // no negative zero
    const unsigned ordered = bits >> 31 ? ~bits : bits | 0x80000000u;
    return static_cast<unsigned long long>(ordered) << 32 | (LAST_EDGE - edge) << 1 | (covers_second ? 1u : 0u);
}

__device__ __forceinline__ unsigned edge_of(unsigned long long key) {
    return LAST_EDGE - (static_cast<unsigned>(key) >> 1);
}

// Where the edge passes, in pixels from the border that the pair shares, within [-0.5, 0.5].
__device__ __forceinline__ float crossing_of(unsigned long long key) {
    const unsigned ordered = static_cast<unsigned>(key >> 32);
    const float reach = __uint_as_float(ordered >> 31 ? ordered & 0x7fffffffu : ~ordered);
    return key & 1 ? -reach : reach;
}

// An edge on screen; silhouettes alone have an axis, the one to which their screen normal is closer.
struct Edge {
    double along[2], across[2], depth[2];
    int axis;
    bool covers_second;  // its faces lie beyond it in the direction of the axis

    // False if it is no silhouette: dropped, hidden from the side, or between faces on both sides of it.
    __device__ bool load(
        const float* vertices, int vertex_count, const int* edge_vertices, const int* edge_opposite,
        const Camera& camera, double near, int edge) {
        const int a = edge_vertices[2 * edge], b = edge_vertices[2 * edge + 1];
        const int c = edge_opposite[2 * edge], d = edge_opposite[2 * edge + 1];
        if (!in_range(a, vertex_count) || !in_range(b, vertex_count) || !in_range(c, vertex_count)) return false;
        const Vec3 first = load_point(vertices, a), second = load_point(vertices, b), third = load_point(vertices, c);
        if (!(first.z >= near && second.z >= near && third.z >= near)) return false;
        const double ax = camera.screen_x(first), ay = camera.screen_y(first);
        const double bx = camera.screen_x(second), by = camera.screen_y(second);
        const double step_x = bx - ax, step_y = by - ay;
        double side = step_x * (camera.screen_y(third) - ay) - step_y * (camera.screen_x(third) - ax);
        if (in_range(d, vertex_count)) {
            const Vec3 fourth = load_point(vertices, d);
            if (fourth.z >= near) {
                const double other = step_x * (camera.screen_y(fourth) - ay) - step_y * (camera.screen_x(fourth) - ax);
                if (side * other < 0) return false;
                if (side == 0) side = other;
            }
        }
        if (side == 0) return false;
        axis = fabs(step_y) >= fabs(step_x) ? 0 : 1;
        covers_second = (axis == 0 ? -side * step_y : side * step_x) > 0;
        along[0] = axis == 0 ? ax : ay, along[1] = axis == 0 ? bx : by;
        across[0] = axis == 0 ? ay : ax, across[1] = axis == 0 ? by : bx;
        depth[0] = first.z, depth[1] = second.z;
        return true;
    }

    // Calls visit(pair, s, offset) for every line of pixels along the axis on which the edge passes between two of them:
    // pair numbers the first of the two, s is the share of the way from end 0 to end 1, offset is how far beyond the
    // border that the pair shares.
    template <class Visit>
    __device__ void for_each_crossing(int width, int height, Visit visit) const {
        const int lines = axis == 0 ? height : width, length = axis == 0 ? width : height;
        const double low = fmin(across[0], across[1]), high = fmax(across[0], across[1]);
        const int begin = static_cast<int>(fmin(fmax(0.0, ceil(low - 0.5)), static_cast<double>(lines)));
        const int end = static_cast<int>(fmax(fmin(ceil(high - 0.5), static_cast<double>(lines)), 0.0));
        for (int line = begin; line < end; ++line) {
            const double s = (line + 0.5 - across[0]) / (across[1] - across[0]);
            const double position = along[0] + s * (along[1] - along[0]), place = floor(position - 0.5);
            if (!(place >= 0 && place + 1 < length)) continue;
            const int first = static_cast<int>(place);
            const long long pair =
                axis == 0 ? static_cast<long long>(line) * width + first : static_cast<long long>(first) * width + line;
            visit(pair, s, static_cast<float>(position - (first + 1)));
        }
    }
};

// One thread per edge; grid (edges / block, images). Fills is_silhouette [B,E] and offers edges to the pairs' keys
// [B,2,H,W], which come as zeros.
extern "C" __global__ void find_crossings(
    const float* vertices, const int* edge_vertices, const int* edge_opposite, const float* intrinsics, double near,
    int vertex_count, int edge_count, int width, int height, const float* depth, unsigned char* is_silhouette,
    unsigned long long* keys) {
    const int number = blockIdx.x * blockDim.x + threadIdx.x;
    const long long image = blockIdx.y, pixels = static_cast<long long>(height) * width;
    if (number >= edge_count) return;
    const Camera camera(intrinsics, image);
    Edge edge;
    const bool found = edge.load(
        vertices + image * vertex_count * 3, vertex_count, edge_vertices, edge_opposite, camera, near, number);
    is_silhouette[image * edge_count + number] = found;
    if (!found) return;
    depth += image * pixels;
    keys += (2 * image + edge.axis) * pixels;
    const long long step = edge.axis == 0 ? 1 : width;
    edge.for_each_crossing(width, height, [&](long long pair, double s, float offset) {
        const float covered = depth[edge.covers_second ? pair + step : pair];
        const float beyond = depth[edge.covers_second ? pair : pair + step];
        const double edge_depth = 1.0 / ((1.0 - s) / edge.depth[0] + s / edge.depth[1]);
        if (!(covered < __int_as_float(0x7f800000)) || beyond <= fmax(edge_depth, static_cast<double>(covered))) return;
        atomicMax(keys + pair, make_key(edge.covers_second ? -offset : offset, number, edge.covers_second));
    });
}

// The keys of the pairs that a pixel belongs to: as the second pixel of the pairs before it, as the first of its own.
struct Pairs {
    unsigned long long before[2], own[2];

    __device__ Pairs(const unsigned long long* keys, int row, int column, int width, long long pixels) {
        const long long place = static_cast<long long>(row) * width + column;
        before[0] = column > 0 ? keys[place - 1] : 0;
        before[1] = row > 0 ? keys[pixels + place - width] : 0;
        own[0] = keys[place];  // those of the last column and row have no edge
        own[1] = keys[pixels + place];
    }

    __device__ bool any() const { return (before[0] | before[1] | own[0] | own[1]) != 0; }
};

// One thread per pixel; grid (pixels / block, images). Beyond the shared border the first pixel takes a share of the
// second, before it the reverse.
extern "C" __global__ void blend(
    const float* image, const unsigned long long* keys, int width, int height, int channels, float* output) {
    const int place = blockIdx.x * blockDim.x + threadIdx.x, pixels = width * height;
    if (place >= pixels) return;
    const Pairs pairs(keys + 2ll * blockIdx.y * pixels, place / width, place % width, width, pixels);
    const long long base = (static_cast<long long>(blockIdx.y) * pixels + place) * channels;
    const bool any = pairs.any();
    for (int channel = 0; channel < channels; ++channel) {
        const float own = image[base + channel];
        float value = own;
        for (int axis = 0; any && axis < 2; ++axis) {
            const long long step = static_cast<long long>(axis == 0 ? 1 : width) * channels;
            const float moved_before = crossing_of(pairs.before[axis]), moved = crossing_of(pairs.own[axis]);
            if (pairs.before[axis] && moved_before > 0)
                value += moved_before * (image[base - step + channel] - own);
            if (pairs.own[axis] && !(moved > 0)) value += moved * (own - image[base + step + channel]);
        }
        output[base + channel] = value;
    }
}

// Adjoint of `blend` with respect to the image; the same grid.
extern "C" __global__ void blend_backward(
    const float* output_grad, const unsigned long long* keys, int width, int height, int channels, float* image_grad) {
    const int place = blockIdx.x * blockDim.x + threadIdx.x, pixels = width * height;
    if (place >= pixels) return;
    const Pairs pairs(keys + 2ll * blockIdx.y * pixels, place / width, place % width, width, pixels);
    const long long base = (static_cast<long long>(blockIdx.y) * pixels + place) * channels;
    const bool any = pairs.any();
    for (int channel = 0; channel < channels; ++channel) {
        const float own = output_grad[base + channel];
        float value = own;
        for (int axis = 0; any && axis < 2; ++axis) {
            const long long step = static_cast<long long>(axis == 0 ? 1 : width) * channels;
            const float moved_before = crossing_of(pairs.before[axis]), moved = crossing_of(pairs.own[axis]);
            if (pairs.before[axis])
                value -= moved_before * (moved_before > 0 ? own : output_grad[base - step + channel]);
            if (pairs.own[axis]) value += moved * (moved > 0 ? output_grad[base + step + channel] : own);
        }
        image_grad[base + channel] = value;
    }
}

// One thread per vertex; grid (vertices / block, images). vertex_grads [B,V,3] from the edges at each vertex, `ends`
// (2 edge + end) from starts[v] to starts[v + 1]: moving a crossing by one pixel moves as much of the pair.
extern "C" __global__ void move_edges(
    const float* vertices, const int* edge_vertices, const int* edge_opposite, const float* intrinsics, double near,
    int vertex_count, int edge_count, int width, int height, int channels, const unsigned char* is_silhouette,
    const unsigned long long* keys, const int* starts, const int* ends, const float* image, const float* output_grad,
    float* vertex_grads) {
    const int vertex = blockIdx.x * blockDim.x + threadIdx.x;
    const long long batch = blockIdx.y, pixels = static_cast<long long>(height) * width;
    if (vertex >= vertex_count) return;
    const Camera camera(intrinsics, batch);
    vertices += batch * vertex_count * 3;
    image += batch * pixels * channels;
    output_grad += batch * pixels * channels;
    double grads[3] = {};
    for (int k = starts[vertex]; k < starts[vertex + 1]; ++k) {
        const int number = ends[k] / 2, end = ends[k] % 2;
        Edge edge;
        if (!is_silhouette[batch * edge_count + number] ||
            !edge.load(vertices, vertex_count, edge_vertices, edge_opposite, camera, near, number))
            continue;
        const unsigned long long* axis_keys = keys + (2 * batch + edge.axis) * pixels;
        const long long step = edge.axis == 0 ? 1 : width;
        double pull = 0;  // gradient of this end's place along the axis
        edge.for_each_crossing(width, height, [&](long long pair, double s, float) {
            const unsigned long long key = axis_keys[pair];
            if (key == 0 || edge_of(key) != static_cast<unsigned>(number)) return;
            const float* grad = output_grad + (crossing_of(key) > 0 ? pair + step : pair) * channels;
            double moved_grad = 0;
            for (int channel = 0; channel < channels; ++channel) {
                const double first = image[pair * channels + channel];
                moved_grad += grad[channel] * (first - image[(pair + step) * channels + channel]);
            }
            pull += moved_grad * (end == 0 ? 1 - s : s);
        });
        if (pull == 0) continue;
        const double slope = (edge.along[1] - edge.along[0]) / (edge.across[1] - edge.across[0]);
        const Vec3 p = load_point(vertices, vertex);
        const double z = p.z, focal_x = camera.focal_x, focal_y = camera.focal_y;
        const double pull_x = pull * (edge.axis == 0 ? 1 : -slope), pull_y = pull * (edge.axis == 0 ? -slope : 1);
        grads[0] += pull_x * focal_x / z;
        grads[1] += pull_y * focal_y / z;
        grads[2] -= (pull_x * focal_x * p.x + pull_y * focal_y * p.y) / (z * z);
    }
    for (int i = 0; i < 3; ++i) vertex_grads[3 * (batch * vertex_count + vertex) + i] = static_cast<float>(grads[i]);
}

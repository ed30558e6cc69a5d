// Ray casting through the triangle tree: nearest hit, or any hit. One thread per ray.
#include "tree.cuh"

// A slab interval grows by this share, so that rounding never drops a box whose triangle the ray meets.
constexpr float SLAB_MARGIN = 1 + 4e-7f;
// Stands for a direction component of zero, so that slab distances stay numbers.
constexpr float TINY = 1e-30f;

struct Hit {
    float t, v, w;  // barycentrics of the second and third corner
    int face;  // -1: none
};

__device__ __forceinline__ float inverse(float x) { return 1 / (fabsf(x) > TINY ? x : copysignf(TINY, x)); }

// Ray parameter at which the box is entered, or infinity if the ray misses it within (t_min, t_max).
__device__ __forceinline__ float enter_box(const Node& node, Vec3 origin, Vec3 inverse_way, float t_min, float t_max) {
    const Vec3 c = node.centre - origin;
    const float x = c.x * inverse_way.x, y = c.y * inverse_way.y, z = c.z * inverse_way.z;
    const float half_x = node.half.x * fabsf(inverse_way.x), half_y = node.half.y * fabsf(inverse_way.y);
    const float half_z = node.half.z * fabsf(inverse_way.z);
    const float near = fmaxf(fmaxf(fmaxf(x - half_x, y - half_y), z - half_z), t_min);
    const float far = fminf(fminf(x + half_x, y + half_y), z + half_z) * SLAB_MARGIN;
    return near <= fminf(far, t_max) ? near : infinity();
}

// Difference of two products, without fused rounding.
__device__ __forceinline__ float minor(float a, float b, float c, float d) {
    return __fsub_rn(__fmul_rn(a, b), __fmul_rn(c, d));
}

// way . (b - a) x (a + b): antisymmetric in a and b, so that two triangles agree on their common edge. Unlike
// `dot(way, edge_plane(a, b))` it is often exactly 0 for a ray through a vertex, and 0 counts for all triangles there.
__device__ __forceinline__ float edge_volume(Vec3 a, Vec3 b, Vec3 way) {
    const Vec3 e = b - a, s = a + b;
    const float x = __fmul_rn(way.x, minor(e.y, s.z, e.z, s.y)), y = __fmul_rn(way.y, minor(e.z, s.x, e.x, s.z));
    return __fadd_rn(__fadd_rn(x, y), __fmul_rn(way.z, minor(e.x, s.y, e.y, s.x)));
}

// Where the ray's line through the origin meets the triangle; face -1 for a miss.
__device__ __forceinline__ Hit meet_triangle(const Triangle& triangle, Vec3 way) {
    const Hit miss = {0, 0, 0, -1};
    const float u = edge_volume(triangle.b, triangle.c, way);
    const float v = edge_volume(triangle.c, triangle.a, way);
    const float w = edge_volume(triangle.a, triangle.b, way);
    const float total = u + v + w;
    if ((fminf(fminf(u, v), w) < 0 && fmaxf(fmaxf(u, v), w) > 0) || total == 0) return miss;
    const Vec3 normal = cross(triangle.b - triangle.a, triangle.c - triangle.a);
    const float along = dot(normal, way);
    if (along == 0) return miss;
    return {dot(normal, triangle.a) / along, v / total, w / total, triangle.face};
}

// The nearest hit in (t_min, t_max), or with ANY_HIT the first one found.
template <bool ANY_HIT>
__device__ __forceinline__ Hit cast(
    const float4* __restrict__ nodes, const float4* __restrict__ triangles, Vec3 origin, Vec3 way, float t_min,
    float t_max
) {
    const Vec3 inverse_way = {inverse(way.x), inverse(way.y), inverse(way.z)};
    Hit best = {t_max, 0, 0, -1};
    int stack[MAX_DEPTH];
    int size = 0, number = 0;
    Node node = load_node(nodes, 0);
    if (enter_box(node, origin, inverse_way, t_min, t_max) == infinity()) return best;
    while (true) {
        for (int i = node.first; i < node.first + node.count; ++i) {
            const Hit hit = meet_triangle(load_triangle(triangles, i, origin), way);
            if (hit.face >= 0 && hit.t > t_min && hit.t < best.t) {
                best = hit;
                if (ANY_HIT) return best;
            }
        }
        if (node.count == 0) {
            const int left = number + 1, right = node.first;
            const Node left_node = load_node(nodes, left), right_node = load_node(nodes, right);
            const float left_t = enter_box(left_node, origin, inverse_way, t_min, best.t);
            const float right_t = enter_box(right_node, origin, inverse_way, t_min, best.t);
            if (fminf(left_t, right_t) < infinity()) {
                const bool left_first = left_t <= right_t;
                if (fmaxf(left_t, right_t) < infinity()) stack[size++] = left_first ? right : left;
                number = left_first ? left : right;
                node = left_first ? left_node : right_node;
                continue;
            }
        }
        do {
            if (size == 0) return best;
            number = stack[--size];
            node = load_node(nodes, number);
        } while (enter_box(node, origin, inverse_way, t_min, best.t) == infinity());
    }
}

// Rays [N,3] with directions of any length; fills t [N] (inf = miss), face [N] (-1) and barycentric [N,3] (0).
__global__ void trace(
    const float4* nodes, const float4* triangles, const float* origins, const float* directions, int ray_count,
    float t_max, float* t, long long* face, float* barycentric
) {
    const int ray = blockIdx.x * blockDim.x + threadIdx.x;
    if (ray >= ray_count) return;
    const Hit hit = cast<false>(nodes, triangles, load3(origins, ray), load3(directions, ray), 0, t_max);
    const bool missed = hit.face < 0;
    t[ray] = missed ? infinity() : hit.t;
    face[ray] = hit.face;
    barycentric[3 * ray] = missed ? 0 : 1 - hit.v - hit.w;
    barycentric[3 * ray + 1] = hit.v;
    barycentric[3 * ray + 2] = hit.w;
}

// Fills hidden [N]: whether anything lies within (t_min, t_max) on the rays [N,3].
__global__ void occluded(
    const float4* nodes, const float4* triangles, const float* origins, const float* directions, int ray_count,
    float t_min, float t_max, bool* hidden
) {
    const int ray = blockIdx.x * blockDim.x + threadIdx.x;
    if (ray >= ray_count) return;
    hidden[ray] = cast<true>(nodes, triangles, load3(origins, ray), load3(directions, ray), t_min, t_max).face >= 0;
}

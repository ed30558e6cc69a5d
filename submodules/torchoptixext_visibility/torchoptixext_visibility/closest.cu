// Nearest surface point through the triangle tree. One thread per point.
#include "tree.cuh"

// A point of a triangle by the barycentrics of its second and third corner, and its squared distance from the origin.
struct Foot {
    float distance2, v, w;
};

struct Nearest {
    Foot foot;
    int face;
};

// Share of b at the point of segment a b nearest to the origin, and its squared distance; a = b is allowed.
__device__ __forceinline__ float2 nearest_on_segment(Vec3 a, Vec3 b) {
    const Vec3 edge = b - a;
    const float length2 = dot(edge, edge);
    const float share = length2 > 0 ? fminf(fmaxf(-dot(a, edge) / length2, 0), 1) : 0;
    const Vec3 point = a + share * edge;
    return {share, dot(point, point)};
}

// The foot of the perpendicular if it lies inside, else the best of the three edges: right also for triangles that are
// segments or points.
__device__ __forceinline__ Foot nearest_in_triangle(const Triangle& t) {
    const Vec3 p = t.b - t.a, q = t.c - t.a;
    const float pp = dot(p, p), pq = dot(p, q), qq = dot(q, q), ap = dot(t.a, p), aq = dot(t.a, q);
    const float determinant = pp * qq - pq * pq, v = pq * aq - qq * ap, w = pq * ap - pp * aq;
    if (determinant > 0 && v >= 0 && w >= 0 && v + w <= determinant) {
        const Vec3 foot = t.a + (v / determinant) * p + (w / determinant) * q;
        return {dot(foot, foot), v / determinant, w / determinant};
    }
    const float2 ab = nearest_on_segment(t.a, t.b), bc = nearest_on_segment(t.b, t.c);
    const float2 ca = nearest_on_segment(t.c, t.a);
    Foot best = {ab.y, ab.x, 0};
    if (bc.y < best.distance2) best = {bc.y, 1 - bc.x, bc.x};
    if (ca.y < best.distance2) best = {ca.y, 0, 1 - ca.x};
    return best;
}

__device__ __forceinline__ float box_distance2(const Node& node, Vec3 point) {
    const float x = fmaxf(fabsf(point.x - node.centre.x) - node.half.x, 0);
    const float y = fmaxf(fabsf(point.y - node.centre.y) - node.half.y, 0);
    const float z = fmaxf(fabsf(point.z - node.centre.z) - node.half.z, 0);
    return x * x + y * y + z * z;
}

// Of equally near faces the one with the lowest number.
__device__ __forceinline__ Nearest search(
    const float4* __restrict__ nodes, const float4* __restrict__ triangles, Vec3 point
) {
    int stack[MAX_DEPTH];
    float stack_distance2[MAX_DEPTH];
    Nearest best = {{infinity(), 0, 0}, -1};
    int size = 0, number = 0;
    Node node = load_node(nodes, 0);
    while (true) {
        for (int i = node.first; i < node.first + node.count; ++i) {
            const Triangle triangle = load_triangle(triangles, i, point);
            const Foot foot = nearest_in_triangle(triangle);
            const bool earlier = foot.distance2 == best.foot.distance2 && triangle.face < best.face;
            if (foot.distance2 < best.foot.distance2 || earlier) best = {foot, triangle.face};
        }
        if (node.count == 0) {
            const int left = number + 1, right = node.first;
            const Node left_node = load_node(nodes, left), right_node = load_node(nodes, right);
            const float left_distance2 = box_distance2(left_node, point);
            const float right_distance2 = box_distance2(right_node, point);
            const bool left_first = left_distance2 <= right_distance2;
            if (fminf(left_distance2, right_distance2) <= best.foot.distance2) {
                stack[size] = left_first ? right : left;
                stack_distance2[size++] = left_first ? right_distance2 : left_distance2;
                number = left_first ? left : right;
                node = left_first ? left_node : right_node;
                continue;
            }
        }
        do {
            if (size == 0) return best;
            number = stack[--size];
        } while (stack_distance2[size] > best.foot.distance2);
        node = load_node(nodes, number);
    }
}

// Fills face [N], barycentric [N,3] and distance2 [N] of the surface point nearest to each of points [N,3].
__global__ void closest_points(
    const float4* nodes, const float4* triangles, const float* points, int point_count, long long* face,
    float* barycentric, float* distance2
) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= point_count) return;
    const Nearest nearest = search(nodes, triangles, load3(points, i));
    face[i] = nearest.face;
    barycentric[3 * i] = fmaxf(1 - nearest.foot.v - nearest.foot.w, 0);  // rounding may put it below
    barycentric[3 * i + 1] = nearest.foot.v;
    barycentric[3 * i + 2] = nearest.foot.w;
    distance2[i] = nearest.foot.distance2;
}

// Vectors and the triangle tree as every kernel reads it.
//
// Node i is two float4: (box centre, first as int bits) and (half extent, count as int bits). count > 0: a leaf with
// the triangles first .. first + count - 1; count = 0: an inner node with children i + 1 and first. A triangle is three
// float4, one per corner; w holds the number of its face as int bits.
#pragma once

constexpr int MAX_DEPTH = 64;  // levels; cpu_bvh.build keeps to it
constexpr int LEAF_SIZE = 4;   // triangles at most; as in cpu_bvh

struct Vec3 {
    float x, y, z;
};

struct Node {
    Vec3 centre, half;
    int first, count;
};

struct Triangle {
    Vec3 a, b, c;
    int face;
};

__device__ __forceinline__ float infinity() { return __int_as_float(0x7f800000); }
__device__ __forceinline__ Vec3 xyz(float4 v) { return {v.x, v.y, v.z}; }
__device__ __forceinline__ Vec3 load3(const float* rows, int i) {
    return {rows[3 * i], rows[3 * i + 1], rows[3 * i + 2]};
}
__device__ __forceinline__ Vec3 operator+(Vec3 a, Vec3 b) { return {a.x + b.x, a.y + b.y, a.z + b.z}; }
__device__ __forceinline__ Vec3 operator-(Vec3 a, Vec3 b) { return {a.x - b.x, a.y - b.y, a.z - b.z}; }
__device__ __forceinline__ Vec3 operator*(float s, Vec3 a) { return {s * a.x, s * a.y, s * a.z}; }

// The roundings of the next three are spelled out: whatever is negated in the arguments negates the result exactly.
__device__ __forceinline__ float dot(Vec3 a, Vec3 b) {
    return __fmaf_rn(a.z, b.z, __fmaf_rn(a.y, b.y, __fmul_rn(a.x, b.x)));
}

__device__ __forceinline__ Vec3 cross(Vec3 a, Vec3 b) {
    return {
        __fmaf_rn(a.y, b.z, -__fmul_rn(a.z, b.y)),
        __fmaf_rn(a.z, b.x, -__fmul_rn(a.x, b.z)),
        __fmaf_rn(a.x, b.y, -__fmul_rn(a.y, b.x)),
    };
}

// Normal of the plane through the origin, a and b. Antisymmetric in a and b, so that nothing slips between two
// triangles with a common edge; built from the edge, so that it keeps precision far away.
__device__ __forceinline__ Vec3 edge_plane(Vec3 a, Vec3 b) { return cross(b - a, a + b); }

__device__ __forceinline__ Node load_node(const float4* nodes, int i) {
    const float4 lower = __ldg(nodes + 2 * i), upper = __ldg(nodes + 2 * i + 1);
    return {xyz(lower), xyz(upper), __float_as_int(lower.w), __float_as_int(upper.w)};
}

// Triangle i seen from `origin`.
__device__ __forceinline__ Triangle load_triangle(const float4* triangles, int i, Vec3 origin) {
    const float4 a = __ldg(triangles + 3 * i), b = __ldg(triangles + 3 * i + 1), c = __ldg(triangles + 3 * i + 2);
    return {xyz(a) - origin, xyz(b) - origin, xyz(c) - origin, __float_as_int(a.w)};
}

// Which directions of the light a box or a triangle may cover, seen from the origin: from a table for the cone around
// it, and exactly from the planes through its edges.
#pragma once

#include "tree.cuh"

constexpr unsigned ALL_LANES = 0xffffffff;
constexpr int GROUP = 16;  // directions per group
constexpr int GROUPS = 32;  // per warp
// As in cone_table.py: cells per side of the octahedral map, and widths of cones, so many to a halving of sin^2.
constexpr int CELLS = 256, WIDTHS = 28, WIDTHS_PER_HALVING = 2;

// The light map's axes in the world, and which of its (up to 512) directions at hand may lie in a cone: an entry of
// `cones` [WIDTHS, CELLS, CELLS] holds in x the groups of which some direction may, in y those directions of the lowest
// of these groups, and in its upper half those of the second lowest.
struct Light {
    Vec3 right, up, back;
    const uint2* __restrict__ cones;
};

// The entry of `cones` for the ball of squared radius `radius2` at `centre`; everything if it holds the origin.
__device__ __forceinline__ uint2 look_up(const Light& light, Vec3 centre, float radius2) {
    const float square = dot(centre, centre);
    if (!(square > radius2)) return {ALL_LANES, ALL_LANES};
    // The exponent and the first bits of the mantissa of sin^2, counted down from 1.
    const int steps = __float_as_int(__fdividef(radius2, square)) / ((1 << 23) / WIDTHS_PER_HALVING);
    const int width = min(max(127 * WIDTHS_PER_HALVING - 1 - steps, 0), WIDTHS - 1);
    const float x = dot(light.right, centre), y = dot(light.up, centre), z = dot(light.back, centre);
    const float scale = __fdividef(1, fabsf(x) + fabsf(y) + fabsf(z));
    float u = scale * x, v = scale * y;
    if (z < 0) {
        const float folded = copysignf(1 - fabsf(v), x);
        v = copysignf(1 - fabsf(u), y);
        u = folded;
    }
    const int column = min(max(static_cast<int>(CELLS / 2 * (u + 1)), 0), CELLS - 1);
    const int row = min(max(static_cast<int>(CELLS / 2 * (v + 1)), 0), CELLS - 1);
    return __ldg(light.cones + (width * CELLS + row) * CELLS + column);
}

// What an entry of `cones` names and still remains: directions of its two lowest groups, and other groups.
struct Remaining {
    int first, second;  // groups
    unsigned directions;  // of the first group in the low half, of the second in the high half
    unsigned others;
    __device__ __forceinline__ bool any() const { return (directions | others) != 0; }
};

// For all lanes together, each with its own entry.
__device__ __forceinline__ Remaining remaining(uint2 entry, unsigned bits, unsigned active) {
    const unsigned but_first = entry.x & (entry.x - 1);
    const int first = (__ffs(entry.x) - 1) & (GROUPS - 1), second = (__ffs(but_first) - 1) & (GROUPS - 1);
    const unsigned of_first = __shfl_sync(ALL_LANES, bits, first), of_second = __shfl_sync(ALL_LANES, bits, second);
    return {first, second, entry.y & (of_first | of_second << GROUP), but_first & (but_first - 1) & active};
}

// The planes through the origin and the edges of a triangle; the directions that meet it are on the inner side of all.
struct Planes {
    Vec3 ab, bc, ca;
    bool solid;  // seen edge-on it occludes nothing
    __device__ __forceinline__ bool hold(Vec3 direction) const {
        return dot(direction, ab) >= 0 && dot(direction, bc) >= 0 && dot(direction, ca) >= 0;
    }
};

__device__ __forceinline__ Planes edge_planes(const Triangle& t) {
    const float volume = dot(cross(t.b - t.a, t.c - t.a), t.a);
    const float inward = volume < 0 ? 1.0f : -1.0f;
    return {
        inward * edge_plane(t.a, t.b), inward * edge_plane(t.b, t.c), inward * edge_plane(t.c, t.a), volume != 0
    };
}

// Visibility bitfields: one warp per point carries the set of directions still unoccluded through the tree.
//
// All rays of a point share their origin, so a triangle occludes exactly the directions on the inner side of its three
// edge planes through the origin. A warp works on up to 512 directions, 32 groups of 16 neighbours: lane g holds the
// bits of group g. The lanes take 32 nodes at a time, then 32 triangles, and at last 16 directions for two triangles,
// so that none of the three stages leaves lanes idle; shared memory holds what waits between them.
#include "tree.cuh"

constexpr unsigned ALL_LANES = 0xffffffff;
constexpr int WARPS_PER_BLOCK = 4;
constexpr int GROUP = 16;  // directions per group
constexpr int GROUPS = 32;  // per warp
constexpr int STACK = 256;  // nodes
// With at most this many groups left (or in maps of more than one warp's directions) nodes are tested against the
// groups: that rejects hardly any node while most of the hemisphere is open, and most of them once little of it is.
constexpr int FEW_GROUPS = 8;
// Share of the axis length given away so that rounding of a dot product never loses a direction.
constexpr float MARGIN = 2e-6f;

// Directions whose dot product with `axis` is at least `near` lie in the cone around a ball. Groups have bounding cones
// too: groups[2 g] is axis and cosine of the half angle, groups[2 g + 1].x its sine.
struct Cone {
    Vec3 axis;
    float near, radius;
};

// What waits in shared memory, one set per warp.
struct Waiting {
    float4 cones[32];  // of the triangles at hand: axis, near
    float4 planes[3][32];
    int nodes[STACK];
    int triangles[32 + 32 * LEAF_SIZE];  // of leaves reached
    int facing[64];  // triangles not wholly below the plane of the normal
};

// The cone around the ball of squared radius `radius2` at `centre`, with `near` the length of a tangent, both widened
// by the rounding margin. A ball that holds the origin gets values with which all tests pass.
__device__ __forceinline__ Cone ball_cone(Vec3 centre, float radius2) {
    const float square = dot(centre, centre), slack = MARGIN * sqrtf(square);
    const float near = sqrtf(fmaxf(square - radius2, 0)) - slack;
    if (near <= 0) return {{0, 0, 0}, 0, 0};
    return {centre, near, sqrtf(radius2) + slack};
}

// Whether the cones of a ball and of a group meet: the cosine between the axes is at least that of the summed angles.
__device__ __forceinline__ bool meets(const Cone& cone, const float4* __restrict__ groups, int group) {
    const float4 axis = __ldg(groups + 2 * group);
    const float sine = __ldg(&groups[2 * group + 1].x);
    return dot(xyz(axis), cone.axis) - cone.near * axis.w + cone.radius * sine >= 0;
}

// Position of this lane's item among those of all lanes in `members`.
__device__ __forceinline__ int rank_in(unsigned members, int lane) { return __popc(members & ((1u << lane) - 1)); }

// Pops up to 32 nodes of `stack_size`, pushes their children and the triangles of leaves.
__device__ __forceinline__ void visit_nodes(
    Waiting& waiting, int& stack_size, int& triangle_count, const float4* __restrict__ nodes,
    const float4* __restrict__ groups, Vec3 origin, Vec3 normal, unsigned active, bool test_groups, int lane
) {
    // Near the end of the stack nodes go one by one, which needs no more than one place per level.
    const int taken = min(min(stack_size, 32), max(STACK - MAX_DEPTH - stack_size, 1));
    stack_size -= taken;
    const int number = waiting.nodes[min(stack_size + lane, STACK - 1)];
    __syncwarp();
    bool open = lane < taken;
    Node node = {};
    if (open) {
        node = load_node(nodes, number);
        node.centre = node.centre - origin;
        const Vec3 steep = {fabsf(normal.x), fabsf(normal.y), fabsf(normal.z)};
        open = dot(node.centre, normal) + dot(node.half, steep) >= 0;
    }
    if (test_groups) {
        const Cone cone = ball_cone(node.centre, dot(node.half, node.half));
        bool met = false;
        for (unsigned left = active; left; left &= left - 1) met |= meets(cone, groups, __ffs(left) - 1);
        open &= met;
    }
    const bool inner = open && node.count == 0;
    const unsigned inner_lanes = __ballot_sync(ALL_LANES, inner);
    if (inner) {
        const int place = stack_size + 2 * rank_in(inner_lanes, lane);
        waiting.nodes[place] = node.first;
        waiting.nodes[place + 1] = number + 1;
    }
    stack_size += 2 * __popc(inner_lanes);
    for (int i = 0; i < LEAF_SIZE; ++i) {
        const bool more = open && i < node.count;
        const unsigned lanes = __ballot_sync(ALL_LANES, more);
        if (lanes == 0) break;
        if (more) waiting.triangles[triangle_count + rank_in(lanes, lane)] = node.first + i;
        triangle_count += __popc(lanes);
    }
    __syncwarp();
}

// Moves up to 32 of the triangles of leaves to `facing`, if any corner is not below the plane of the normal.
__device__ __forceinline__ void keep_facing(
    Waiting& waiting, int& triangle_count, int& facing_count, const float4* __restrict__ triangles, Vec3 origin,
    Vec3 normal, int lane
) {
    const int taken = min(triangle_count, 32);
    triangle_count -= taken;
    int number = 0;
    bool keep = false;
    if (lane < taken) {
        number = waiting.triangles[triangle_count + lane];
        const Triangle t = load_triangle(triangles, number, origin);
        keep = fmaxf(fmaxf(dot(t.a, normal), dot(t.b, normal)), dot(t.c, normal)) >= 0;
    }
    const unsigned lanes = __ballot_sync(ALL_LANES, keep);
    if (keep) waiting.facing[facing_count + rank_in(lanes, lane)] = number;
    facing_count += __popc(lanes);
    __syncwarp();
}

// Takes up to 32 of `facing` and clears the directions they occlude from `bits`.
__device__ __forceinline__ void occlude(
    Waiting& waiting, int& facing_count, unsigned& bits, const float4* __restrict__ triangles,
    const float4* __restrict__ directions, const float4* __restrict__ groups, Vec3 origin, int lane
) {
    const int taken = min(facing_count, 32);
    facing_count -= taken;
    bool solid = false;
    Cone cone = {};
    if (lane < taken) {
        const Triangle t = load_triangle(triangles, waiting.facing[facing_count + lane], origin);
        const Vec3 middle = (1 / 3.0f) * (t.a + t.b + t.c);
        const Vec3 to_a = t.a - middle, to_b = t.b - middle, to_c = t.c - middle;
        cone = ball_cone(middle, fmaxf(fmaxf(dot(to_a, to_a), dot(to_b, to_b)), dot(to_c, to_c)));
        const float volume = dot(cross(t.b - t.a, t.c - t.a), t.a);
        const float inward = volume < 0 ? 1.0f : -1.0f;
        const Vec3 p = inward * edge_plane(t.a, t.b), q = inward * edge_plane(t.b, t.c);
        const Vec3 r = inward * edge_plane(t.c, t.a);
        solid = volume != 0;
        waiting.cones[lane] = {cone.axis.x, cone.axis.y, cone.axis.z, cone.near};
        waiting.planes[0][lane] = {p.x, p.y, p.z, 0};
        waiting.planes[1][lane] = {q.x, q.y, q.z, 0};
        waiting.planes[2][lane] = {r.x, r.y, r.z, 0};
    }
    __syncwarp();
    for (unsigned active = __ballot_sync(ALL_LANES, bits != 0); active; active &= active - 1) {
        const int group = __ffs(active) - 1;
        unsigned near = __ballot_sync(ALL_LANES, solid && meets(cone, groups, group));
        if (near == 0) continue;
        unsigned open = __shfl_sync(ALL_LANES, bits, group);
        const Vec3 direction = xyz(__ldg(directions + GROUP * group + lane % GROUP));
        while (near && open) {
            const int one = __ffs(near) - 1;
            near &= near - 1;
            const int other = near ? __ffs(near) - 1 : one;
            near &= near - 1;
            const int t = lane < GROUP ? one : other;
            const float4 ball = waiting.cones[t];
            const unsigned inside = __ballot_sync(ALL_LANES, dot(direction, xyz(ball)) >= ball.w);
            if (((inside | inside >> GROUP) & open) == 0) continue;
            const bool hit = dot(direction, xyz(waiting.planes[0][t])) >= 0 &&
                             dot(direction, xyz(waiting.planes[1][t])) >= 0 &&
                             dot(direction, xyz(waiting.planes[2][t])) >= 0;
            const unsigned hits = __ballot_sync(ALL_LANES, hit);
            open &= ~(hits | hits >> GROUP);
        }
        if (lane == group) bits = open;
    }
    __syncwarp();
}

// Bits of the directions at or above the plane of the normal: lane g gets those of group g.
__device__ __forceinline__ unsigned upper_hemisphere(const float4* __restrict__ directions, Vec3 normal, int lane) {
    unsigned bits = 0;
    for (int pair = 0; pair < GROUPS / 2; ++pair) {
        const float4 direction = __ldg(directions + 32 * pair + lane);
        const unsigned above = __ballot_sync(ALL_LANES, direction.w > 0 && dot(xyz(direction), normal) >= 0);
        if (lane / 2 == pair) bits = above >> GROUP * (lane % 2) & ((1u << GROUP) - 1);
    }
    return bits;
}

// Grid (points / WARPS_PER_BLOCK, direction_count / 512), block (32, WARPS_PER_BLOCK). `words` [P, word_count] must be
// zero if the grid has more than one row. slot [32 word_count]: position of each bit's direction, -1 for none.
__global__ void __launch_bounds__(32 * WARPS_PER_BLOCK) visibility(
    const float* points, const float* normals, float offset, int point_count, const float4* nodes, int node_count,
    const float4* triangles, const float4* directions, const float4* groups, const int* slot, int word_count,
    unsigned* words
) {
    __shared__ Waiting waiting_of_warp[WARPS_PER_BLOCK];
    Waiting& waiting = waiting_of_warp[threadIdx.y];
    const int lane = threadIdx.x;
    const int point = blockIdx.x * WARPS_PER_BLOCK + threadIdx.y;
    if (point >= point_count) return;
    const Vec3 normal = load3(normals, point);
    const Vec3 origin = load3(points, point) + offset * normal;
    const int first_direction = blockIdx.y * GROUPS * GROUP;
    directions += first_direction;
    groups += 2 * blockIdx.y * GROUPS;

    unsigned bits = upper_hemisphere(directions, normal, lane);
    unsigned active = __ballot_sync(ALL_LANES, bits != 0);
    int stack_size = node_count > 0 && active ? 1 : 0, triangle_count = 0, facing_count = 0;
    if (lane == 0) waiting.nodes[0] = 0;
    __syncwarp();
    while (stack_size > 0 || triangle_count > 0) {
        const bool test_groups = gridDim.y > 1 || __popc(active) <= FEW_GROUPS;
        while (stack_size > 0 && triangle_count < 32) {
            visit_nodes(
                waiting, stack_size, triangle_count, nodes, groups, origin, normal, active, test_groups, lane
            );
        }
        keep_facing(waiting, triangle_count, facing_count, triangles, origin, normal, lane);
        const bool last = stack_size == 0 && triangle_count == 0;
        while (facing_count >= 32 || (last && facing_count > 0)) {
            occlude(waiting, facing_count, bits, triangles, directions, groups, origin, lane);
            active = __ballot_sync(ALL_LANES, bits != 0);
        }
        if (active == 0) break;
    }

    for (int word = 0; word < word_count; ++word) {
        const int position = slot[32 * word + lane], place = position - first_direction;
        const bool mine = position >= 0 && place >= 0 && place < GROUPS * GROUP;
        const unsigned of_group = __shfl_sync(ALL_LANES, bits, place / GROUP & (GROUPS - 1));
        const unsigned result = __ballot_sync(ALL_LANES, mine && of_group >> place % GROUP & 1);
        if (lane != 0) continue;
        if (gridDim.y == 1) {
            words[point * static_cast<long long>(word_count) + word] = result;
        } else if (result) {
            atomicOr(words + point * static_cast<long long>(word_count) + word, result);
        }
    }
}

// Rotates texel directions [n,3] (zero where a group has none) and bounds their groups; block (512), one thread each.
// Fills directions [n] (unit; w = 1, or 0 for none) and groups [n / 16, 2].
__global__ void __launch_bounds__(GROUPS * GROUP) rotate_directions(
    const double* texels, const float* light_to_world, float4* directions, float4* groups
) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    double turned[3], axis[3], length2 = 0, axis_length2 = 0, cosine = 0;
    for (int row = 0; row < 3; ++row) {
        turned[row] = 0;
        for (int k = 0; k < 3; ++k) turned[row] += light_to_world[3 * row + k] * texels[3 * i + k];
        length2 += turned[row] * turned[row];
    }
    const bool real = length2 > 0;
    const double scale = real ? 1 / sqrt(length2) : 0;
    for (int row = 0; row < 3; ++row) {
        turned[row] *= scale;
        axis[row] = turned[row];
        for (int step = GROUP / 2; step > 0; step /= 2) axis[row] += __shfl_xor_sync(ALL_LANES, axis[row], step);
        axis_length2 += axis[row] * axis[row];
    }
    const double axis_scale = axis_length2 > 0 ? 1 / sqrt(axis_length2) : 0;
    for (int row = 0; row < 3; ++row) {
        axis[row] *= axis_scale;
        cosine += axis[row] * turned[row];
    }
    if (!real) cosine = 1;
    for (int step = GROUP / 2; step > 0; step /= 2) cosine = fmin(cosine, __shfl_xor_sync(ALL_LANES, cosine, step));
    directions[i] = make_float4(turned[0], turned[1], turned[2], real);
    if (i % GROUP) return;
    // A cone wider than a hemisphere rejects nothing: these values make its test always pass.
    const bool wide = cosine <= 0;
    const double sine = wide ? 1 : sqrt(fmax(1 - cosine * cosine, 0.0));
    groups[2 * (i / GROUP)] = make_float4(axis[0], axis[1], axis[2], wide ? -1 : cosine);
    groups[2 * (i / GROUP) + 1] = make_float4(sine, 0, 0, 0);
}

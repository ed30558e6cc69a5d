// Visibility bitfields: one warp per point carries the set of directions still unoccluded through the tree.
//
// All rays of a point share their origin, so a triangle occludes exactly the directions on the inner side of its three
// edge planes through the origin. A warp works on up to 512 directions, 32 groups of 16 neighbours: lane g holds the
// bits of group g. The lanes take 32 nodes at a time, then 32 triangles, and of triangles that may cover many
// directions two at a time with 16 directions, so that no stage leaves lanes idle; shared memory holds what waits
// between them. Most nodes and triangles of a fine mesh are so small that they cover no direction, or only directions
// already occluded: a table tells from the cone around them which directions they may cover. The triangles that occluded
// something in the last call are tried first, before the tree, of which they spare most where little is visible; the
// bits are the same with or without them.
#include "directions.cuh"
#include "tree.cuh"

constexpr int WARPS_PER_BLOCK = 4;
constexpr int BLOCKS = 8;  // per multiprocessor: 8 to 10 differ little on an H200
constexpr int STACK = 384;  // nodes; points deep in a mouth or an ear come to about 330
constexpr float FARTHEST2 = 3e38f;
constexpr int REMEMBERED = 256;  // triangles that occluded something; as in cuda.py
constexpr int FEW = 6;  // directions that one lane tests for its triangle alone

// What waits in shared memory, one set per warp.
struct Waiting {
    float4 planes[3][32];  // of the triangles at hand
    int nodes[STACK];
    int triangles[32 + 32 * LEAF_SIZE];  // of leaves reached
    int facing[64];  // triangles that may cover many directions
    unsigned covered[64];  // groups of those directions
    int occluders[REMEMBERED];  // triangles that occluded something in this call
};

// Position of this lane's item among those of all lanes in `members`.
__device__ __forceinline__ int rank_in(unsigned members, int lane) { return __popc(members & ((1u << lane) - 1)); }

// Fills the stack with `roots`, up to 32 nodes that hold all triangles, the nearest on top.
__device__ __forceinline__ void begin(
    Waiting& waiting, const int* __restrict__ roots, int root_count, const float4* __restrict__ nodes, Vec3 origin,
    int lane
) {
    const bool mine = lane < root_count;
    const int number = mine ? roots[lane] : 0;
    float distance2 = -1;
    if (mine) {
        const Vec3 way = xyz(__ldg(nodes + 2 * number)) - origin;
        distance2 = fminf(dot(way, way), FARTHEST2);  // this also for NaN
    }
    int place = 0;
    for (int other = 0; other < 32; ++other) {
        const float of_other = __shfl_sync(ALL_LANES, distance2, other);
        place += of_other > distance2 || (of_other == distance2 && other < lane);
    }
    if (mine) waiting.nodes[place] = number;
    __syncwarp();
}

// Pops up to 32 nodes of `stack_size`, pushes their children and the triangles of leaves.
__device__ __forceinline__ void visit_nodes(
    Waiting& waiting, int& stack_size, int& triangle_count, const float4* __restrict__ nodes, const Light& light,
    Vec3 origin, Vec3 normal, unsigned bits, unsigned active, int lane
) {
    // Near the end of the stack nodes go one by one, which needs no more than one place per level.
    const int taken = min(min(stack_size, 32), max(STACK - MAX_DEPTH - stack_size, 1));
    stack_size -= taken;
    const int number = waiting.nodes[min(stack_size + lane, STACK - 1)];
    __syncwarp();
    uint2 entry = {0, 0};
    Node node = {};
    if (lane < taken) {
        node = load_node(nodes, number);
        node.centre = node.centre - origin;
        const Vec3 steep = {fabsf(normal.x), fabsf(normal.y), fabsf(normal.z)};
        if (dot(node.centre, normal) + dot(node.half, steep) >= 0) {
            entry = look_up(light, node.centre, dot(node.half, node.half));
        }
    }
    const bool open = remaining(entry, bits, active).any();
    const bool inner = open && node.count == 0;
    const unsigned inner_lanes = __ballot_sync(ALL_LANES, inner);
    if (inner) {
        const int place = stack_size + 2 * rank_in(inner_lanes, lane);
        // In any order: telling the nearer child takes loads that cost more than it spares.
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

// Notes the triangles of the lanes that are `useful`, as long as there is room.
__device__ __forceinline__ void remember(Waiting& waiting, int& occluder_count, bool useful, int number, int lane) {
    const unsigned lanes = __ballot_sync(ALL_LANES, useful);
    const int place = occluder_count + rank_in(lanes, lane);
    if (useful && place < REMEMBERED) waiting.occluders[place] = number;
    occluder_count = min(occluder_count + __popc(lanes), REMEMBERED);
}

// Clears from `bits` what the triangle of each lane occludes of its few remaining directions; whether it is any.
__device__ __forceinline__ bool occlude_few(
    const Triangle& triangle, const Remaining& few, bool wanted, unsigned& bits,
    const float4* __restrict__ directions, int lane
) {
    unsigned hits = 0;
    if (wanted) {
        const Planes planes = edge_planes(triangle);
        for (unsigned left = planes.solid ? few.directions : 0; left; left &= left - 1) {
            const int place = __ffs(left) - 1;
            const int group = place < GROUP ? few.first : few.second;
            if (planes.hold(xyz(__ldg(directions + GROUP * group + place % GROUP)))) hits |= 1u << place;
        }
    }
    for (unsigned lanes = __ballot_sync(ALL_LANES, hits != 0); lanes; lanes &= lanes - 1) {
        const int source = __ffs(lanes) - 1;
        const unsigned gone = __shfl_sync(ALL_LANES, hits, source);
        if (lane == __shfl_sync(ALL_LANES, few.first, source)) bits &= ~(gone & ((1u << GROUP) - 1));
        if (lane == __shfl_sync(ALL_LANES, few.second, source)) bits &= ~(gone >> GROUP);
    }
    return hits != 0;
}

// Takes up to 32 of the triangles of leaves. Those with a corner not below the plane of the normal that may cover
// remaining directions either clear them from `bits`, if these are few, or go to `facing`.
__device__ __forceinline__ void sort_triangles(
    Waiting& waiting, int& triangle_count, int& facing_count, int& occluder_count, unsigned& bits,
    const float4* __restrict__ triangles, const float4* __restrict__ directions, const Light& light, Vec3 origin,
    Vec3 normal, unsigned active, int lane
) {
    const int taken = min(triangle_count, 32);
    triangle_count -= taken;
    int number = 0;
    uint2 entry = {0, 0};
    Triangle t = {};
    if (lane < taken) {
        number = waiting.triangles[triangle_count + lane];
        t = load_triangle(triangles, number, origin);
        if (fmaxf(fmaxf(dot(t.a, normal), dot(t.b, normal)), dot(t.c, normal)) >= 0) {
            const Vec3 middle = (1 / 3.0f) * (t.a + t.b + t.c);
            const Vec3 to_a = t.a - middle, to_b = t.b - middle, to_c = t.c - middle;
            const float radius2 = fmaxf(fmaxf(dot(to_a, to_a), dot(to_b, to_b)), dot(to_c, to_c));
            entry = look_up(light, middle, radius2);
        }
    }
    const Remaining covered = remaining(entry, bits, active);
    const bool few = covered.others == 0 && __popc(covered.directions) <= FEW;
    const unsigned lanes = __ballot_sync(ALL_LANES, !few);
    if (!few) {
        const int place = facing_count + rank_in(lanes, lane);
        const bool first = covered.directions & ((1u << GROUP) - 1), second = covered.directions >> GROUP;
        waiting.facing[place] = number;
        waiting.covered[place] = covered.others | first << covered.first | second << covered.second;
    }
    facing_count += __popc(lanes);
    __syncwarp();
    const bool wanted = few && covered.directions;
    if (!__any_sync(ALL_LANES, wanted)) return;
    const bool useful = occlude_few(t, covered, wanted, bits, directions, lane);
    remember(waiting, occluder_count, useful, number, lane);
}

// Takes up to 32 of `facing` and clears the directions they occlude from `bits`.
__device__ __forceinline__ void occlude(
    Waiting& waiting, int& facing_count, int& occluder_count, unsigned& bits, const float4* __restrict__ triangles,
    const float4* __restrict__ directions, Vec3 origin, int lane
) {
    const int taken = min(facing_count, 32);
    facing_count -= taken;
    int number = 0;
    unsigned covered = 0, useful = 0;
    if (lane < taken) {
        number = waiting.facing[facing_count + lane];
        const Triangle t = load_triangle(triangles, number, origin);
        const Planes planes = edge_planes(t);
        if (planes.solid) covered = waiting.covered[facing_count + lane];
        waiting.planes[0][lane] = {planes.ab.x, planes.ab.y, planes.ab.z, 0};
        waiting.planes[1][lane] = {planes.bc.x, planes.bc.y, planes.bc.z, 0};
        waiting.planes[2][lane] = {planes.ca.x, planes.ca.y, planes.ca.z, 0};
    }
    __syncwarp();
    for (unsigned left = __ballot_sync(ALL_LANES, bits != 0); left; left &= left - 1) {
        const int group = __ffs(left) - 1;
        unsigned near = __ballot_sync(ALL_LANES, covered >> group & 1);
        if (near == 0) continue;
        unsigned open = __shfl_sync(ALL_LANES, bits, group);
        const Vec3 direction = xyz(__ldg(directions + GROUP * group + lane % GROUP));
        while (near && open) {
            const int one = __ffs(near) - 1;
            near &= near - 1;
            const int other = near ? __ffs(near) - 1 : one;
            near &= near - 1;
            const int t = lane < GROUP ? one : other;
            const bool hit = dot(direction, xyz(waiting.planes[0][t])) >= 0 &&
                             dot(direction, xyz(waiting.planes[1][t])) >= 0 &&
                             dot(direction, xyz(waiting.planes[2][t])) >= 0;
            const unsigned hits = __ballot_sync(ALL_LANES, hit);
            if (open & hits) useful |= 1u << one;
            if (open & hits >> GROUP) useful |= 1u << other;
            open &= ~(hits | hits >> GROUP);
        }
        if (lane == group) bits = open;
    }
    remember(waiting, occluder_count, useful >> lane & 1, number, lane);
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
// remembered [P, grid rows, REMEMBERED]: triangles to try first, then -1; left with those of this call.
__global__ void __launch_bounds__(32 * WARPS_PER_BLOCK, BLOCKS) visibility(
    const float* points, const float* normals, float offset, int point_count, const int* roots, int root_count,
    const float4* nodes, const float4* triangles, const float4* directions, const float* light_to_world,
    const uint2* cones, const int* slot, int word_count, unsigned* words, int* remembered
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
    const Light light = {
        {light_to_world[0], light_to_world[3], light_to_world[6]},
        {light_to_world[1], light_to_world[4], light_to_world[7]},
        {light_to_world[2], light_to_world[5], light_to_world[8]},
        cones + blockIdx.y * WIDTHS * CELLS * CELLS
    };

    unsigned bits = upper_hemisphere(directions, normal, lane);
    unsigned active = __ballot_sync(ALL_LANES, bits != 0);
    int triangle_count = 0, facing_count = 0, occluder_count = 0;
    remembered += (static_cast<long long>(point) * gridDim.y + blockIdx.y) * REMEMBERED;
    for (int i = 0; active && i < REMEMBERED; i += 32) {
        const int number = remembered[i + lane];
        const unsigned lanes = __ballot_sync(ALL_LANES, number >= 0);
        if (lanes == 0) break;
        if (number >= 0) waiting.triangles[rank_in(lanes, lane)] = number;
        triangle_count = __popc(lanes);
        __syncwarp();
        sort_triangles(
            waiting, triangle_count, facing_count, occluder_count, bits, triangles, directions, light, origin, normal,
            active, lane
        );
        while (facing_count > 0) occlude(waiting, facing_count, occluder_count, bits, triangles, directions, origin, lane);
        active = __ballot_sync(ALL_LANES, bits != 0);
    }
    int stack_size = active ? root_count : 0;
    begin(waiting, roots, root_count, nodes, origin, lane);
    while (stack_size > 0 || triangle_count > 0) {
        while (stack_size > 0 && triangle_count < 32) {
            visit_nodes(waiting, stack_size, triangle_count, nodes, light, origin, normal, bits, active, lane);
        }
        sort_triangles(
            waiting, triangle_count, facing_count, occluder_count, bits, triangles, directions, light, origin, normal,
            active, lane
        );
        active = __ballot_sync(ALL_LANES, bits != 0);
        const bool last = stack_size == 0 && triangle_count == 0;
        while (facing_count >= 32 || (last && facing_count > 0)) {
            occlude(waiting, facing_count, occluder_count, bits, triangles, directions, origin, lane);
            active = __ballot_sync(ALL_LANES, bits != 0);
        }
        if (active == 0) break;
    }
    __syncwarp();  // other lanes wrote some of what this one reads
    for (int i = lane; i < REMEMBERED; i += 32) remembered[i] = i < occluder_count ? waiting.occluders[i] : -1;

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

// Rotates texel directions [n,3] (zero where a group has none); block (512), one thread each. Fills directions [n]
// (unit; w = 1, or 0 for none).
__global__ void __launch_bounds__(GROUPS * GROUP) rotate_directions(
    const double* texels, const float* light_to_world, float4* directions
) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    double turned[3], length2 = 0;
    for (int row = 0; row < 3; ++row) {
        turned[row] = 0;
        for (int k = 0; k < 3; ++k) turned[row] += light_to_world[3 * row + k] * texels[3 * i + k];
        length2 += turned[row] * turned[row];
    }
    const double scale = length2 > 0 ? 1 / sqrt(length2) : 0;
    directions[i] = make_float4(scale * turned[0], scale * turned[1], scale * turned[2], length2 > 0);
}

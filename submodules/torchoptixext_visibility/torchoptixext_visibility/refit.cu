// Moves the triangles and boxes of a tree to new vertex positions, from the leaves to the root in one launch.
#include "tree.cuh"

// Half extents grow by this share so that rounding in their own computation never loses a corner.
constexpr float BOX_MARGIN = 1 + 1e-6f;

// One thread per leaf. At an inner node the thread that arrives second goes on, with the box of the other child; which
// one that is does not change the result. `arrivals` counts on from launch to launch: odd before the second arrival.
//
// vertices [V,3]; faces [F,3] and face_numbers [F] in leaf order; links [N] (right child, 0) or (first, count);
// parents [N]; leaves [leaf_count]. Fills triangles [F,3], nodes [N,2] and the scratch boxes [N,2] (low, high).
__global__ void refit(
    const float* vertices, const int* faces, const int* face_numbers, const int2* links, const int* parents,
    const int* leaves, int leaf_count, unsigned* arrivals, float4* triangles, float4* nodes, float4* boxes
) {
    const int leaf = blockIdx.x * blockDim.x + threadIdx.x;
    if (leaf >= leaf_count) return;
    int node = leaves[leaf];
    int2 link = links[node];
    Vec3 low = {infinity(), infinity(), infinity()}, high = {-infinity(), -infinity(), -infinity()};
    for (int i = link.x; i < link.x + link.y; ++i) {
        for (int corner = 0; corner < 3; ++corner) {
            const Vec3 v = load3(vertices, faces[3 * i + corner]);
            triangles[3 * i + corner] = {v.x, v.y, v.z, __int_as_float(face_numbers[i])};
            low = {fminf(low.x, v.x), fminf(low.y, v.y), fminf(low.z, v.z)};
            high = {fmaxf(high.x, v.x), fmaxf(high.y, v.y), fmaxf(high.z, v.z)};
        }
    }
    while (true) {
        const Vec3 centre = 0.5f * (low + high);
        const Vec3 above = high - centre, below = centre - low;
        nodes[2 * node] = {centre.x, centre.y, centre.z, __int_as_float(link.x)};
        nodes[2 * node + 1] = {
            BOX_MARGIN * fmaxf(above.x, below.x), BOX_MARGIN * fmaxf(above.y, below.y),
            BOX_MARGIN * fmaxf(above.z, below.z), __int_as_float(link.y)
        };
        if (node == 0) return;
        __stcg(boxes + 2 * node, make_float4(low.x, low.y, low.z, 0));
        __stcg(boxes + 2 * node + 1, make_float4(high.x, high.y, high.z, 0));
        __threadfence();
        const int parent = parents[node];
        if (atomicAdd(arrivals + parent, 1u) % 2 == 0) return;
        __threadfence();
        link = links[parent];
        const int sibling = node == parent + 1 ? link.x : parent + 1;
        const float4 other_low = __ldcg(boxes + 2 * sibling), other_high = __ldcg(boxes + 2 * sibling + 1);
        low = {fminf(low.x, other_low.x), fminf(low.y, other_low.y), fminf(low.z, other_low.z)};
        high = {fmaxf(high.x, other_high.x), fmaxf(high.y, other_high.y), fmaxf(high.z, other_high.z)};
        node = parent;
    }
}

// Three nearest neighbours of every point of a cloud: points sorted along a Morton curve under a complete binary tree
// of boxes, walked by one thread per point.
//
// A leaf is LEAF consecutive sorted points. Boxes form a heap: node 1 is the root, nodes `leaves` .. 2 leaves - 1 are
// the leaves (`leaves` a power of two, the last ones may be empty), the children of node i are 2 i and 2 i + 1. A box
// is two float4, its low and its high corner; that of an empty leaf is inside out and infinitely far from everything.

constexpr int LEAF = 8;  // points
constexpr int MAX_LEVELS = 32;
constexpr int CODE_BITS = 21;  // per axis

__device__ __forceinline__ float infinity() { return __int_as_float(0x7f800000); }

// The 21 bits of x at every third place.
__device__ __forceinline__ unsigned long long spread(unsigned long long x) {
    x = (x | x << 32) & 0x001f00000000ffffull;
    x = (x | x << 16) & 0x001f0000ff0000ffull;
    x = (x | x << 8) & 0x100f00f00f00f00full;
    x = (x | x << 4) & 0x10c30c30c30c30c3ull;
    return (x | x << 2) & 0x1249249249249249ull;
}

// Morton codes [P] of points [P,3] in the cube at corner `low` [3] with the longest edge of the box up to `high` [3].
__global__ void morton_codes(const float* points, const float* low, const float* high, int count, long long* codes) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    const float extent = fmaxf(fmaxf(high[0] - low[0], high[1] - low[1]), high[2] - low[2]);
    const float cells = 1 << CODE_BITS;
    unsigned long long code = 0;
    for (int axis = 0; axis < 3; ++axis) {
        const float share = extent > 0 ? (points[3 * i + axis] - low[axis]) / extent : 0;
        code |= spread(static_cast<unsigned long long>(fminf(share * cells, cells - 1))) << axis;
    }
    codes[i] = static_cast<long long>(code);
}

// One thread per leaf: gathers its points as (x, y, z, number as int bits) and fills its box.
__global__ void fill_leaves(
    const float* points, const long long* order, int count, int leaves, float4* sorted, float4* boxes
) {
    const int leaf = blockIdx.x * blockDim.x + threadIdx.x;
    if (leaf >= leaves) return;
    float4 low = {infinity(), infinity(), infinity(), 0}, high = {-infinity(), -infinity(), -infinity(), 0};
    for (int i = LEAF * leaf; i < min(LEAF * (leaf + 1), count); ++i) {
        const int number = static_cast<int>(order[i]);
        const float x = points[3 * number], y = points[3 * number + 1], z = points[3 * number + 2];
        sorted[i] = {x, y, z, __int_as_float(number)};
        low = {fminf(low.x, x), fminf(low.y, y), fminf(low.z, z), 0};
        high = {fmaxf(high.x, x), fmaxf(high.y, y), fmaxf(high.z, z), 0};
    }
    boxes[2 * (leaves + leaf)] = low;
    boxes[2 * (leaves + leaf) + 1] = high;
}

// One thread per node of a level, nodes size .. 2 size - 1: its box from those of its children.
__global__ void merge_boxes(int size, float4* boxes) {
    const int node = size + blockIdx.x * blockDim.x + threadIdx.x;
    if (node >= 2 * size) return;
    const float4 low = boxes[4 * node], high = boxes[4 * node + 1];
    const float4 other_low = boxes[4 * node + 2], other_high = boxes[4 * node + 3];
    boxes[2 * node] = {
        fminf(low.x, other_low.x), fminf(low.y, other_low.y), fminf(low.z, other_low.z), 0
    };
    boxes[2 * node + 1] = {
        fmaxf(high.x, other_high.x), fmaxf(high.y, other_high.y), fmaxf(high.z, other_high.z), 0
    };
}

__device__ __forceinline__ float box_distance2(const float4* __restrict__ boxes, int node, float4 point) {
    const float4 low = __ldg(boxes + 2 * node), high = __ldg(boxes + 2 * node + 1);
    const float x = fmaxf(fmaxf(low.x - point.x, point.x - high.x), 0);
    const float y = fmaxf(fmaxf(low.y - point.y, point.y - high.y), 0);
    const float z = fmaxf(fmaxf(low.z - point.z, point.z - high.z), 0);
    return x * x + y * y + z * z;
}

// One thread per sorted point: mean [P], in the original order, of the squared distances to its nearest three others,
// or to all others where there are fewer.
__global__ void mean_distances2(
    const float4* sorted, const float4* boxes, int count, int leaves, float* mean
) {
    const int self = blockIdx.x * blockDim.x + threadIdx.x;
    if (self >= count) return;
    const float4 point = sorted[self];
    float first = infinity(), second = infinity(), third = infinity();
    int stack[MAX_LEVELS];
    float stack_distance2[MAX_LEVELS];
    int size = 0, node = 1;
    while (true) {
        if (node < leaves) {
            const float left = box_distance2(boxes, 2 * node, point);
            const float right = box_distance2(boxes, 2 * node + 1, point);
            const int nearer = left <= right ? 2 * node : 2 * node + 1;
            if (fmaxf(left, right) < third) {
                stack[size] = nearer ^ 1;
                stack_distance2[size++] = fmaxf(left, right);
            }
            if (fminf(left, right) < third) {
                node = nearer;
                continue;
            }
        } else {
            const int start = LEAF * (node - leaves);
            for (int i = start; i < min(start + LEAF, count); ++i) {
                if (i == self) continue;
                const float4 other = __ldg(sorted + i);
                const float x = other.x - point.x, y = other.y - point.y, z = other.z - point.z;
                const float distance2 = x * x + y * y + z * z;
                third = fminf(third, fmaxf(distance2, second));
                second = fminf(second, fmaxf(distance2, first));
                first = fminf(first, distance2);
            }
        }
        do {
            if (size == 0) {
                const int others = min(3, count - 1);
                float total = first;
                if (others > 1) total += second;
                if (others > 2) total += third;
                mean[__float_as_int(point.w)] = total / others;
                return;
            }
            node = stack[--size];
        } while (stack_distance2[size] >= third);
    }
}

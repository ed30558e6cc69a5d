// Nearest neighbours within a radius, by the cells of a grid around each point. One thread per point, all clouds in one
// launch.

// The searched box is larger than the ball by this share, so that rounding of a distance never depends on cells.
constexpr double BOX_MARGIN = 1 + 1e-6;
constexpr int NO_NUMBER = 0x7fffffff;

__device__ __forceinline__ float infinity() { return __int_as_float(0x7f800000); }

struct Neighbour {
    float distance2;
    int number;
};

__device__ __forceinline__ bool operator<(Neighbour a, Neighbour b) {
    return a.distance2 < b.distance2 || (a.distance2 == b.distance2 && a.number < b.number);
}

// First and last cell of one axis that [x - radius, x + radius] touches; empty if the last is below the first.
__device__ __forceinline__ int2 cell_range(double x, double radius, double low, double per_length, double resolution) {
    const double first = (x - radius - low) * per_length, last = (x + radius - low) * per_length;
    if (last < 0 || first > resolution) return {0, -1};
    return {static_cast<int>(fmax(first, 0.0)), static_cast<int>(fmin(last, resolution - 1))};
}

template <int D>
__device__ __forceinline__ float squared_distance(const float* a, const float* __restrict__ b, int dimensions) {
    float distance2 = 0;
#pragma unroll
    for (int axis = 0; axis < (D ? D : dimensions); ++axis) {
        const float difference = a[axis] - b[axis];
        distance2 += difference * difference;
    }
    return distance2;
}

// Grid (points / block, clouds). D: the dimensions, or 0 for `dimensions` at run time. KEPT: neighbours held in
// registers; if more are wanted the search repeats beyond the last one found.
//
// points1 [N,P1,D]; lengths1 [N]; limits2 [N] squared radii; points2 [N,P2,D], offsets [N,cells + 1], numbers [N,P2]
// and parameters [N,7] as in `ops.GRID`. Fills dists and idxs [N,P1,wanted] as far as neighbours are found.
template <int D, int KEPT>
__global__ void search(
    const float* points1, const long long* lengths1, int count1, const float* points2, const int* offsets, int cells,
    const int* numbers, int count2, const double* parameters, const float* limits2, int dimensions, int wanted,
    float* dists, long long* idxs
) {
    const int p = blockIdx.x * blockDim.x + threadIdx.x;
    const long long cloud = blockIdx.y;
    if (p >= min(static_cast<long long>(count1), lengths1[cloud])) return;
    const float* point = points1 + (cloud * count1 + p) * (D ? D : dimensions);
    float own[D ? D : 1];
    if (D) {
#pragma unroll
        for (int axis = 0; axis < D; ++axis) own[axis] = point[axis];
        point = own;
    }
    points2 += cloud * count2 * (D ? D : dimensions);
    numbers += cloud * count2;
    offsets += cloud * (cells + 1);
    parameters += 7 * cloud;
    dists += (cloud * count1 + p) * wanted;
    idxs += (cloud * count1 + p) * wanted;
    const float limit2 = limits2[cloud];
    const double radius = sqrt(static_cast<double>(limit2)) * BOX_MARGIN, per_length = parameters[3];
    const bool has_y = (D ? D : dimensions) > 1, has_z = (D ? D : dimensions) > 2;
    const double y = has_y ? point[1] : 0, z = has_z ? point[D == 2 ? 0 : 2] : 0;
    const int2 range_x = cell_range(point[0], radius, parameters[0], per_length, parameters[4]);
    const int2 range_y = cell_range(y, radius, parameters[1], per_length, parameters[5]);
    const int2 range_z = cell_range(z, radius, parameters[2], per_length, parameters[6]);
    const int cells_y = static_cast<int>(parameters[5]), cells_z = static_cast<int>(parameters[6]);
    if (range_z.y < range_z.x) return;

    Neighbour last = {-1, -1};
    for (int found = 0; found < wanted; found += KEPT) {
        Neighbour best[KEPT];
#pragma unroll
        for (int k = 0; k < KEPT; ++k) best[k] = {infinity(), NO_NUMBER};
        for (int cell_x = range_x.x; cell_x <= range_x.y; ++cell_x) {
            for (int cell_y = range_y.x; cell_y <= range_y.y; ++cell_y) {
                const int row = (cell_x * cells_y + cell_y) * cells_z;
                const int end = offsets[row + range_z.y + 1];
                for (int i = offsets[row + range_z.x]; i < end; ++i) {
                    const float* other = points2 + i * static_cast<long long>(D ? D : dimensions);
                    Neighbour candidate = {squared_distance<D>(point, other, dimensions), numbers[i]};
                    if (candidate.distance2 > limit2 || !(last < candidate) || !(candidate < best[KEPT - 1])) continue;
#pragma unroll
                    for (int k = 0; k < KEPT; ++k) {
                        if (candidate < best[k]) {
                            const Neighbour pushed = best[k];
                            best[k] = candidate;
                            candidate = pushed;
                        }
                    }
                }
            }
        }
#pragma unroll
        for (int k = 0; k < KEPT; ++k) {
            if (found + k < wanted && best[k].number != NO_NUMBER) {
                dists[found + k] = best[k].distance2;
                idxs[found + k] = best[k].number;
            }
        }
        last = best[KEPT - 1];
        if (last.number == NO_NUMBER) return;
    }
}

// Sums over the pixels that show a face, for every face, in an order that does not depend on threads.

#include "triangle.cuh"

constexpr int SUM_THREADS = 128;
constexpr int SMALL_BOX = 64;  // pixels of a bounding box that one thread walks alone

// Block SUM_THREADS, one thread per face; grid (faces / SUM_THREADS, images). Small faces are walked by their own
// thread, the others of a block by all its threads, one after another.
//
// Face(inputs, image, face) is a face's work; add(row, column) puts a pixel into its `sums` [Face::SUMS], store() writes
// what follows from them.
template <class Face>
__device__ void sum_over_faces(
    const typename Face::Inputs& inputs, const long long* face_id, const Box* bounds, int face_count, int width,
    int height) {
    __shared__ int waiting[SUM_THREADS];
    __shared__ int waiting_count;
    __shared__ typename Face::Real partial[Face::SUMS][SUM_THREADS];
    const int thread = threadIdx.x, face = blockIdx.x * SUM_THREADS + thread;
    const long long image = blockIdx.y;
    face_id += image * height * width;
    bounds += image * face_count;
    if (thread == 0) waiting_count = 0;
    __syncthreads();
    if (face < face_count) {
        const Box box = bounds[face];
        if (box.pixels() > SMALL_BOX) {
            waiting[atomicAdd(&waiting_count, 1)] = face;
        } else {
            Face own(inputs, image, face);
            for (int row = box.top; row <= box.bottom; ++row)
                for (int column = box.left; column <= box.right; ++column)
                    if (face_id[static_cast<long long>(row) * width + column] == face) own.add(row, column);
            own.store();
        }
    }
    __syncthreads();
    for (int k = 0; k < waiting_count; ++k) {
        const int large = waiting[k];
        const Box box = bounds[large];
        const int columns = box.right - box.left + 1;
        Face own(inputs, image, large);
        for (long long p = thread; p < box.pixels(); p += SUM_THREADS) {
            const int row = box.top + static_cast<int>(p / columns), column = box.left + static_cast<int>(p % columns);
            if (face_id[static_cast<long long>(row) * width + column] == large) own.add(row, column);
        }
        for (int s = 0; s < Face::SUMS; ++s) partial[s][thread] = own.sums[s];
        __syncthreads();
        for (int half = SUM_THREADS / 2; half > 0; half /= 2) {
            if (thread < half)
                for (int s = 0; s < Face::SUMS; ++s) partial[s][thread] += partial[s][thread + half];
            __syncthreads();
        }
        if (thread == 0) {
            for (int s = 0; s < Face::SUMS; ++s) own.sums[s] = partial[s][0];
            own.store();
        }
        __syncthreads();
    }
}

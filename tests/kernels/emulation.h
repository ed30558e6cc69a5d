// Enough of CUDA to run kernels as host code: the threads of a block are fibers, blocks run one after the other.
//
// A fiber runs until it waits for others, in a barrier of its block or a collective of its warp. Shared memory is static,
// so a block finds there what the one before left: as on the device, nothing may rely on it.

#pragma once

#include <math.h>
#include <stdint.h>
#include <string.h>
#include <ucontext.h>

#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>

#define __global__
#define __device__
#define __forceinline__ inline
#define __shared__ static
#define __launch_bounds__(...)
#define __align__(bytes) __attribute__((aligned(bytes)))

struct uint2 { unsigned x, y; };
struct int2 { int x, y; };
struct uint3 { unsigned x, y, z; };
struct float3 { float x, y, z; };
struct __align__(16) float4 { float x, y, z, w; };
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline float3 make_float3(float x, float y, float z) { return {x, y, z}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

template <class A, class B> inline std::common_type_t<A, B> min(A a, B b) { return b < a ? b : a; }
template <class A, class B> inline std::common_type_t<A, B> max(A a, B b) { return b > a ? b : a; }
inline float __fdividef(float a, float b) { return a / b; }
inline float rsqrtf(float x) { return 1 / sqrtf(x); }
inline float exp2_approximate(float x) { return exp2f(x); }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __clz(unsigned x) { return x == 0 ? 32 : __builtin_clz(x); }
inline int __ffs(unsigned x) { return __builtin_ffs(x); }
inline int __float_as_int(float x) { int bits; memcpy(&bits, &x, sizeof bits); return bits; }
inline float __int_as_float(int bits) { float x; memcpy(&x, &bits, sizeof x); return x; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
template <class T> inline T __ldcg(const T* address) { return *address; }
template <class T> inline T __ldg(const T* address) { return *address; }
template <class T> inline void __stcg(T* address, T value) { *address = value; }
inline void __threadfence() {}

// Between two switches of fibers everything is atomic.
template <class T, class U> inline T atomicAdd(T* address, U value) { T old = *address; *address = old + value; return old; }
template <class T, class U> inline T atomicOr(T* address, U value) { T old = *address; *address = old | value; return old; }
template <class T, class U> inline T atomicMax(T* address, U value) { T old = *address; *address = max(old, value); return old; }

namespace emulation {

constexpr int WARP = 32, LARGEST_BLOCK = 1024, STACK_BYTES = 1 << 17;

// Threads that wait for each other: a warp or a block. Values of the meeting before stay valid during the next one.
struct Group {
    int alive, arrived, meeting;
    uint64_t values[2][LARGEST_BLOCK];

    void start(int threads) { alive = threads; arrived = meeting = 0; }

    void leave() {
        --alive;
        if (alive > 0 && arrived == alive) finish();
    }

    void finish() { arrived = 0; ++meeting; }
};

struct Fiber {
    ucontext_t context;
    std::unique_ptr<char[]> stack;
    bool done;
};

inline Fiber fibers[LARGEST_BLOCK];
inline ucontext_t scheduler;
inline Group block, warps[LARGEST_BLOCK / WARP];
inline int running;
inline void (*body)();

__attribute__((noinline)) inline void pause() { swapcontext(&fibers[running].context, &scheduler); }

// Meet the others of a group and return what each of them brought.
__attribute__((noinline)) inline const uint64_t* meet(Group& group, int member, uint64_t value) {
    int meeting = group.meeting;
    group.values[meeting % 2][member] = value;
    if (++group.arrived == group.alive)
        group.finish();
    else
        while (group.meeting == meeting) pause();
    return group.values[meeting % 2];
}

inline const uint64_t* meet_warp(uint64_t value) { return meet(warps[running / WARP], running % WARP, value); }

inline void run_fiber() {
    body();
    fibers[running].done = true;
    block.leave();
    warps[running / WARP].leave();
}

}  // namespace emulation

inline uint3 threadIdx, blockIdx, gridDim, blockDim;

inline void __syncthreads() { emulation::meet(emulation::block, emulation::running, 0); }

inline int votes_of_block(int vote) {
    const uint64_t* votes = emulation::meet(emulation::block, emulation::running, vote != 0);
    int count = 0;
    for (unsigned i = 0; i < blockDim.x * blockDim.y; ++i) count += votes[i] != 0;
    return count;
}
inline int __syncthreads_or(int vote) { return votes_of_block(vote) > 0; }
inline int __syncthreads_and(int vote) { return votes_of_block(vote) == static_cast<int>(blockDim.x * blockDim.y); }

inline void __syncwarp() { emulation::meet_warp(0); }
inline unsigned __ballot_sync(unsigned, bool vote) {
    const uint64_t* votes = emulation::meet_warp(vote);
    unsigned lanes = 0;
    for (int i = 0; i < emulation::WARP; ++i) lanes |= static_cast<unsigned>(votes[i] != 0) << i;
    return lanes;
}
inline bool __any_sync(unsigned mask, bool vote) { return __ballot_sync(mask, vote) != 0; }
inline bool __all_sync(unsigned mask, bool vote) { return __ballot_sync(mask, vote) == mask; }

template <class T> inline T value_of_lane(T value, int lane) {
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof value);
    bits = emulation::meet_warp(bits)[lane];
    memcpy(&value, &bits, sizeof value);
    return value;
}
template <class T> inline T __shfl_sync(unsigned, T value, int lane) {
    return value_of_lane(value, lane % emulation::WARP);
}
template <class T> inline T __shfl_xor_sync(unsigned, T value, int offset) {
    return value_of_lane(value, emulation::running % emulation::WARP ^ offset);
}
template <class T> inline T __shfl_up_sync(unsigned, T value, int offset) {
    int lane = emulation::running % emulation::WARP;
    return value_of_lane(value, lane >= offset ? lane - offset : lane);
}

namespace emulation {

inline void run_block() {
    const int threads = blockDim.x * blockDim.y;
    block.start(threads);
    for (Group& warp : warps) warp.start(WARP);
    for (int t = 0; t < threads; ++t) {
        Fiber& fiber = fibers[t];
        if (!fiber.stack) fiber.stack = std::make_unique<char[]>(STACK_BYTES);
        getcontext(&fiber.context);
        fiber.context.uc_stack.ss_sp = fiber.stack.get();
        fiber.context.uc_stack.ss_size = STACK_BYTES;
        fiber.context.uc_link = &scheduler;
        makecontext(&fiber.context, run_fiber, 0);
        fiber.done = false;
    }
    for (int left = threads; left > 0;)
        for (int t = 0; t < threads; ++t) {
            if (fibers[t].done) continue;
            running = t;
            threadIdx = {t % blockDim.x, t / blockDim.x, 0};
            swapcontext(&scheduler, &fibers[t].context);
            if (fibers[t].done) --left;
        }
}

// Runs a kernel with parameters that lie where the array of pointers says, as the driver does.
template <class... Parameters, size_t... I>
void launch(
    void (*kernel)(Parameters...), const int* grid, const int* threads, void** parameters, std::index_sequence<I...>) {
    static void (*started)(Parameters...);
    static std::tuple<Parameters...> values;
    started = kernel;
    values = {*static_cast<Parameters*>(parameters[I])...};
    body = [] { std::apply(started, values); };
    gridDim = {static_cast<unsigned>(grid[0]), static_cast<unsigned>(grid[1]), static_cast<unsigned>(grid[2])};
    blockDim = {static_cast<unsigned>(threads[0]), static_cast<unsigned>(threads[1]), 1};
    for (unsigned z = 0; z < gridDim.z; ++z)
        for (unsigned y = 0; y < gridDim.y; ++y)
            for (unsigned x = 0; x < gridDim.x; ++x) {
                blockIdx = {x, y, z};
                run_block();
            }
}

template <class... Parameters>
void launch(void (*kernel)(Parameters...), const int* grid, const int* threads, void** parameters) {
    launch(kernel, grid, threads, parameters, std::index_sequence_for<Parameters...>{});
}

}  // namespace emulation

// What a splat is on the GPU, and which pixels and tiles see it.
//
// The enumeration of tiles runs in several kernels that must agree to the bit, and so must alpha between the forward
// and the backward pass. Every product that feeds a sum is therefore an explicit fmaf: nothing is left to contraction.

#pragma once

constexpr unsigned FULL_WARP = 0xffffffffu;
constexpr int WARP = 32;
constexpr int BLOCK = 256;  // threads of a block where nothing else is said
constexpr int WARPS = BLOCK / WARP;

// The thresholds of splatting.py.
constexpr double LOW_PASS_VARIANCE = 0.3;  // px^2
constexpr double TAN_MARGIN = 0.3;  // half images outside the border
constexpr double MIN_ALPHA = 1.0 / 255.0;
constexpr float MAX_ALPHA = 0.99f;
constexpr float MIN_TRANSMITTANCE = 1e-4f;
constexpr double RADIUS_SIGMAS = 3.0;
constexpr double MIN_EIGENVALUE_GAP = 0.1;  // px^4
constexpr double LARGEST_RADIUS = 1073741824.0;  // px, what an int32 holds
constexpr double LARGEST_VARIANCE = 1e37;  // px^2, what a float32 holds with some room

constexpr double LOG2_E = 1.4426950408889634;
constexpr double LN_2 = 0.6931471805599453;
constexpr float LOG2_MIN_ALPHA = -7.9943534368588580f;  // log2(1 / 255)

constexpr int TILE = 16;  // pixels: 16 x 16 pixels are one block of threads
constexpr int PATCH_WIDTH = 8, PATCH_HEIGHT = 4;  // pixels of one warp
constexpr float SLACK = 0.01f;  // px around an ellipse for the rounding of float32; the pixel test decides
constexpr float RELATIVE_SLACK = 1e-6f;  // the same for coordinates far outside the image

constexpr float INVISIBLE = -1.0f;  // half_height of a splat that no pixel sees

// At pixel offset (dx, dy) = centre - pixel,
//   log2 alpha = log2_opacity - (slope_x dx + slope_y dy)^2 - curve dy^2,
// a sum of squares that rounding cannot turn positive. Pixels above MIN_ALPHA lie within half_height rows; the one
// farthest right (left) lies `widest` rows above (below) the centre.
struct __align__(16) Splat {
    float x, y, slope_x, slope_y;
    float curve, log2_opacity, half_height, widest;
};

__device__ inline float clamp(float value, float low, float high) { return fminf(fmaxf(value, low), high); }

__device__ inline float exp2_fast(float x) {
    float result;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
    return result;
}

__device__ inline float offset_across(const Splat& splat, float dx, float dy) {
    return fmaf(splat.slope_x, dx, splat.slope_y * dy);
}

__device__ inline float log2_alpha(const Splat& splat, float across, float dy) {
    return fmaf(-across, across, fmaf(-splat.curve * dy, dy, splat.log2_opacity));
}

__device__ inline float vertical_slack(const Splat& splat) {
    return fmaf(RELATIVE_SLACK, fabsf(splat.y) + splat.half_height, SLACK);
}

// Whether pixels of rows [row, row + height) may see the splat, and the columns `left` to `right` that they span.
__device__ inline bool columns_of_rows(const Splat& splat, float row, int height, float& left, float& right) {
    float slack = vertical_slack(splat);
    float upper = row - splat.y - slack;
    float lower = fmaf(2.0f, slack, upper + static_cast<float>(height - 1));
    float visible = fmaxf(splat.log2_opacity - LOG2_MIN_ALPHA, 0.0f);
    float right_y = clamp(splat.widest, upper, lower), left_y = clamp(-splat.widest, upper, lower);
    float right_root = sqrtf(fmaxf(fmaf(-splat.curve * right_y, right_y, visible), 0.0f));
    float left_root = sqrtf(fmaxf(fmaf(-splat.curve * left_y, left_y, visible), 0.0f));
    float per_slope = 1.0f / splat.slope_x;
    float reach = fmaf(fabsf(splat.slope_y), splat.half_height, sqrtf(visible)) * per_slope;
    float side_slack = fmaf(RELATIVE_SLACK, fabsf(splat.x) + reach, SLACK);
    right = fmaf(fmaf(-splat.slope_y, right_y, right_root), per_slope, splat.x) + side_slack;
    left = fmaf(fmaf(-splat.slope_y, left_y, -left_root), per_slope, splat.x) - side_slack;
    return upper <= splat.half_height && lower >= -splat.half_height;
}

// Whether a pixel of the warp's patch whose first pixel is (column, row) may see the splat.
__device__ inline bool touches_patch(const Splat& splat, float column, float row) {
    float left, right;
    bool rows = columns_of_rows(splat, row, PATCH_HEIGHT, left, right);
    return rows && left <= column + static_cast<float>(PATCH_WIDTH - 1) && right >= column;
}

// Calls visit(tile) for every tile that sees the splat, in rising order.
template <typename Visit>
__device__ inline void for_each_tile(const Splat& splat, int rows, int columns, Visit visit) {
    if (splat.half_height < 0) return;
    float slack = vertical_slack(splat), limit = static_cast<float>(columns);
    float top = (splat.y - splat.half_height - slack) / TILE;
    float bottom = (splat.y + splat.half_height + slack) / TILE;
    int first_row = static_cast<int>(clamp(top, 0.0f, static_cast<float>(rows)));
    int last_row = static_cast<int>(clamp(bottom + 1.0f, 0.0f, static_cast<float>(rows)));
    for (int row = first_row; row < last_row; ++row) {
        float left, right;
        if (!columns_of_rows(splat, static_cast<float>(row * TILE), TILE, left, right)) continue;
        int first = static_cast<int>(clamp(left / TILE, 0.0f, limit));
        int last = static_cast<int>(clamp(right / TILE + 1.0f, 0.0f, limit));
        for (int column = first; column < last; ++column) visit(row * columns + column);
    }
}

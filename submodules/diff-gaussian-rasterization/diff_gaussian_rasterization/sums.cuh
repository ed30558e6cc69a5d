// Columns of the sums over pixels that the blending leaves for every instance.

#pragma once

// q = d loss / d log alpha, c = the part of q that comes from the features, each times u = slope_x dx + slope_y dy and dy
// of splat.cuh. Unlike dx, u is small all over a splat that is thin across the picture's axes: nothing cancels when the
// sums are turned into the gradient across it. The gradients of the features follow.
constexpr int Q = 0, Q_U = 1, Q_Y = 2, Q_UU = 3, Q_UY = 4, Q_YY = 5, C_U = 6, C_Y = 7, SUMS = 8;

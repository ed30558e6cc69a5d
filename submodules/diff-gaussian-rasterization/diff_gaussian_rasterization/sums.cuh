// Columns of the sums over pixels that the blending leaves for every instance.

#pragma once

// q = d loss / d log alpha, c = the part of q that comes from the features, each times offsets from the centre. The
// gradients of the features follow.
constexpr int Q = 0, Q_X = 1, Q_Y = 2, Q_XX = 3, Q_XY = 4, Q_YY = 5, C_X = 6, C_Y = 7, SUMS = 8;

// What the projection and the sort by depth share: keys, digits and their histograms.

#pragma once

constexpr int RADIX_BITS = 8, BINS = 1 << RADIX_BITS;
constexpr int DIGITS = 4;  // of a key, which has the bits of a positive float32: these order like the depths
constexpr int UNSEEN = 0x7fffffff;  // the key of a splat that no tile sees; the sort leaves it out

__device__ inline int digit_of(unsigned key, int digit) { return key >> digit * RADIX_BITS & (BINS - 1); }

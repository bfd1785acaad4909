// Axes that K scatter matrices share as nearly as they can: one sweep over all planes of two axes.
#pragma once

#include <cstddef>

namespace mixtura {

// `turned` is d x d x K, the matrices in the present axes with the component last, so that the inner loops run over components;
// `axes` is d x d, one axis per row. Both are turned in place. Returns the largest turn in radians. The law is in
// src/mixtura/families/axes.py, which holds the same in NumPy.
double sweep_axes(double* turned, const double* counts, double* axes, std::size_t d, std::size_t K, bool equal_volumes,
                  std::size_t turns, double negligible);

} // namespace mixtura

// Axes that K scatter matrices share as nearly as they can: sweeps over all planes of two axes, and
// Newton's method near the end.
#pragma once

#include <cstddef>

namespace mixtura {

// `turned` is d x d x K, the matrices in the present axes with the component last, so that the
// inner loops run over components; `axes` is d x d, one axis per row. Both are turned in place.
// Returns the largest turn in radians. The law is in src/mixtura/families/axes.py, which holds the
// same in NumPy.
double sweep_axes(double* turned, const double* counts, double* axes, std::size_t d, std::size_t K,
                  bool equal_volumes, std::size_t turns, double negligible);

// One step of Newton's method in the turns of all planes at once, in place; the largest turn in
// radians, or infinity where the step is not taken: the objective is not convex here, or it would
// rise.
double newton_axes(double* turned, const double* counts, double* axes, std::size_t d, std::size_t K,
                   bool equal_volumes);

} // namespace mixtura

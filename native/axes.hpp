// Axes that K scatter matrices share as nearly as they can: sweeps over all planes of two axes, and
// Newton's method near the end.
#pragma once

#include <cstddef>

namespace mixtura {

// How far the search goes; the values are in src/mixtura/families/axes.py.
struct AxisSearch {
    bool newton;              // whether Newton's steps are tried
    std::size_t first;        // sweeps at most without previous axes,
    std::size_t warm;         // from them,
    std::size_t brief;        // and where starts are compared
    std::size_t turns;        // tangents taken anew in one plane
    std::size_t tried;        // starts that are compared
    double still;             // the largest turn of a sweep that is the last
    double still_in_all;      // and of a Newton step
    double negligible;        // the turn of a tangent that is the last in its plane
    double farthest, trusted; // see newton_axes
};

// `turned` is d x d x K, the matrices in the present axes with the component last, so that the
// inner loops run over components; `axes` is d x d, one axis per row. Both are turned in place.
// Returns the largest turn in radians. The law is in src/mixtura/families/axes.py, which holds the
// same in NumPy.
double sweep_axes(double* turned, const double* counts, double* axes, std::size_t d, std::size_t K,
                  bool equal_volumes, std::size_t turns, double negligible);

// One step of Newton's method in the turns of all planes at once, in place; the largest turn in
// radians, or infinity where the step is not taken: the objective is not convex here, a turn is
// not below `farthest`, or the objective would rise. Turns below `trusted` are finer than what the
// rounded objective can tell, and are taken.
double newton_axes(double* turned, const double* counts, double* axes, std::size_t d, std::size_t K,
                   bool equal_volumes, double farthest, double trusted);

} // namespace mixtura

// How fast EM converges: Arnoldi's method on finite differences of the map of moments (src/mixtura/rate.py).
#pragma once

#include <functional>

#include "chart.hpp"

namespace mixtura {

// One step of EM from the first moments into the second; false where a covariance collapsed.
using Map = std::function<bool(const Moments&, Moments&)>;

// The largest eigenvalue of the Jacobian at `now`, where the last step began at `before`. `random` is the fixed direction that is
// added to the first, as long as a vector of the chart. Infinite where a deviation has no mixture.
double slowest_rate(const Map&, const Moments& before, const Moments& now, const Numbers& scale, const double* random);

// The largest real part of the eigenvalues of an upper Hessenberg matrix (n x n, used up); NaN where they cannot be found.
double largest_real_part(double* h, std::size_t n);

} // namespace mixtura

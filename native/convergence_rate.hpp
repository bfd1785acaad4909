// How fast EM converges: Arnoldi's method on finite differences of the map of moments
// (src/mixtura/em/convergence_rate.py).
#pragma once

#include <functional>

#include "moment_vectors.hpp"

namespace mixtura {

// One step of EM from the first moments into the second; false where a covariance collapsed.
using Map = std::function<bool(const Moments&, Moments&)>;

// How the rate is measured; the values are in src/mixtura/em/convergence_rate.py.
struct Arnoldi {
    std::size_t most_maps;
    std::size_t window; // the last estimates of the rate that must agree
    double steady;      // to this part of the distance of the rate from one
    double deviation;   // of a finite difference, in parts of the rows
    double negligible;  // the length of a direction that adds nothing
    double near;        // the shift of the inverse iteration from the rate
    double tiny;        // the least length that is divided by
};

// What was seen around a point.
struct ConvergenceRate {
    // The largest eigenvalue of the Jacobian there; infinite where a deviation has no mixture.
    double rate = HUGE_VAL;
    // The direction that belongs to it, in the components' frames; empty where there is none.
    Numbers direction;
    bool leads = false; // whether it is known where
    // All steps of EM in the directions that were seen end, and the next one in all others.
    Moments ahead;
};

// The rate of EM's slowest direction at `now`, the E-step of `mixture`, where the last step began
// at `before`. `random` is the fixed direction that is added to the first, as long as all sums;
// `known` the slowest direction as it was before, or empty.
ConvergenceRate slowest_rate(const Arnoldi&, const Map&, const Moments& before, const Moments& now,
                             const Mixture& mixture, const double* random, const Numbers& known);

// The largest real part of the eigenvalues of an upper Hessenberg matrix (n x n, used up); NaN
// where they cannot be found.
double largest_real_part(double* h, std::size_t n);

} // namespace mixtura

// What comes into a mixture when it is left for another one; the law is src/mixtura/arrivals.py.
#pragma once

#include <cstddef>
#include <vector>

#include "moments.hpp"

namespace mixtura {

// A fit, row by row, that is left. Components by rows held, mean and dense covariance.
struct Origin {
    const double* rows;       // n x d
    const double* weights;    // n
    const double* posteriors; // n x K
    std::size_t n, d, K;
    const double* counts;      // K
    const double* means;       // K x d
    const double* covariances; // K x d x d
    const double* pooled;      // d x d
    double row_weight;
};

struct Arrival {
    enum class Kind { around, cut, joined, given } kind;
    std::ptrdiff_t row = -1, other_row = -1; // around; the seeds of a cut
    std::ptrdiff_t one = -1, other = -1;     // components: the measure (-1: pooled), those cut or joined
    double wanted = 0.0;
    const double *mean = nullptr, *covariance = nullptr; // of a given part, which weighs `wanted`
};

// Moments of that kind after the components `gone` went and the arrivals came; false where they cannot.
bool depart(const Origin&, const std::vector<std::size_t>& gone, const std::vector<Arrival>&, Scatter, Moments& out);

} // namespace mixtura

// One more component, while all else of a mixture stays; the law is src/mixtura/insertions.py.
#pragma once

#include <cstddef>

#include "arrivals.hpp"

namespace mixtura {

// A Gaussian with the weight of its rows; what it gains is NaN where it does not last.
struct Insertion {
    double gain, weight;
    Numbers mean, covariance; // d; d x d
};

// Rows nearest to the flat through some seeds, or to the one along some axes through the first: false where they have no spread.
struct Flat {
    const std::ptrdiff_t* seeds; // up to d, then -1
    const std::ptrdiff_t* axes;  // d: 1 for a free axis
    std::size_t rows;
};

bool near_flat(const Origin&, const Flat&, Insertion& out);

// From that start, by EM on the new component alone, as long as it gains.
void settle(const Origin&, const double* log_density, Form, double fewest, double narrowest, const double* scale, Insertion& io);

} // namespace mixtura

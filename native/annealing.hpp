// Rows that are exchanged one by one between groups; the law is src/mixtura/annealing.py.
#pragma once

#include <cstddef>
#include <cstdint>

#include "e_step.hpp"

namespace mixtura {

struct Deal {
    const double* rows;    // n x d
    const double* weights; // n
    std::size_t n, d, K;
    Form form;
    std::size_t needed;      // rows in a group
    const double* narrowest; // d: variances
    double hot, cold;
    const double* numbers; // steps x 3, between 0 and 1
    std::size_t steps;
};

// The best partition on the way from `labels` (n), in their place; false where they make a group that may not be.
bool deal(const Deal&, std::int64_t* labels);

} // namespace mixtura

// Model-based agglomeration: items with counts, means and scatters are merged two at a time,
// cheapest first.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mixtura {

enum class Criterion { EII, VII, EEE, VVV };

// What is below rounding; the values are in src/mixtura/initialise/hierarchy.py.
struct Rounding {
    double flat_pivot;       // the part of its diagonal at which a pivot is nothing
    double tie, tie_of_logs; // the part of a cost, EII's and EEE's or VII's and VVV's, that is open
};

// Items in a space where the whole data's mean variance is one. `shrink` is Fraley's alpha; `units`
// is that mean variance to the power d - 1, so that determinant and trace stand to each other as in
// the units of the space.
struct Items {
    const double* counts;   // m
    const double* means;    // m x d
    const double* scatters; // m x d x d, or null for single points
    std::size_t m, d;
    Criterion criterion;
    double shrink, units;
    Rounding rounding;
};

enum class Outcome { done, out_of_memory };

// merges (m-1) x 2: the lowest item of either cluster, lower first. costs m-1: by how much the
// criterion rises.
Outcome agglomerate(const Items&, std::int64_t* merges, double* costs) noexcept;

} // namespace mixtura

// Small groups of rows that nearly lie on a line, a plane, ... or are near each other; the law is src/mixtura/alignments.py.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "e_step.hpp"
#include "moments.hpp"

namespace mixtura {

// How groups are laid around a pivot, and how they are judged.
struct Alignment {
    const double* white;       // n x d: nearness is measured in these
    const double* scaled;      // n x d: covariances are measured in these
    const double* weights;     // n
    const double* log_density; // n: what describes the rows so far
    std::size_t n, d;
    enum class Kind { near, windows, axes } kind;
    const std::int64_t* pivots; // P
    std::size_t P;
    const std::int64_t* reaches; // S: as many of the rows nearest to the pivot are looked at
    std::size_t S;
    const std::int64_t* places; // S x T x q: further rows that a flat goes through, by their place among the nearest
    std::size_t T, q;
    const std::int64_t* axes; // A x d: 1 for an axis along which a group may extend
    std::size_t A;
    Form form;
    std::size_t smallest, largest; // rows in a group
    const double* grid;            // d: standard deviations below which a column is not resolved
    double narrowest;              // a variance that is too small
    std::size_t keep;              // groups of each pivot
};

struct Group {
    double gain;
    std::vector<std::int64_t> rows;
};

// The best groups of each pivot, pivot by pivot.
std::vector<Group> align(const Alignment&);

} // namespace mixtura

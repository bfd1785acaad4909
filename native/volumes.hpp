// Volumes of components that share shape and orientation: Newton's method in their logarithms.
#pragma once

#include <cstddef>

namespace mixtura {

// How far Newton's method goes; the values are in src/mixtura/families/shapes.py.
struct VolumeSearch {
    std::size_t most_steps;
    double settled; // a step in log volumes that is the last
    double near;    // steps below this are taken whole
};

// `S` holds K diagonals (dense false: K x d) or K matrices (K x d x d); `counts` are positive;
// `lambdas (K)` comes out. The law and the same method in NumPy are in
// src/mixtura/families/shapes.py. False where the evidence is singular.
bool volumes(const double* S, const double* counts, std::size_t K, std::size_t d, bool dense,
             const VolumeSearch& search, double* lambdas);

} // namespace mixtura

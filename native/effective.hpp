// What the rows of a component lose when they are left out of its fit; the law is in
// src/mixtura/em/effective_parameters.py, which holds the same in NumPy. The contract between the
// runtime and the kernels, as in e_step.hpp.
#pragma once

#include <cstddef>

#include "e_step.hpp"

namespace mixtura {

// What of a covariance is a component's own.
enum class Own {
    nothing,
    volume,
    axes,
    shape,
    matrix,
    matrix_of_one_volume,
    orientation,
    orientation_and_volume
};

// What is taken out, and how exactly; the values are in src/mixtura/em/effective_parameters.py.
struct Limits {
    double touched;     // the least responsibility of a row that changes a component
    double largest_gap; // what a row loses at most
    double held_up;     // a row that is all but this part of a component's spread holds it up
    double leverage;    // rows of less turn the axes to first order
    double no_rows;     // the part of a variance below which an axis has no rows
};

// The components as their rows determine them.
struct OwnParts {
    Own kind;
    // K or 1 rows, d or d*d wide; not read where Mahalanobis distances say all.
    const double* frames;
    std::size_t frame_step; // between the frames of two components; 0 when they share one
    bool along_columns;     // frames are d wide
    const bool* free;       // K x d: directions of the frame that the floor does not hold
    const double *counts, *pulled, *rows, *ratios; // K
    // K x d, K x d, K x d x d; null unless the orientation is a component's own.
    const double *spreads, *variances, *slopes;
    double total, unit;
    double in_noise; // rows of the noise term
    bool own_weights;
    Limits limits;
};

// The kernel of one instruction set: adds what the rows from `begin` on lose to `out` (K).
struct WithoutRows {
    std::size_t (*workspace)(const EStep&);
    void (*losses)(const EStep&, const OwnParts&, const void* model, std::size_t begin,
                   std::size_t end, void* workspace, double* out);
};

} // namespace mixtura

// A name in the kernels of one instruction set.
#define MIXTURA_JOINED_(a, b) a##_##b
#define MIXTURA_JOINED(a, b) MIXTURA_JOINED_(a, b)
#define MIXTURA_OF_ISA(name) MIXTURA_JOINED(name, MIXTURA_ISA_NAME)

#ifdef MIXTURA_ISA_NAME
namespace mixtura {
extern const WithoutRows MIXTURA_OF_ISA(without_rows);
}
#endif

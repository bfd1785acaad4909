// The contract between the runtime and the kernels: plain pointers, no exceptions, nothing typed by an instruction set.
#pragma once

#include <cstddef>

namespace mixtura {

enum class Form { spherical, diagonal, dense };
enum class Scatter { trace, diagonal, total, dense };

// One E-step. Whiteners are (1 or K) x (1, d or d*d) by form; dense ones are lower triangular, row by row.
struct Problem {
    const void* rows;        // n x d, row by row
    bool single;             // rows are float32
    const double* weights;   // n frequencies, or null for ones
    std::size_t n, d, K;
    const double* means;     // K x d
    const double* log_scale; // K: log weight + log density at the mean
    const double* whitener;
    std::size_t whitener_step; // distance between the whiteners of two components; 0 when they share one
    Form form;
    Scatter scatter;
};

// Weighted sums over a range of rows. `second` is K, K x d, d x d or K x d x d by the kind of scatter; matrices are
// filled below and on the diagonal only.
struct Sums {
    double* counts; // K
    double* first;  // K x d
    double* second;
    double log_likelihood, entropy, certainty;
};

// Everything a kernel needs is in its arguments and in a workspace of its own, so any number may run at once.
struct Kernels {
    const char* name;
    std::size_t (*workspace)(const Problem&); // in doubles, to be aligned to 64 bytes
    void (*moments)(const Problem&, std::size_t begin, std::size_t end, double* workspace, Sums&);
    void (*log_joint)(const Problem&, std::size_t begin, std::size_t end, double* workspace, double* out);
    void (*exponential)(const double* x, std::size_t n, double* out); // for tests: n a multiple of 8, x <= 0
};

} // namespace mixtura

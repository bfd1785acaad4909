// The contract between the runtime and the kernels: plain pointers, no exceptions, nothing typed by
// an instruction set.
#pragma once

#include <cstddef>
#include <limits>

namespace mixtura {

// A responsibility below this part of its component's share of the rows is left out: over all rows,
// 1e-17 of the component's count, and with the squared distance of such a row, which is about 80,
// less than 1e-15 of its scatter.
constexpr double LEFT_OUT = 1e-17;

// Squared distances from t components are at most this: their logarithms are finite.
constexpr double FARTHEST = 1e290;

enum class Form { spherical, diagonal, dense };
enum class Scatter { trace, diagonal, total, dense };

inline std::size_t second_size(Scatter kind, std::size_t K, std::size_t d) {
    switch (kind) {
        case Scatter::trace: return K;
        case Scatter::diagonal: return K * d;
        case Scatter::total: return d * d;
        default: return K * d * d;
    }
}

// One E-step. Whiteners are (1 or K) x (1, d or d*d) by form; dense ones are lower triangular, row
// by row.
struct EStep {
    const void* rows;      // n x d, row by row
    bool single;           // rows are float32
    const double* weights; // n frequencies, or null for ones
    std::size_t n, d, K;
    const double* means;     // K x d
    const double* log_scale; // K: log weight + log density at the mean
    const double* whitener;
    // Distance between the whiteners of two components; 0 when they share one.
    std::size_t whitener_step;
    Form form;
    Scatter scatter;
    // K: degrees of freedom of t components, whose log_scale is their log density at the mean; null
    // for Gaussians. In double only.
    const double* tails = nullptr;
    // Log weight + log density of the noise term, which is the same at every row; -infinity for
    // none.
    double log_noise = -std::numeric_limits<double>::infinity();

    bool noisy() const { return log_noise > -std::numeric_limits<double>::infinity(); }

    // The caller says which short cuts may be taken; shortcuts.cpp, which of them are.

    // Weights of the components, summing to one, where responsibilities that would add less than
    // rounding to the moments of their own component may be left out; null where all count. See
    // `too_much_left_out` of the runtime.
    const double* shares = nullptr; // K
    // d x d, an axis that is common to all components in each row; null where none are known
    const double* axes = nullptr;
    bool single_products = false; // in float32, about the origin

    // Rows are turned once, y = turn (x - origin), and whiteners, which are spherical or diagonal
    // then, apply to y about the turned means.
    const double* turn = nullptr;         // d x d, row by row
    const double* turned_means = nullptr; // K x d
    const double* origin = nullptr;       // d, the same in float32
    bool pooled = false;                  // the total scatter is taken about the origin first
    // K: components that single products do not carry; computed in double.
    const bool* ill_conditioned = nullptr;
};

// Weighted sums over a range of rows. `second` is K, K x d, d x d or K x d x d by the kind of
// scatter; matrices are filled below and on the diagonal only.
struct Sums {
    double* counts; // K
    double* first;  // K x d
    double* second;
    double log_likelihood, entropy, certainty;
    double noise = 0.0; // weight of the rows in the noise term
    // Of t components, K each: responsibilities r times pulls u, which weigh first and second
    // moments, and r (log(1 + D / nu) + u), where D is the squared distance.
    double *pulls = nullptr, *falls = nullptr;
};

struct WithoutRows; // effective.hpp

// Everything a kernel needs is in its arguments, in a model that `prepare` makes of the E-step,
// which all workers read, and in a workspace of its own, so any number may run at once. Sizes are
// in bytes; memory is aligned to 64.
struct Kernels {
    const char* name;
    std::size_t (*model)(const EStep&);
    void (*prepare)(const EStep&, void* model);
    std::size_t (*workspace)(const EStep&);
    void (*moments)(const EStep&, const void* model, std::size_t begin, std::size_t end,
                    void* workspace, Sums&);
    void (*log_joint)(const EStep&, const void* model, std::size_t begin, std::size_t end,
                      void* workspace, double* out);
    const WithoutRows* without_rows; // what taking rows out costs
    // For tests: n a multiple of 16.
    void (*exponential)(const double* x, std::size_t n, double* out); // x <= 0
    void (*logarithm)(const double* x, std::size_t n, double* out);   // x > 0, normal
    void (*exponential_single)(const float* x, std::size_t n, float* out);
    void (*logarithm_single)(const float* x, std::size_t n, float* out);
};

} // namespace mixtura

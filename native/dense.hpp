// Small dense linear algebra for the M-step's side: matrices of d rows, one after the other, at the baseline instruction set.
#pragma once

#include <cmath>
#include <cstddef>

namespace mixtura {

// The lower Cholesky factor of an n x n matrix in place; false where it is not positive definite.
inline bool cholesky(double* a, std::size_t n) {
    for (std::size_t j = 0; j < n; ++j) {
        double pivot = a[j * n + j];
        for (std::size_t l = 0; l < j; ++l) pivot -= a[j * n + l] * a[j * n + l];
        if (!(pivot > 0.0) || !std::isfinite(pivot)) return false;
        const double root = a[j * n + j] = std::sqrt(pivot);
        for (std::size_t i = j + 1; i < n; ++i) {
            double sum = a[i * n + j];
            for (std::size_t l = 0; l < j; ++l) sum -= a[i * n + l] * a[j * n + l];
            a[i * n + j] = sum / root;
        }
    }
    return true;
}

// Rows of X (n rows of length m) become L^-1 X.
inline void forward(const double* L, std::size_t n, double* X, std::size_t m) {
    for (std::size_t i = 0; i < n; ++i) {
        for (std::size_t l = 0; l < i; ++l)
            for (std::size_t c = 0; c < m; ++c) X[i * m + c] -= L[i * n + l] * X[l * m + c];
        for (std::size_t c = 0; c < m; ++c) X[i * m + c] /= L[i * n + i];
    }
}

// The inverse of a lower triangle into `out`, which is zeroed above the diagonal.
inline void invert_lower(const double* L, std::size_t n, double* out) {
    for (std::size_t j = 0; j < n; ++j) {
        for (std::size_t i = 0; i < j; ++i) out[i * n + j] = 0.0;
        out[j * n + j] = 1.0 / L[j * n + j];
        for (std::size_t i = j + 1; i < n; ++i) {
            double sum = 0.0;
            for (std::size_t l = j; l < i; ++l) sum -= L[i * n + l] * out[l * n + j];
            out[i * n + j] = sum / L[i * n + i];
        }
    }
}

} // namespace mixtura

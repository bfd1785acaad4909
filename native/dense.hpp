// Small dense linear algebra for the M-step's side: matrices of d rows, one after the other, at the baseline instruction set.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

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

// Whether all eigenvalues of a matrix are above `bound` in units of `scale`.
inline bool exceeds(const double* matrix, std::size_t n, double bound, const double* scale) {
    std::vector<double> shifted(matrix, matrix + n * n);
    for (std::size_t j = 0; j < n; ++j) shifted[j * n + j] -= bound * scale[j];
    return cholesky(shifted.data(), n);
}

// Rows of X (n rows of length m) become L^-1 X.
inline void forward(const double* L, std::size_t n, double* X, std::size_t m) {
    for (std::size_t i = 0; i < n; ++i) {
        for (std::size_t l = 0; l < i; ++l)
            for (std::size_t c = 0; c < m; ++c) X[i * m + c] -= L[i * n + l] * X[l * m + c];
        for (std::size_t c = 0; c < m; ++c) X[i * m + c] /= L[i * n + i];
    }
}

// x becomes (L L')^-1 x.
inline void solve(const double* L, std::size_t n, double* x) {
    forward(L, n, x, 1);
    for (std::size_t i = n; i-- > 0;) {
        for (std::size_t l = i + 1; l < n; ++l) x[i] -= L[l * n + i] * x[l];
        x[i] /= L[i * n + i];
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

// y = W (x - at) for a lower triangle W; the squared length of y.
inline double whiten(const double* W, std::size_t n, const double* x, const double* at, double* y) {
    double square = 0.0;
    for (std::size_t i = 0; i < n; ++i) {
        y[i] = 0.0;
        for (std::size_t j = 0; j <= i; ++j) y[i] += W[i * n + j] * (x[j] - at[j]);
        square += y[i] * y[i];
    }
    return square;
}

// Two vectors, turned into each other by an angle of cosine c and sine s.
inline void turn(double* a, double* b, std::size_t length, double c, double s) {
    for (std::size_t i = 0; i < length; ++i) {
        const double x = a[i], y = b[i];
        a[i] = c * x + s * y;
        b[i] = c * y - s * x;
    }
}

// Eigenvalues in falling order and unit eigenvectors, one per row, of a symmetric n x n matrix that is used up. Jacobi's turns,
// plane by plane: small eigenvalues of a positive matrix keep their digits.
inline void eigen(double* a, std::size_t n, double* values, double* axes) {
    constexpr double EPSILON = std::numeric_limits<double>::epsilon();
    constexpr int MOST_SWEEPS = 40;
    for (std::size_t i = 0; i < n * n; ++i) axes[i] = i % (n + 1) == 0 ? 1.0 : 0.0;
    bool turned = n > 1;
    for (int round = 0; turned && round < MOST_SWEEPS; ++round) {
        turned = false;
        for (std::size_t p = 0; p + 1 < n; ++p)
            for (std::size_t q = p + 1; q < n; ++q) {
                const double pp = a[p * n + p], qq = a[q * n + q], pq = a[p * n + q];
                if (!(std::fabs(pq) > 0.5 * EPSILON * std::sqrt(std::fabs(pp * qq)))) continue;
                turned = true;
                const double steep = (pp - qq) / (2.0 * pq);
                const double tangent = std::copysign(1.0, steep) / (std::fabs(steep) + std::sqrt(1.0 + steep * steep));
                const double c = 1.0 / std::sqrt(1.0 + tangent * tangent), s = tangent * c;
                turn(a + p * n, a + q * n, n, c, s);
                for (std::size_t i = 0; i < n; ++i) {
                    a[i * n + p] = a[p * n + i];
                    a[i * n + q] = a[q * n + i];
                }
                a[p * n + p] = pp + tangent * pq;
                a[q * n + q] = qq - tangent * pq;
                a[p * n + q] = a[q * n + p] = 0.0;
                turn(axes + p * n, axes + q * n, n, c, s);
            }
    }
    for (std::size_t i = 0; i < n; ++i) values[i] = a[i * n + i];
    for (std::size_t i = 0; i + 1 < n; ++i) {
        const std::size_t largest = static_cast<std::size_t>(std::max_element(values + i, values + n) - values);
        if (largest == i) continue;
        std::swap(values[i], values[largest]);
        std::swap_ranges(axes + i * n, axes + (i + 1) * n, axes + largest * n);
    }
}

// sum_p spreads_p a_p a_p' of axes a_p, one per row.
inline void along_axes(const double* axes, const double* spreads, std::size_t n, double* out) {
    for (std::size_t i = 0; i < n; ++i)
        for (std::size_t j = 0; j <= i; ++j) {
            double sum = 0.0;
            for (std::size_t p = 0; p < n; ++p) sum += spreads[p] * axes[p * n + i] * axes[p * n + j];
            out[i * n + j] = out[j * n + i] = sum;
        }
}

} // namespace mixtura

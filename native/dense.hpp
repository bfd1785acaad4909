// Small dense linear algebra for the M-step's side: matrices of d rows, one after the other, at the
// baseline instruction set.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

namespace mixtura {

// Rows and columns that are worked on at once: a number is read and written once for so many
// products.
constexpr std::size_t PANEL = 8;

// y + sum_c a_c x_c, or less the sum, for rows x_c of a panel, c after c, so that panels change no
// bit.
template <bool less>
inline void add_panel(double* y, const double* a, const double* x, std::size_t step,
                      std::size_t rows, std::size_t length) {
    const auto with = [](double value, double part) { return less ? value - part : value + part; };
    if (rows < PANEL) {
        for (std::size_t c = 0; c < rows; ++c)
            for (std::size_t l = 0; l < length; ++l) y[l] = with(y[l], a[c] * x[c * step + l]);
        return;
    }
    for (std::size_t l = 0; l < length; ++l) {
        double value = y[l];
        for (std::size_t c = 0; c < PANEL; ++c) value = with(value, a[c] * x[c * step + l]);
        y[l] = value;
    }
}

inline void subtract_panel(double* y, const double* a, const double* x, std::size_t step,
                           std::size_t rows, std::size_t length) {
    add_panel<true>(y, a, x, step, rows, length);
}

// out = A X for square matrices, of which A may be a lower triangle.
inline void multiply(const double* A, const double* X, std::size_t n, bool lower, double* out) {
    for (std::size_t i = 0; i < n; ++i) {
        const std::size_t end = lower ? i + 1 : n;
        std::fill_n(out + i * n, n, 0.0);
        for (std::size_t l = 0; l < end; l += PANEL)
            add_panel<false>(out + i * n, A + i * n + l, X + l * n, n, std::min(PANEL, end - l), n);
    }
}

inline void transpose(const double* A, std::size_t n, double* out) {
    for (std::size_t i = 0; i < n; ++i)
        for (std::size_t j = 0; j < n; ++j) out[j * n + i] = A[i * n + j];
}

// The lower Cholesky factor of an n x n matrix in place; false where it is not positive definite.
// `panel` is room for PANEL * n numbers: columns of the factor, one after the other.
inline bool cholesky(double* a, std::size_t n, double* panel) {
    for (std::size_t begin = 0; begin < n; begin += PANEL) {
        const std::size_t end = std::min(begin + PANEL, n);
        for (std::size_t j = begin; j < end; ++j) {
            double* column = panel + (j - begin) * n;
            double pivot = a[j * n + j];
            for (std::size_t l = begin; l < j; ++l) pivot -= a[j * n + l] * a[j * n + l];
            if (!(pivot > 0.0) || !std::isfinite(pivot)) return false;
            const double root = column[j] = a[j * n + j] = std::sqrt(pivot);
            for (std::size_t i = j + 1; i < n; ++i) {
                double sum = a[i * n + j];
                for (std::size_t l = begin; l < j; ++l) sum -= a[i * n + l] * a[j * n + l];
                column[i] = a[i * n + j] = sum / root;
            }
        }
        for (std::size_t i = end; i < n; ++i)
            subtract_panel(a + i * n + end, a + i * n + begin, panel + end, n, end - begin,
                           i + 1 - end);
    }
    return true;
}

inline bool cholesky(double* a, std::size_t n) {
    std::vector<double> panel(PANEL * n);
    return cholesky(a, n, panel.data());
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
        for (std::size_t l = 0; l < i; l += PANEL)
            subtract_panel(X + i * m, L + i * n + l, X + l * m, m, std::min(PANEL, i - l), m);
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
    for (std::size_t i = 0; i < n; ++i) {
        double* row = out + i * n;
        std::fill(row, row + n, 0.0);
        for (std::size_t l = 0; l < i; l += PANEL) {
            const std::size_t end = std::min(l + PANEL, i);
            subtract_panel(row, L + i * n + l, out + l * n, n, end - l, end);
        }
        for (std::size_t j = 0; j < i; ++j) row[j] /= L[i * n + i];
        row[i] = 1.0 / L[i * n + i];
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

// The sum of a_i b_i, in eight parts that a processor adds side by side.
inline double inner(const double* a, const double* b, std::size_t n) {
    double part[8] = {};
    std::size_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (std::size_t j = 0; j < 8; ++j) part[j] += a[i + j] * b[i + j];
    for (; i < n; ++i) part[i % 8] += a[i] * b[i];
    return ((part[0] + part[4]) + (part[2] + part[6])) +
           ((part[1] + part[5]) + (part[3] + part[7]));
}

// Rows g_1, .., g_r of which a positive semi-definite matrix is the sum of g g', the longest pivot
// first: Cholesky's factor. Its rank r comes back, or INDEFINITE; what is rounding beside the
// matrix's own diagonal is nothing.
constexpr std::size_t INDEFINITE = static_cast<std::size_t>(-1);

inline std::size_t pivoted_factor(const double* a, std::size_t n, double* rows) {
    const double least = std::numeric_limits<double>::epsilon() * static_cast<double>(n),
                 most = 64.0 * least;
    std::vector<double> left(n), parts(n);
    std::vector<bool> used(n, false);
    for (std::size_t j = 0; j < n; ++j) left[j] = a[j * n + j];
    for (std::size_t r = 0; r < n; ++r) {
        std::size_t pivot = n;
        for (std::size_t j = 0; j < n; ++j)
            if (!used[j] && left[j] > least * a[j * n + j] && (pivot == n || left[j] > left[pivot]))
                pivot = j;
        if (pivot == n) {
            for (std::size_t j = 0; j < n; ++j)
                if (!used[j] && left[j] < -most * std::fabs(a[j * n + j])) return INDEFINITE;
            return r;
        }
        used[pivot] = true;
        double* row = rows + r * n;
        std::copy_n(a + pivot * n, n, row);
        for (std::size_t s = 0; s < r; ++s) parts[s] = rows[s * n + pivot];
        for (std::size_t s = 0; s < r; s += PANEL)
            subtract_panel(row, &parts[s], rows + s * n, n, std::min(PANEL, r - s), n);
        const double root = std::sqrt(left[pivot]);
        for (std::size_t j = 0; j < n; ++j) {
            row[j] = j == pivot ? root : used[j] ? 0.0 : row[j] / root;
            left[j] -= row[j] * row[j];
        }
    }
    return n;
}

// Unit rows orthogonal to the `count` unit rows before them, until there are n; columns that are
// nought in the matrix come last.
inline void complete_basis(const double* a, double* rows, std::size_t count, std::size_t n) {
    std::size_t filled = 0;
    for (std::size_t j = 0; j < n; ++j) filled += a[j * n + j] > 0.0;
    for (; count < n; ++count) {
        double *row = rows + count * n, most = -1.0;
        std::size_t best = 0;
        for (std::size_t j = 0; j < n; ++j) {
            if ((a[j * n + j] > 0.0) != (count < filled)) continue;
            double outside = 1.0;
            for (std::size_t s = 0; s < count; ++s) outside -= rows[s * n + j] * rows[s * n + j];
            if (outside > most) most = outside, best = j;
        }
        std::fill_n(row, n, 0.0);
        row[best] = 1.0;
        for (int round = 0; round < 2; ++round)
            for (std::size_t s = 0; s < count; ++s) {
                const double part = inner(row, rows + s * n, n);
                for (std::size_t j = 0; j < n; ++j) row[j] -= part * rows[s * n + j];
            }
        const double length = std::sqrt(inner(row, row, n));
        for (std::size_t j = 0; j < n; ++j) row[j] /= length;
    }
}

constexpr int MOST_SWEEPS_OF_EIGEN = 40;

// Eigenvalues and eigenvectors, one per row, of any symmetric matrix that is used up: Jacobi's
// turns, plane by plane.
inline void eigen_of_any(double* a, std::size_t n, double* values, double* axes) {
    constexpr double EPSILON = std::numeric_limits<double>::epsilon();
    for (std::size_t i = 0; i < n * n; ++i) axes[i] = i % (n + 1) == 0 ? 1.0 : 0.0;
    bool turned = n > 1;
    for (int round = 0; turned && round < MOST_SWEEPS_OF_EIGEN; ++round) {
        turned = false;
        for (std::size_t p = 0; p + 1 < n; ++p)
            for (std::size_t q = p + 1; q < n; ++q) {
                const double pp = a[p * n + p], qq = a[q * n + q], pq = a[p * n + q];
                if (!(std::fabs(pq) > 0.5 * EPSILON * std::sqrt(std::fabs(pp * qq)))) continue;
                turned = true;
                const double steep = (pp - qq) / (2.0 * pq);
                const double tangent =
                    std::copysign(1.0, steep) / (std::fabs(steep) + std::sqrt(1.0 + steep * steep));
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
}

// The same of a positive semi-definite matrix from its pivoted factor, whose rows are turned in
// pairs until they are orthogonal (one-sided Jacobi: Veselic & Hari 1989, Numerische Mathematik
// 56:627-633): small eigenvalues keep their digits, and no column is ever read.
inline void eigen_of_factor(const double* a, std::size_t n, std::size_t rank, double* values,
                            double* axes) {
    const double orthogonal =
        std::numeric_limits<double>::epsilon() * std::sqrt(static_cast<double>(n));
    bool turned = rank > 1;
    for (int round = 0; turned && round < MOST_SWEEPS_OF_EIGEN; ++round) {
        turned = false;
        for (std::size_t p = 0; p < rank; ++p) values[p] = inner(axes + p * n, axes + p * n, n);
        for (std::size_t p = 0; p + 1 < rank; ++p)
            for (std::size_t q = p + 1; q < rank; ++q) {
                const double pq = inner(axes + p * n, axes + q * n, n);
                if (!(std::fabs(pq) > orthogonal * std::sqrt(values[p]) * std::sqrt(values[q])))
                    continue;
                turned = true;
                const double steep = (values[p] - values[q]) / (2.0 * pq);
                const double tangent =
                    std::copysign(1.0, steep) / (std::fabs(steep) + std::sqrt(1.0 + steep * steep));
                const double c = 1.0 / std::sqrt(1.0 + tangent * tangent), s = tangent * c;
                turn(axes + p * n, axes + q * n, n, c, s);
                values[p] += tangent * pq;
                values[q] -= tangent * pq;
            }
    }
    for (std::size_t p = 0; p < n; ++p) {
        double* axis = axes + p * n;
        const double length = p < rank ? std::sqrt(inner(axis, axis, n)) : 0.0;
        values[p] = length * length;
        for (std::size_t j = 0; p < rank && j < n; ++j) axis[j] /= length;
    }
    complete_basis(a, axes, rank, n);
}

// Eigenvalues in falling order and unit eigenvectors, one per row, of a symmetric n x n matrix that
// is used up. Extrapolated moments may hold one that is indefinite.
inline void eigen(double* a, std::size_t n, double* values, double* axes) {
    const bool finite = std::all_of(a, a + n * n, [](double x) { return std::isfinite(x); });
    const std::size_t rank = finite ? pivoted_factor(a, n, axes) : INDEFINITE;
    if (rank == INDEFINITE) eigen_of_any(a, n, values, axes);
    else eigen_of_factor(a, n, rank, values, axes);
    for (std::size_t i = 0; i + 1 < n; ++i) {
        const std::size_t largest =
            static_cast<std::size_t>(std::max_element(values + i, values + n) - values);
        if (largest == i) continue;
        std::swap(values[i], values[largest]);
        std::swap_ranges(axes + i * n, axes + (i + 1) * n, axes + largest * n);
    }
}

// sum_p spreads_p a_p a_p' of axes a_p, one per row.
inline void along_axes(const double* axes, const double* spreads, std::size_t n, double* out) {
    std::fill(out, out + n * n, 0.0);
    for (std::size_t p = 0; p < n; ++p)
        for (std::size_t i = 0; i < n; ++i) {
            const double scaled = spreads[p] * axes[p * n + i];
            for (std::size_t j = 0; j <= i; ++j) out[i * n + j] += scaled * axes[p * n + j];
        }
    for (std::size_t i = 0; i < n; ++i)
        for (std::size_t j = 0; j < i; ++j) out[j * n + i] = out[i * n + j];
}

} // namespace mixtura

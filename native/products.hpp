// The two products of an E-step over a block of rows that stand in lanes: whitened distances, and
// moments about a mean.
//
// Columns of a block are `stride` numbers apart. Rows are centred on the fly: a subtraction runs
// beside the multiplications, and a centred copy would cost stores. Up to UNROLLED columns
// everything stays in registers, with the number of columns known to the compiler; beyond, tiles of
// TILE rows do.
#pragma once

#include "lanes.hpp"

namespace mixtura {
namespace {

constexpr std::size_t UNROLLED = 8;
constexpr std::size_t TILE = 4;
// Columns of a tile of the scatter: TILE * ACROSS sums, half of the registers.
constexpr std::size_t ACROSS = REGISTERS / 8;
constexpr std::size_t STRIP = REGISTERS / 8; // vectors of a strip of the distances, likewise
constexpr std::size_t HELD = REGISTERS - 10; // sums held at once where everything is unrolled

// A block of rows in lanes.
template <class Real>
struct Columns {
    const Real* at;
    std::size_t stride;
    const Real* operator[](std::size_t j) const { return at + j * stride; }
};

// f(D) with D = d where everything is unrolled, and 0 beyond.
template <class F>
void with_columns(std::size_t d, const F& f) {
    switch (d) {
        case 1: return f(Index<1>{});
        case 2: return f(Index<2>{});
        case 3: return f(Index<3>{});
        case 4: return f(Index<4>{});
        case 5: return f(Index<5>{});
        case 6: return f(Index<6>{});
        case 7: return f(Index<7>{});
        case UNROLLED: return f(Index<UNROLLED>{});
        default: return f(Index<0>{});
    }
}

// ---- distances ----------------------------------------------------------------------------------

// The whitener of one component as the distances read it: rows of the lower triangle, one after the
// other, up to UNROLLED columns; beyond, first d % TILE such rows, then tiles of TILE rows column
// by column. It is scaled by sqrt(1/2): squares are halved.
inline std::size_t packed_size(std::size_t d) {
    const std::size_t top = d <= UNROLLED ? d : d % TILE, tiles = (d - top) / TILE;
    return top * (top + 1) / 2 + TILE * (tiles * top + TILE * tiles * (tiles + 1) / 2);
}

template <class Real>
void pack(const double* whitener, std::size_t d, Real* out) {
    constexpr double root_half = 0x1.6a09e667f3bcdp-1;
    const std::size_t top = d <= UNROLLED ? d : d % TILE;
    for (std::size_t i = 0; i < top; ++i)
        for (std::size_t j = 0; j <= i; ++j)
            *out++ = static_cast<Real>(root_half * whitener[i * d + j]);
    for (std::size_t i = top; i < d; i += TILE)
        for (std::size_t j = 0; j < i + TILE; ++j)
            for (std::size_t r = 0; r < TILE; ++r)
                *out++ =
                    j <= i + r ? static_cast<Real>(root_half * whitener[(i + r) * d + j]) : Real(0);
}

// level - |W (x - mean)|^2 for some vectors, all columns in registers.
template <class Real, std::size_t D, std::size_t S>
inline MIXTURA_INLINE void unrolled_strip(Columns<Real> x, std::size_t at,
                                                         const Real* mean, const Real* packed,
                                                         Lanes<Real>* level) {
    Lanes<Real> c[D][S];
    each<D>([&](auto j) MIXTURA_INLINE {
        each<S>([&](auto s) MIXTURA_INLINE {
            c[j][s] = load(x[j] + at + s * WIDTH<Real>) - mean[j];
        });
    });
    each<D>([&](auto i) MIXTURA_INLINE {
        Lanes<Real> y[S] = {};
        each<i + 1>([&](auto j) MIXTURA_INLINE {
            const Lanes<Real> w = fill(packed[i * (i + 1) / 2 + j]);
            each<S>([&](auto s) MIXTURA_INLINE {
                y[s] = j == 0 ? w * c[0][s] : y[s] + w * c[j][s];
            });
        });
        each<S>([&](auto s) MIXTURA_INLINE { level[s] -= y[s] * y[s]; });
    });
}

// The same for more columns, a tile of rows of W after the other.
template <class Real>
inline void tiled_strip(Columns<Real> x, std::size_t at, std::size_t d, const Real* mean,
                        const Real* packed, Lanes<Real>* level) {
    const std::size_t top = d % TILE;
    for (std::size_t i = 0; i < top; ++i) {
        Lanes<Real> y[STRIP] = {};
        for (std::size_t j = 0; j <= i; ++j, ++packed)
            each<STRIP>([&](auto s) MIXTURA_INLINE {
                y[s] += (load(x[j] + at + s * WIDTH<Real>) - mean[j]) * packed[0];
            });
        each<STRIP>([&](auto s) MIXTURA_INLINE { level[s] -= y[s] * y[s]; });
    }
    for (std::size_t i = top; i < d; i += TILE) {
        Lanes<Real> y[TILE][STRIP] = {};
        for (std::size_t j = 0; j < i; ++j, packed += TILE) {
            const Real* column = x[j] + at;
            const Lanes<Real> m = fill(mean[j]);
            Lanes<Real> c[STRIP];
            each<STRIP>([&](auto s) MIXTURA_INLINE {
                c[s] = load(column + s * WIDTH<Real>) - m;
            });
            each<TILE>([&](auto r) MIXTURA_INLINE {
                const Lanes<Real> w = fill(packed[r]);
                each<STRIP>([&](auto s) MIXTURA_INLINE { y[r][s] += w * c[s]; });
            });
        }
        each<TILE>([&](auto j) MIXTURA_INLINE { // the triangle at the end
            const Lanes<Real> m = fill(mean[i + j]);
            Lanes<Real> c[STRIP];
            each<STRIP>([&](auto s) MIXTURA_INLINE {
                c[s] = load(x[i + j] + at + s * WIDTH<Real>) - m;
            });
            each<TILE - j>([&](auto below) MIXTURA_INLINE {
                constexpr std::size_t r = j + below;
                const Lanes<Real> w = fill(packed[j * TILE + r]);
                each<STRIP>([&](auto s) MIXTURA_INLINE { y[r][s] += w * c[s]; });
            });
        });
        packed += TILE * TILE;
        each<TILE>([&](auto r) MIXTURA_INLINE {
            each<STRIP>([&](auto s) MIXTURA_INLINE { level[s] -= y[r][s] * y[r][s]; });
        });
    }
}

// out = scale - |W (x - mean)|^2 / 2 for a block of `rows` rows, a multiple of STRIP vectors.
template <class Real, std::size_t D>
void dense_levels(Columns<Real> x, std::size_t rows, std::size_t d, const Real* mean,
                  const Real* packed, Real scale, Real* out) {
    constexpr std::size_t strip = D == 0 ? STRIP : D <= 3 ? 4 : 2;
    for (std::size_t at = 0; at < rows; at += strip * WIDTH<Real>) {
        Lanes<Real> level[strip];
        each<strip>([&](auto s) MIXTURA_INLINE { level[s] = fill(scale); });
        if constexpr (D == 0) tiled_strip<Real>(x, at, d, mean, packed, level);
        else unrolled_strip<Real, D, strip>(x, at, mean, packed, level);
        each<strip>([&](auto s) MIXTURA_INLINE {
            store(out + at + s * WIDTH<Real>, level[s]);
        });
    }
}

// The same where the whitener is a number for each column; `step` is 0 where it is one number for
// all of them.
template <class Real>
void axis_levels(Columns<Real> x, std::size_t rows, std::size_t d, const Real* mean,
                 const Real* whitener, std::size_t step, Real scale, Real* out) {
    constexpr std::size_t strip = 4;
    for (std::size_t at = 0; at < rows; at += strip * WIDTH<Real>) {
        Lanes<Real> level[strip];
        each<strip>([&](auto s) MIXTURA_INLINE { level[s] = fill(scale); });
        for (std::size_t j = 0; j < d; ++j) {
            const Lanes<Real> m = fill(mean[j]), w = fill(whitener[j * step]);
            each<strip>([&](auto s) MIXTURA_INLINE {
                const Lanes<Real> y = (load(x[j] + at + s * WIDTH<Real>) - m) * w;
                level[s] -= y * y;
            });
        }
        each<strip>([&](auto s) MIXTURA_INLINE {
            store(out + at + s * WIDTH<Real>, level[s]);
        });
    }
}

// ---- moments ------------------------------------------------------------------------------------

// Vectors of a block in which a component has weight; all others hold nothing of it.
struct Present {
    const std::uint16_t* at; // offsets of their first rows
    std::size_t count;
};

// Sums of one component, in double whatever the products are.
struct Target {
    double* count;
    double* first;  // d
    double* second; // 1, d or d x d (lower triangle)
};

// The sum of the weights alone.
template <class Real>
inline void count_present(Present present, const Real* r, double* count) {
    Lanes<Real> sum = {};
    for (std::size_t t = 0; t < present.count; ++t) sum += load(r + present.at[t]);
    *count += static_cast<double>(across<Real>(sum));
}

// Rows [I0, I1) of the scatter of D columns, and the same part of the first moments; with row 0
// comes the count.
template <class Real, std::size_t D, std::size_t I0, std::size_t I1>
inline MIXTURA_INLINE void
unrolled_rows(Columns<Real> x, Present present, const Real* r, const Real* mean, Target to) {
    constexpr std::size_t before = I0 * (I0 + 1) / 2, products = I1 * (I1 + 1) / 2 - before,
                          sums = products + I1 - I0 + (I0 == 0);
    Lanes<Real> sum[sums] = {};
    for (std::size_t t = 0; t < present.count; ++t) {
        const std::size_t at = present.at[t];
        const Lanes<Real> weight = load(r + at);
        if constexpr (I0 == 0) sum[sums - 1] += weight;
        Lanes<Real> weighted[I1 - I0];
        each<I1 - I0>([&](auto i) MIXTURA_INLINE {
            weighted[i] = weight * (load(x[I0 + i] + at) - mean[I0 + i]);
            sum[products + i] += weighted[i];
        });
        each<I1>([&](auto j) MIXTURA_INLINE {
            const Lanes<Real> c = load(x[j] + at) - mean[j];
            each<I1 - I0>([&](auto i) MIXTURA_INLINE {
                constexpr std::size_t row = I0 + i;
                if constexpr (j <= row) sum[row * (row + 1) / 2 - before + j] += weighted[i] * c;
            });
        });
    }
    alignas(BYTES) Real total[sums + WIDTH<Real>];
    sums_across<Real, sums>(sum, total);
    if constexpr (I0 == 0) *to.count += total[sums - 1];
    each<I1 - I0>([&](auto i) MIXTURA_INLINE {
        constexpr std::size_t row = I0 + i;
        to.first[row] += total[products + i];
        for (std::size_t j = 0; j <= row; ++j)
            to.second[row * D + j] += total[row * (row + 1) / 2 - before + j];
    });
}

// The last row that fits into the registers together with row I0.
template <std::size_t D, std::size_t I0>
constexpr std::size_t fitting() {
    std::size_t end = I0 + 1;
    while (end < D && (end + 1) * (end + 2) / 2 - I0 * (I0 + 1) / 2 + 2 * (end + 1 - I0) <= HELD)
        ++end;
    return end;
}

template <class Real, std::size_t D, std::size_t I0>
inline void unrolled_scatter(Columns<Real> x, Present present, const Real* r, const Real* mean,
                             Target to) {
    constexpr std::size_t I1 = fitting<D, I0>();
    unrolled_rows<Real, D, I0, I1>(x, present, r, mean, to);
    if constexpr (I1 < D) unrolled_scatter<Real, D, I1>(x, present, r, mean, to);
}

// `height` rows of the scatter from row i on, in tiles. The first tile of a row also weighs the
// centred columns, keeps them for the other tiles in `weighted` (height columns), and sums them.
template <class Real, std::size_t height, std::size_t width, bool first, bool diagonal>
inline MIXTURA_INLINE void
tile(Columns<Real> x, Present present, const Real* r, const Real* mean, std::size_t i,
     std::size_t j, std::size_t d, Real* weighted, std::size_t stride, Target to) {
    Lanes<Real> sum[height * width] = {}, firsts[height] = {}, rows[height], columns[width];
    each<width>([&](auto b) MIXTURA_INLINE { columns[b] = fill(mean[j + b]); });
    if constexpr (first)
        each<height>([&](auto a) MIXTURA_INLINE { rows[a] = fill(mean[i + a]); });
    for (std::size_t t = 0; t < present.count; ++t) {
        const std::size_t at = present.at[t];
        Lanes<Real> a[height];
        each<height>([&](auto k) MIXTURA_INLINE {
            if constexpr (first) {
                a[k] = load(r + at) * (load(x[i + k] + at) - rows[k]);
                firsts[k] += a[k];
                store(weighted + k * stride + at, a[k]);
            } else a[k] = load(weighted + k * stride + at);
        });
        each<width>([&](auto b) MIXTURA_INLINE {
            const Lanes<Real> c = load(x[j + b] + at) - columns[b];
            each<height>([&](auto k) MIXTURA_INLINE {
                if constexpr (!diagonal || b <= k) sum[k * width + b] += a[k] * c;
            });
        });
    }
    alignas(BYTES) Real total[height * width + WIDTH<Real>];
    sums_across<Real, height * width>(sum, total);
    for (std::size_t k = 0; k < height; ++k)
        for (std::size_t b = 0; b < (diagonal ? k + 1 : width); ++b)
            to.second[(i + k) * d + j + b] += total[k * width + b];
    if constexpr (first) {
        sums_across<Real, height>(firsts, total);
        for (std::size_t k = 0; k < height; ++k) to.first[i + k] += total[k];
    }
}

template <class Real>
inline void tiled_scatter(Columns<Real> x, Present present, const Real* r, const Real* mean,
                          std::size_t d, Real* weighted, Target to) {
    count_present(present, r, to.count);
    const std::size_t top = d % TILE;
    if (top == 1)
        tile<Real, 1, 1, true, true>(x, present, r, mean, 0, 0, d, weighted, x.stride, to);
    if (top == 2)
        tile<Real, 2, 2, true, true>(x, present, r, mean, 0, 0, d, weighted, x.stride, to);
    if (top == 3)
        tile<Real, 3, 3, true, true>(x, present, r, mean, 0, 0, d, weighted, x.stride, to);
    for (std::size_t i = top; i < d; i += TILE) {
        tile<Real, TILE, TILE, true, true>(x, present, r, mean, i, i, d, weighted, x.stride, to);
        std::size_t j = 0;
        for (; j + ACROSS <= i; j += ACROSS)
            tile<Real, TILE, ACROSS, false, false>(x, present, r, mean, i, j, d, weighted, x.stride,
                                                   to);
        for (; j < i; ++j)
            tile<Real, TILE, 1, false, false>(x, present, r, mean, i, j, d, weighted, x.stride, to);
    }
}

// second += sum of r (x_i - mean_i)(x_j - mean_j) for j <= i, first += sum of r (x - mean).
template <class Real, std::size_t D>
void dense_scatter(Columns<Real> x, Present present, const Real* r, const Real* mean, std::size_t d,
                   Real* weighted, Target to) {
    if constexpr (D == 0) tiled_scatter<Real>(x, present, r, mean, d, weighted, to);
    else unrolled_scatter<Real, D, 0>(x, present, r, mean, to);
}

// first += sum of r (x - mean) for `width` columns from j on, and second += sum of r (x - mean)^2
// for each, or for all together.
template <class Real, std::size_t width>
inline void axis_columns(Columns<Real> x, Present present, const Real* r, const Real* mean,
                         std::size_t j, bool together, Target to) {
    Lanes<Real> sum[2 * width] = {};
    for (std::size_t t = 0; t < present.count; ++t) {
        const std::size_t at = present.at[t];
        const Lanes<Real> weight = load(r + at);
        each<width>([&](auto b) MIXTURA_INLINE {
            const Lanes<Real> c = load(x[j + b] + at) - mean[j + b], weighted = weight * c;
            sum[b] += weighted;
            sum[width + b] += weighted * c;
        });
    }
    alignas(BYTES) Real total[2 * width + WIDTH<Real>];
    sums_across<Real, 2 * width>(sum, total);
    for (std::size_t b = 0; b < width; ++b) {
        to.first[j + b] += total[b];
        to.second[together ? 0 : j + b] += total[width + b];
    }
}

template <class Real>
void axis_scatter(Columns<Real> x, Present present, const Real* r, const Real* mean, std::size_t d,
                  bool together, Target to) {
    constexpr std::size_t width = 4;
    count_present(present, r, to.count);
    std::size_t j = 0;
    for (; j + width <= d; j += width)
        axis_columns<Real, width>(x, present, r, mean, j, together, to);
    for (; j < d; ++j) axis_columns<Real, 1>(x, present, r, mean, j, together, to);
}

// first += sum of r (x - mean) alone.
template <class Real>
void weighted_sums(Columns<Real> x, Present present, const Real* r, const Real* mean, std::size_t d,
                   Target to) {
    count_present(present, r, to.count);
    for (std::size_t j = 0; j < d; ++j) {
        Lanes<Real> sum = {};
        for (std::size_t t = 0; t < present.count; ++t)
            sum += load(r + present.at[t]) * (load(x[j] + present.at[t]) - mean[j]);
        to.first[j] += static_cast<double>(across<Real>(sum));
    }
}

} // namespace
} // namespace mixtura

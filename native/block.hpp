// A block of rows: the rows in columns, and all that exists of them while they are worked on.
// Included by the kernels only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "e_step.hpp"
#include "lanes.hpp"
#include "model.hpp"
#include "products.hpp"

namespace mixtura {
namespace {

template <class Real>
struct Block {
    std::size_t stride; // between columns, in numbers
    Real *x, *turned;   // d x stride: the rows, transposed; the rows, turned
    // K x stride: log joint densities, then responsibilities times weights, by place in `reached`
    Real* level;
    Real *pull, *fall; // the same of t components: u, and log(1 + D / nu) + u
    Real* weight;      // per row; 0 past the last row
    Real* kept;        // the same without what the noise term has of it
    // Per row: the largest log joint density; of all relative to it, the sum and the mean logarithm
    Real *highest, *sum, *exponent;
    Real* weighted; // TILE x stride, for the scatter
    // The same in double, where some components need it.
    double *exact, *exact_level, *exact_weighted;
    std::size_t* reached;   // K: components that reach the block
    Real* negligible;       // K: log of the smallest responsibility of each that counts
    std::uint16_t* present; // K x vectors: where they have weight
    std::size_t* counts;    // K: in how many vectors
    std::uint16_t *everywhere, *exact_present; // all vectors; those of one component in double
    std::size_t* near;      // K: places of components that have weight in one vector
    double *centre, *bound; // d; K: of log joint densities, from above
    double* nowhere;        // 1 + d: a count and first moments that nobody reads
    std::size_t size, n_reached = 0, rows = 0;

    Block(const EStep& p, const Model<Real>& model, void* memory) {
        Pieces pieces{static_cast<char*>(memory)};
        const std::size_t most = block_rows<Real>(p), vectors = most / WIDTH<Real>;
        stride = most + APART / sizeof(Real);
        x = pieces.take<Real>(p.d * stride);
        turned = p.turn ? pieces.take<Real>(p.d * stride) : x;
        level = pieces.take<Real>(p.K * stride);
        pull = pieces.take<Real>(p.tails ? p.K * stride : 0);
        fall = pieces.take<Real>(p.tails ? p.K * stride : 0);
        weight = pieces.take<Real>(most);
        kept = p.noisy() ? pieces.take<Real>(most) : weight;
        highest = pieces.take<Real>(most);
        sum = pieces.take<Real>(most);
        exponent = pieces.take<Real>(most);
        weighted = pieces.take<Real>(TILE * stride);
        exact = pieces.take<double>(model.beside ? p.d * stride : 0);
        exact_level = pieces.take<double>(model.beside ? stride : 0);
        exact_weighted = pieces.take<double>(model.beside ? TILE * stride : 0);
        reached = pieces.take<std::size_t>(p.K);
        negligible = pieces.take<Real>(p.K);
        present = pieces.take<std::uint16_t>(p.K * vectors);
        counts = pieces.take<std::size_t>(p.K);
        everywhere = pieces.take<std::uint16_t>(vectors);
        exact_present = pieces.take<std::uint16_t>(model.beside ? most / WIDTH<double> : 0);
        near = pieces.take<std::size_t>(p.K);
        centre = pieces.take<double>(p.d);
        bound = pieces.take<double>(p.K);
        nowhere = pieces.take<double>(1 + p.d);
        size = pieces.used;
    }

    std::size_t vectors() const { return rows / WIDTH<Real>; }
};

// A number about a point, in the wider precision of the two.
template <class Real, class Number>
Real taken_about(Number x, Real point) {
    if constexpr (sizeof(Number) > sizeof(Real))
        return static_cast<Real>(x - static_cast<Number>(point));
    else return static_cast<Real>(x) - point;
}

// Columns from rows, about a point; rows past the last one are harmless copies of it. Squares of as
// many rows and columns as a vector has lanes are turned in registers; one that hangs over the end
// of a row reads into the next and keeps what is its own. Rows that are rounded to fewer digits are
// first taken about the point, which `about` holds exactly, or their offset would cost them.
template <class Number, class Real>
void transpose(const EStep& p, std::size_t begin, std::size_t m, std::size_t rows,
               const Real* about, Real* out, std::size_t stride) {
    constexpr std::size_t width = WIDTH<Real>;
    constexpr bool rounded = sizeof(Number) > sizeof(Real);
    typedef Number Piece __attribute__((vector_size(width * sizeof(Number))));
    const Number* from = static_cast<const Number*>(p.rows) + begin * p.d;
    const std::size_t readable = (p.n - begin) * p.d;
    for (std::size_t j = 0; j < p.d; j += width) {
        const std::size_t columns = p.d - j < width ? p.d - j : width;
        std::size_t i = 0;
        Piece shift = {};
        for (std::size_t c = 0; rounded && c < columns; ++c) shift[c] = about[j + c];
        for (; i + width <= m && (i + width - 1) * p.d + j + width <= readable; i += width) {
            Lanes<Real> v[width];
            each<width>([&](auto r) MIXTURA_INLINE {
                Piece piece;
                std::memcpy(&piece, from + (i + r) * p.d + j, sizeof piece);
                if constexpr (rounded) piece -= shift;
                v[r] = __builtin_convertvector(piece, Lanes<Real>);
            });
            turn_square<Real, 1>(v);
            each<width>([&](auto c) MIXTURA_INLINE {
                if (c < columns)
                    store(out + (j + c) * stride + i, rounded ? v[c] : v[c] - about[j + c]);
            });
        }
        for (; i < rows; ++i)
            for (std::size_t c = j; c < j + columns; ++c)
                out[c * stride + i] =
                    taken_about<Real>(from[(i < m ? i : m - 1) * p.d + c], about[c]);
    }
}

// y = turn (x - origin).
template <class Real>
void turn(const EStep& p, const Model<Real>& model, Block<Real>& b) {
    for (std::size_t at = 0; at < b.rows; at += GROUP * WIDTH<Real>)
        for (std::size_t i = 0; i < p.d; ++i) {
            Lanes<Real> y[GROUP] = {};
            for (std::size_t j = 0; j < p.d; ++j) {
                const Lanes<Real> a = fill(static_cast<Real>(p.turn[i * p.d + j]));
                each<GROUP>([&](auto s) MIXTURA_INLINE {
                    y[s] += (load(b.x + j * b.stride + at + s * WIDTH<Real>) - model.origin[j]) * a;
                });
            }
            each<GROUP>([&](auto s) MIXTURA_INLINE {
                store(b.turned + i * b.stride + at + s * WIDTH<Real>, y[s]);
            });
        }
}

template <class Real>
void load_block(const EStep& p, const Model<Real>& model, std::size_t begin, std::size_t m,
                Block<Real>& b) {
    constexpr std::size_t group = GROUP * WIDTH<Real>;
    b.rows = (m + group - 1) / group * group;
    const auto columns = [&](const auto* about, auto* out) {
        p.single ? transpose<float>(p, begin, m, b.rows, about, out, b.stride)
                 : transpose<double>(p, begin, m, b.rows, about, out, b.stride);
    };
    columns(model.shift, b.x);
    if (model.beside) columns(model.nothing, b.exact);
    for (std::size_t i = 0; i < m; ++i)
        b.weight[i] = p.weights ? static_cast<Real>(p.weights[begin + i]) : Real(1);
    for (std::size_t i = m; i < b.rows; ++i) b.weight[i] = Real(0);
    if (p.turn) turn(p, model, b);
}

} // namespace
} // namespace mixtura

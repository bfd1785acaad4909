// The model of an E-step: what all rows are held against, in the precision of the products.
// Included by the kernels only.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstring>

#include "e_step.hpp"
#include "lanes.hpp"
#include "products.hpp"

namespace mixtura {
namespace {

// ---- sizes --------------------------------------------------------------------------------------

// Bytes of a column of a block: with 16 columns a block stays near the first-level cache. A
// constant of the E-step, never read from the machine. Columns stand one vector further apart, so
// that they do not compete for the same lines of the cache.
constexpr std::size_t COLUMN = 2048, SHORT_COLUMN = 512, APART = 64;
constexpr std::size_t MANY = 256, WIDE = 64; // components, columns: from here on blocks are short

template <class Real>
std::size_t block_rows(const EStep& p) {
    return (p.K > MANY || p.d > WIDE ? SHORT_COLUMN : COLUMN) / sizeof(Real);
}

// Vectors: a last block is padded to a multiple of these, which every loop over lanes divides.
constexpr std::size_t GROUP = 4;

constexpr std::size_t SIDE_BY_SIDE = 2; // vectors whose memberships are computed at once

// Components: from here on whole blocks are asked which components reach them.
constexpr std::size_t BOUNDED = 16;
constexpr double SLACK = 1e-6; // what rounding may do to a bound, as a part of it

// Memory handed out in pieces that begin at multiples of 64 bytes. Without memory it measures.
struct Pieces {
    char* memory;
    std::size_t used = 0;
    template <class T>
    T* take(std::size_t count) {
        T* piece = reinterpret_cast<T*>(memory + used);
        used += (count * sizeof(T) + 63) / 64 * 64;
        return piece;
    }
};

// ---- the model ----------------------------------------------------------------------------------

// In the precision of the products. Means are about the origin where products are single.
template <class Real>
struct Parameters {
    // K x d; K x d, where distances are taken; K x size; K: of levels, 0 for t components
    Real *mean, *place, *whitener, *scale;
    std::size_t size;                      // of a whitener

    void lay_out(const EStep& p, Pieces& pieces) {
        size = p.form == Form::dense ? packed_size(p.d) : p.form == Form::diagonal ? p.d : 1;
        mean = pieces.take<Real>(p.K * p.d);
        place = p.turn ? pieces.take<Real>(p.K * p.d) : mean;
        whitener = pieces.take<Real>((p.whitener_step ? p.K : 1) * size);
        scale = pieces.take<Real>(p.K);
    }

    void prepare(const EStep& p, const double* origin) {
        constexpr double root_half = 0x1.6a09e667f3bcdp-1; // distances are halved squares
        for (std::size_t k = 0; k < p.K; ++k) {
            scale[k] = p.tails ? Real(0) : static_cast<Real>(p.log_scale[k]);
            for (std::size_t j = 0; j < p.d; ++j) {
                mean[k * p.d + j] =
                    static_cast<Real>(p.means[k * p.d + j] - (origin ? origin[j] : 0.0));
                if (p.turn) place[k * p.d + j] = static_cast<Real>(p.turned_means[k * p.d + j]);
            }
        }
        for (std::size_t k = 0; k < (p.whitener_step ? p.K : 1); ++k) {
            const double* from = p.whitener + k * p.whitener_step;
            if (p.form == Form::dense) pack<Real>(from, p.d, whitener + k * size);
            else
                for (std::size_t j = 0; j < size; ++j)
                    whitener[k * size + j] = static_cast<Real>(root_half * from[j]);
        }
    }

    const Real* whitener_of(const EStep& p, std::size_t k) const {
        return whitener + (p.whitener_step ? k * size : 0);
    }
};

// An upper bound of the largest singular value of W diag(unit), at most d^(1/32) times too large:
// the trace of the 16th power of its square, B = (W U)'(W U), is at least the 16th power of the
// largest eigenvalue of B and at most d times it.
double largest_stretch(const double* whitener, const double* unit, std::size_t d, double* B,
                       double* squared) {
    for (std::size_t i = 0; i < d; ++i)
        for (std::size_t j = 0; j < d; ++j) {
            double sum = 0.0;
            for (std::size_t r = i > j ? i : j; r < d; ++r)
                sum += whitener[r * d + i] * whitener[r * d + j];
            B[i * d + j] = sum * unit[i] * unit[j];
        }
    double log_scale = 0.0, power = 1.0, norm = 0.0;
    for (int round = 0;; ++round) {
        norm = 0.0;
        for (std::size_t i = 0; i < d * d; ++i) norm += B[i] * B[i];
        if (!(norm > 0.0) || round == 3) break;
        norm = std::sqrt(norm);
        for (std::size_t i = 0; i < d * d; ++i) B[i] /= norm;
        log_scale += std::log(norm) / power;
        for (std::size_t i = 0; i < d; ++i)
            for (std::size_t j = 0; j < d; ++j) {
                double sum = 0.0;
                for (std::size_t r = 0; r < d; ++r) sum += B[i * d + r] * B[r * d + j];
                squared[i * d + j] = sum;
            }
        std::memcpy(B, squared, d * d * sizeof(double));
        power *= 2.0;
    }
    return norm > 0.0 ? std::exp(0.5 * (log_scale + 0.5 * std::log(norm) / power)) : 0.0;
}

// How far a component reaches, for the bounds on whole blocks; in double, about the given means.
struct Reach {
    double *unit, *stretch, *scratch; // d: what a column is measured in; K: |W U|
    bool bounded = false;

    void lay_out(const EStep& p, Pieces& pieces) {
        bounded = p.shares && p.K >= BOUNDED;
        if (!bounded) return;
        unit = pieces.take<double>(p.d);
        stretch = pieces.take<double>(p.K);
        scratch = pieces.take<double>(p.form == Form::dense ? 2 * p.d * p.d : 0);
    }

    void prepare(const EStep& p) {
        if (!bounded) return;
        const std::size_t d = p.d, forms = p.whitener_step ? p.K : 1;
        for (std::size_t j = 0; j < d; ++j) {
            double sum = 0.0; // mean squared length of what a step along the column becomes
            for (std::size_t k = 0; k < forms; ++k) {
                const double* w = p.whitener + k * p.whitener_step;
                if (p.form == Form::dense)
                    for (std::size_t i = j; i < d; ++i) sum += w[i * d + j] * w[i * d + j];
                else sum += p.form == Form::diagonal ? w[j] * w[j] : w[0] * w[0];
            }
            unit[j] = 1.0 / std::sqrt(sum / static_cast<double>(forms));
        }
        for (std::size_t k = 0; k < p.K; ++k) {
            const double* w = p.whitener + k * p.whitener_step;
            if (k > 0 && !p.whitener_step) stretch[k] = stretch[0];
            else if (p.form == Form::dense)
                stretch[k] = largest_stretch(w, unit, d, scratch, scratch + d * d);
            else {
                stretch[k] = 0.0;
                for (std::size_t j = 0; j < d; ++j) {
                    const double one = (p.form == Form::diagonal ? w[j] : w[0]) * unit[j];
                    if (one > stretch[k]) stretch[k] = one;
                }
            }
        }
    }
};

// Both precisions of a pass: `Real` is that of the products; double stands beside it for what
// float32 cannot hold.
template <class Real>
struct Model {
    static constexpr bool single = sizeof(Real) == sizeof(float);
    Parameters<Real> own;
    Parameters<double> exact;
    Reach reach;
    double* nothing; // d zeros, where some components are computed in double
    // K; d: what columns are taken about; d: where the origin is in them.
    Real *negligible, *shift, *origin;
    bool beside = false;
    std::size_t size;

    Model(const EStep& p, const void* memory) {
        Pieces pieces{static_cast<char*>(const_cast<void*>(memory))};
        own.lay_out(p, pieces);
        for (std::size_t k = 0; single && k < p.K; ++k)
            beside |= p.ill_conditioned && p.ill_conditioned[k];
        if (beside) exact.lay_out(p, pieces);
        nothing = pieces.take<double>(beside ? p.d : 0);
        reach.lay_out(p, pieces);
        negligible = pieces.take<Real>(p.K);
        shift = pieces.take<Real>(p.d);
        origin = pieces.take<Real>(p.d);
        size = pieces.used;
    }

    void prepare(const EStep& p) {
        own.prepare(p, single ? p.origin : nullptr);
        if (beside) exact.prepare(p, nullptr);
        for (std::size_t j = 0; beside && j < p.d; ++j) nothing[j] = 0.0;
        reach.prepare(p);
        for (std::size_t k = 0; k < p.K; ++k) {
            const Real least = p.shares ? static_cast<Real>(std::log(LEFT_OUT * p.shares[k]))
                                        : Constants<Real>::lowest;
            negligible[k] = least > Constants<Real>::lowest ? least : Constants<Real>::lowest;
        }
        for (std::size_t j = 0; j < p.d; ++j) {
            const Real at = p.origin ? static_cast<Real>(p.origin[j]) : Real(0);
            shift[j] = single ? at : Real(0);
            origin[j] = single ? Real(0) : at;
        }
    }
};

} // namespace
} // namespace mixtura

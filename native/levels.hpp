// Log joint densities of a block of rows. Included by the kernels only.
#pragma once

#include "block.hpp"
#include "e_step.hpp"
#include "lanes.hpp"
#include "model.hpp"
#include "products.hpp"

namespace mixtura {
namespace {

template <class Real>
void levels_of(const EStep& p, const Parameters<Real>& own, std::size_t k, Columns<Real> x,
               std::size_t rows, Real* out) {
    const Real *mean = own.place + k * p.d, *whitener = own.whitener_of(p, k);
    if (p.form == Form::dense)
        with_columns(p.d, [&](auto D) {
            dense_levels<Real, D>(x, rows, p.d, mean, whitener, own.scale[k], out);
        });
    else
        axis_levels<Real>(x, rows, p.d, mean, whitener, p.form == Form::diagonal, own.scale[k],
                          out);
}

// What dense_levels and axis_levels give for a scale of 0, minus half the squared distance D,
// becomes scale - (nu + d) / 2 log(1 + D / nu), beside the pull and the fall of each row
// (src/mixtura/model/tails.py).
inline void t_levels(double nu, double d, double scale, std::size_t rows, double* level,
                     double* pull, double* fall) {
    constexpr std::size_t S = SIDE_BY_SIDE, width = WIDTH<double>;
    typedef Lanes<double> Vector;
    const double inverse_nu = 1.0 / nu, half = 0.5 * (nu + d);
    for (std::size_t at = 0; at < rows; at += S * width)
        each<S>([&](auto s) MIXTURA_INLINE {
            const std::size_t here = at + s * width;
            Vector D = load(level + here) * -2.0;
            D = D < fill(FARTHEST) ? D : fill(FARTHEST);
            const Vector x = D * inverse_nu, y = x + 1.0, inverse = 1.0 / (D + nu),
                         u = inverse * (nu + d);
            // what y has lost of x by rounding is added to the first order
            const Vector log_y = logarithm<double>(y) + (x - (y - 1.0)) * (inverse * nu);
            store(level + here, scale - half * log_y);
            store(pull + here, u);
            store(fall + here, log_y + u);
        });
}

inline bool ill(const EStep& p, std::size_t k) { return p.ill_conditioned && p.ill_conditioned[k]; }

// level[t] = log weight_k + log N(x | k), or of a t component, with k = reached[t], for all rows.
template <class Real>
void levels(const EStep& p, const Model<Real>& model, Block<Real>& b) {
    for (std::size_t t = 0; t < b.n_reached; ++t) {
        const std::size_t k = b.reached[t];
        Real* out = b.level + t * b.stride;
        if (model.beside && ill(p, k)) {
            levels_of<double>(p, model.exact, k, {b.exact, b.stride}, b.rows, b.exact_level);
            for (std::size_t i = 0; i < b.rows; ++i) out[i] = static_cast<Real>(b.exact_level[i]);
        } else levels_of<Real>(p, model.own, k, {b.turned, b.stride}, b.rows, out);
        if constexpr (!Model<Real>::single)
            if (p.tails)
                t_levels(p.tails[k], static_cast<double>(p.d), p.log_scale[k], b.rows, out,
                         b.pull + t * b.stride, b.fall + t * b.stride);
    }
}

} // namespace
} // namespace mixtura

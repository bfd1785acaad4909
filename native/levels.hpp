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

inline bool ill(const EStep& p, std::size_t k) { return p.ill_conditioned && p.ill_conditioned[k]; }

// level[t] = log weight_k + log N(x | k) with k = reached[t], for all rows.
template <class Real>
void levels(const EStep& p, const Model<Real>& model, Block<Real>& b) {
    for (std::size_t t = 0; t < b.n_reached; ++t) {
        const std::size_t k = b.reached[t];
        Real* out = b.level + t * b.stride;
        if (model.beside && ill(p, k)) {
            levels_of<double>(p, model.exact, k, {b.exact, b.stride}, b.rows, b.exact_level);
            for (std::size_t i = 0; i < b.rows; ++i) out[i] = static_cast<Real>(b.exact_level[i]);
        } else levels_of<Real>(p, model.own, k, {b.turned, b.stride}, b.rows, out);
    }
}

} // namespace
} // namespace mixtura

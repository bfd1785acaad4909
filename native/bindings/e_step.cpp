// One E-step, log densities, and the elementary functions of the kernels.

#include "e_step.hpp"

#include <map>

#include <nanobind/stl/map.h>

#include "../runtime.hpp"
#include "../shortcuts.hpp"
#include "../tails.hpp"

namespace mixtura {
namespace {

Scatter scatter_named(const std::string& name) {
    if (name == "trace") return Scatter::trace;
    if (name == "diagonal") return Scatter::diagonal;
    if (name == "total") return Scatter::total;
    if (name == "dense") return Scatter::dense;
    throw std::invalid_argument("scatter must be trace, diagonal, total or dense");
}

// Which short cuts may be taken; see EStep.
void allow(EStep& p, const std::optional<Vector>& shares, const std::optional<Matrix>& axes,
           bool single_products) {
    demand(!shares || shares->shape(0) == p.K, "shares must have one value per component");
    demand(!axes || (axes->shape(0) == p.d && axes->shape(1) == p.d), "axes must be d x d");
    p.shares = shares ? shares->data() : nullptr, p.axes = axes ? axes->data() : nullptr;
    p.single_products = single_products;
}

void give_tails(EStep& p, const std::optional<Vector>& tails) {
    demand(!tails || tails->shape(0) == p.K, "tails must have one value per component");
    p.tails = tails ? tails->data() : nullptr;
}

// Which short cuts would be taken, by name, with the number of components that float32 does not
// carry.
std::map<std::string, std::size_t> shortcuts(const Rows& rows, const Matrix& means,
                                             const Vector& log_scale, const Matrix& whitener,
                                             const std::string& scatter,
                                             std::optional<Vector> shares,
                                             std::optional<Matrix> axes, bool single_products) {
    EStep plain = e_step_of(rows, means, log_scale, whitener);
    allow(plain, shares, axes, single_products);
    plain.scatter = scatter_named(scatter);
    const Shortcuts taken(plain);
    const EStep& p = taken.e_step();
    std::size_t ill = 0;
    for (std::size_t k = 0; p.ill_conditioned && k < p.K; ++k) ill += p.ill_conditioned[k];
    return {{"turn", p.turn != nullptr},
            {"pooled", p.pooled},
            {"single", p.single_products},
            {"ill_conditioned", ill}};
}

void e_step(const Rows& rows, std::optional<Vector> weights, const Matrix& means,
            const Vector& log_scale, const Matrix& whitener, const std::string& scatter,
            VectorOut counts, MatrixOut first, VectorOut second, VectorOut likelihoods,
            std::size_t threads, std::optional<Vector> shares, std::optional<Matrix> axes,
            bool single_products, double log_noise, std::optional<Vector> tails,
            std::optional<MatrixOut> pulled) {
    EStep p = e_step_of(rows, means, log_scale, whitener);
    allow(p, shares, axes, single_products);
    give_tails(p, tails);
    p.log_noise = log_noise;
    p.scatter = scatter_named(scatter);
    demand(!weights || weights->shape(0) == p.n, "weights must have one value per row");
    p.weights = weights ? weights->data() : nullptr;
    demand(counts.shape(0) == p.K && first.shape(0) == p.K && first.shape(1) == p.d &&
               second.shape(0) == second_size(p.scatter, p.K, p.d) && likelihoods.shape(0) == 4,
           "outputs have the wrong shape");
    Sums total{counts.data(), first.data(), second.data(), 0.0, 0.0, 0.0};
    if (p.tails) {
        demand(pulled && pulled->shape(0) == 3 && pulled->shape(1) == p.K, "pulled must be 3 x K");
        total.pulls = pulled->data(), total.falls = pulled->data() + p.K;
    }
    {
        nb::gil_scoped_release released;
        run_moments(p, threads, total);
    }
    for (std::size_t k = 0; p.tails && k < p.K; ++k) {
        const double nu = p.tails[k], count = counts.data()[k],
                     twice = count * score_constant(nu, p.d) - total.falls[k],
                     known = count * information(nu, p.d);
        total.falls[k] = tail_sum(nu, twice, known);
        total.falls[p.K + k] = known;
    }
    double* out = likelihoods.data();
    out[0] = total.log_likelihood, out[1] = total.entropy, out[2] = total.certainty;
    out[3] = total.noise;
}

void log_joint(const Rows& rows, const Matrix& means, const Vector& log_scale,
               const Matrix& whitener, std::optional<Vector> tails, MatrixOut out,
               std::size_t threads) {
    EStep p = e_step_of(rows, means, log_scale, whitener);
    give_tails(p, tails);
    demand(out.shape(0) == p.n && out.shape(1) == p.K, "out must be n x K");
    nb::gil_scoped_release released;
    run_log_joint(p, threads, out.data());
}

// The elementary functions as the kernels compute them, element by element.
template <class Real, void (*Kernels::*function)(const Real*, std::size_t, Real*)>
void elementwise(const Taken<const Real, nb::ndim<1>>& x, Taken<Real, nb::ndim<1>> out) {
    demand(x.shape(0) == out.shape(0) && x.shape(0) % 16 == 0,
           "x and out must be of one length, a multiple of 16");
    (kernels().*function)(x.data(), x.shape(0), out.data());
}

} // namespace

EStep e_step_of(const Rows& rows, const Matrix& means, const Vector& log_scale,
                const Matrix& whitener) {
    EStep p{};
    p.rows = rows.data(), p.single = is_single(rows);
    p.n = rows.shape(0), p.d = rows.shape(1), p.K = means.shape(0);
    demand(p.d > 0 && p.K > 0, "rows need a column and means a row");
    demand(means.shape(1) == p.d, "means must have as many columns as rows");
    demand(log_scale.shape(0) == p.K, "log_scale must have one value per component");
    demand(whitener.shape(0) == p.K || whitener.shape(0) == 1, "whitener must have K rows or one");
    const std::size_t width = whitener.shape(1);
    demand(width == 1 || width == p.d || width == p.d * p.d, "whitener must be 1, d or d*d wide");
    p.form = width == 1 ? Form::spherical : width == p.d ? Form::diagonal : Form::dense;
    p.whitener_step = whitener.shape(0) == 1 ? 0 : width;
    p.means = means.data(), p.log_scale = log_scale.data(), p.whitener = whitener.data();
    return p;
}

void bind_e_step(nb::module_& m) {
    m.def("e_step", &e_step, array("rows"), array_or_none("weights"), array("means"),
          array("log_scale"), array("whitener"), "scatter"_a, array("counts"), array("first"),
          array("second"), array("likelihoods"), "threads"_a, array_or_none("shares"),
          array_or_none("axes"), "single_products"_a, "log_noise"_a, array_or_none("tails"),
          array_or_none("pulled"),
          "The moments of the rows under a mixture; of t components also pulls, tail sums and tail "
          "information, 3 x K.");
    m.def("shortcuts", &shortcuts, array("rows"), array("means"), array("log_scale"),
          array("whitener"), "scatter"_a, array_or_none("shares"), array_or_none("axes"),
          "single_products"_a, "The short cuts e_step would take.");
    m.def("log_joint", &log_joint, array("rows"), array("means"), array("log_scale"),
          array("whitener"), array_or_none("tails"), array("out"), "threads"_a,
          "Log joint densities of rows and components.");
    m.def("exponential", &elementwise<double, &Kernels::exponential>, array("x"), array("out"),
          "exp(x) for -708 <= x <= 0.");
    m.def("exponential", &elementwise<float, &Kernels::exponential_single>, array("x"),
          array("out"));
    m.def("logarithm", &elementwise<double, &Kernels::logarithm>, array("x"), array("out"),
          "log(x) for normal x > 0.");
    m.def("logarithm", &elementwise<float, &Kernels::logarithm_single>, array("x"), array("out"));
}

} // namespace mixtura

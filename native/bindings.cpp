// The Python module: check shapes, release the GIL, call.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <map>
#include <new>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include "axes.hpp"
#include "dense.hpp"
#include "hierarchy.hpp"
#include "order.hpp"
#include "convergence_rate.hpp"
#include "runtime.hpp"
#include "shortcuts.hpp"
#include "volumes.hpp"
#include "loop.hpp"

namespace nb = nanobind;
using namespace nb::literals;
using namespace mixtura;

using Rows = nb::ndarray<nb::ro, nb::numpy, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Vector = nb::ndarray<const double, nb::numpy, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Matrix = nb::ndarray<const double, nb::numpy, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Flags = nb::ndarray<const bool, nb::numpy, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using VectorOut = nb::ndarray<double, nb::numpy, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Cube = nb::ndarray<const double, nb::numpy, nb::ndim<3>, nb::c_contig, nb::device::cpu>;
using MatrixOut = nb::ndarray<double, nb::numpy, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using CubeOut = nb::ndarray<double, nb::numpy, nb::ndim<3>, nb::c_contig, nb::device::cpu>;
using PlacesOut = nb::ndarray<std::int64_t, nb::numpy, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using PairsOut = nb::ndarray<std::int64_t, nb::numpy, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

namespace {

void demand(bool held, const char* what) {
    if (!held) throw std::invalid_argument(what);
}

Scatter scatter_named(const std::string& name) {
    if (name == "trace") return Scatter::trace;
    if (name == "diagonal") return Scatter::diagonal;
    if (name == "total") return Scatter::total;
    if (name == "dense") return Scatter::dense;
    throw std::invalid_argument("scatter must be trace, diagonal, total or dense");
}

EStep e_step_of(const Rows& rows, const Matrix& means, const Vector& log_scale,
                const Matrix& whitener) {
    EStep p{};
    p.rows = rows.data();
    p.single = rows.dtype() == nb::dtype<float>();
    demand(p.single || rows.dtype() == nb::dtype<double>(), "rows must be float64 or float32");
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

// Which short cuts may be taken; see EStep.
void allow(EStep& p, const std::optional<Vector>& shares, const std::optional<Matrix>& axes,
           bool single_products) {
    demand(!shares || shares->shape(0) == p.K, "shares must have one value per component");
    demand(!axes || (axes->shape(0) == p.d && axes->shape(1) == p.d), "axes must be d x d");
    p.shares = shares ? shares->data() : nullptr, p.axes = axes ? axes->data() : nullptr;
    p.single_products = single_products;
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
            bool single_products) {
    EStep p = e_step_of(rows, means, log_scale, whitener);
    allow(p, shares, axes, single_products);
    p.scatter = scatter_named(scatter);
    demand(!weights || weights->shape(0) == p.n, "weights must have one value per row");
    p.weights = weights ? weights->data() : nullptr;
    demand(counts.shape(0) == p.K && first.shape(0) == p.K && first.shape(1) == p.d &&
               second.shape(0) == second_size(p.scatter, p.K, p.d) && likelihoods.shape(0) == 3,
           "outputs have the wrong shape");
    Sums total{counts.data(), first.data(), second.data(), 0.0, 0.0, 0.0};
    {
        nb::gil_scoped_release released;
        run_moments(p, threads, total);
    }
    double* out = likelihoods.data();
    out[0] = total.log_likelihood, out[1] = total.entropy, out[2] = total.certainty;
}

void log_joint(const Rows& rows, const Matrix& means, const Vector& log_scale,
               const Matrix& whitener, MatrixOut out, std::size_t threads) {
    const EStep p = e_step_of(rows, means, log_scale, whitener);
    demand(out.shape(0) == p.n && out.shape(1) == p.K, "out must be n x K");
    nb::gil_scoped_release released;
    run_log_joint(p, threads, out.data());
}

Own own_named(const std::string& name) {
    const std::map<std::string, Own> names{{"nothing", Own::nothing},
                                           {"volume", Own::volume},
                                           {"axes", Own::axes},
                                           {"shape", Own::shape},
                                           {"matrix", Own::matrix},
                                           {"matrix_of_one_volume", Own::matrix_of_one_volume},
                                           {"orientation", Own::orientation},
                                           {"orientation_and_volume", Own::orientation_and_volume}};
    const auto found = names.find(name);
    if (found == names.end())
        throw std::invalid_argument("kind must name what of a covariance is a component's own");
    return found->second;
}

OwnParts own_parts(const EStep& p, const std::string& kind, const Matrix& frames, const Flags& free,
                   const Vector& counts, const Vector& pulled, const Vector& rows,
                   const Vector& ratios, const std::optional<Matrix>& spreads,
                   const std::optional<Matrix>& variances, const std::optional<Cube>& slopes) {
    OwnParts own{};
    own.kind = own_named(kind);
    const bool turns = own.kind == Own::orientation || own.kind == Own::orientation_and_volume;
    const std::size_t width = frames.shape(1);
    demand(frames.shape(0) == p.K || frames.shape(0) == 1, "frames must have K rows or one");
    demand(width == p.d || width == p.d * p.d ||
               (width == 1 && (own.kind == Own::nothing || own.kind == Own::volume)),
           "frames must be d or d*d wide");
    demand(free.shape(0) == p.K && free.shape(1) == p.d, "free must be K x d");
    for (const Vector* one : {&counts, &pulled, &rows, &ratios})
        demand(one->shape(0) == p.K, "there must be one number per component");
    for (const std::optional<Matrix>* one : {&spreads, &variances})
        demand(*one ? (*one)->shape(0) == p.K && (*one)->shape(1) == p.d : !turns,
               "spreads and variances must be K x d");
    demand(slopes ? slopes->shape(0) == p.K && slopes->shape(1) == p.d && slopes->shape(2) == p.d
                  : !turns,
           "slopes must be K x d x d");
    own.frames = frames.data(), own.along_columns = width == p.d;
    own.frame_step = frames.shape(0) == 1 ? 0 : width;
    own.free = free.data();
    own.counts = counts.data(), own.pulled = pulled.data(), own.rows = rows.data(),
    own.ratios = ratios.data();
    own.spreads = spreads ? spreads->data() : nullptr,
    own.variances = variances ? variances->data() : nullptr;
    own.slopes = slopes ? slopes->data() : nullptr;
    return own;
}

void effective_parameters(const Rows& rows, std::optional<Vector> weights, const Matrix& means,
                          const Vector& log_scale, const Matrix& whitener, const std::string& kind,
                          const Matrix& frames, const Flags& free, const Vector& counts,
                          const Vector& pulled, const Vector& held_by, const Vector& ratios,
                          std::optional<Matrix> spreads, std::optional<Matrix> variances,
                          std::optional<Cube> slopes, double total, double unit, bool own_weights,
                          VectorOut out, std::size_t threads) {
    EStep p = e_step_of(rows, means, log_scale, whitener);
    demand(!weights || weights->shape(0) == p.n, "weights must have one value per row");
    demand(out.shape(0) == p.K, "out must have one value per component");
    p.weights = weights ? weights->data() : nullptr;
    OwnParts own = own_parts(p, kind, frames, free, counts, pulled, held_by, ratios, spreads,
                             variances, slopes);
    own.total = total, own.unit = unit, own.own_weights = own_weights;
    nb::gil_scoped_release released;
    run_effective(p, own, threads, out.data());
}

// The elementary functions as the kernels compute them, element by element.
template <class Real>
using Elements = nb::ndarray<const Real, nb::numpy, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
template <class Real>
using ElementsOut = nb::ndarray<Real, nb::numpy, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

template <class Real, void (*Kernels::*function)(const Real*, std::size_t, Real*)>
void elementwise(const Elements<Real>& x, ElementsOut<Real> out) {
    demand(x.shape(0) == out.shape(0) && x.shape(0) % 16 == 0,
           "x and out must be of one length, a multiple of 16");
    (kernels().*function)(x.data(), x.shape(0), out.data());
}

double sweep(CubeOut turned, const Vector& counts, MatrixOut axes, bool equal_volumes,
             std::size_t turns, double negligible) {
    const std::size_t d = axes.shape(0), K = counts.shape(0);
    demand(turned.shape(0) == d && turned.shape(1) == d && turned.shape(2) == K &&
               axes.shape(1) == d,
           "turned must be d x d x K, axes d x d");
    nb::gil_scoped_release released;
    return sweep_axes(turned.data(), counts.data(), axes.data(), d, K, equal_volumes, turns,
                      negligible);
}

double newton(CubeOut turned, const Vector& counts, MatrixOut axes, bool equal_volumes) {
    const std::size_t d = axes.shape(0), K = counts.shape(0);
    demand(turned.shape(0) == d && turned.shape(1) == d && turned.shape(2) == K &&
               axes.shape(1) == d,
           "turned must be d x d x K, axes d x d");
    nb::gil_scoped_release released;
    return newton_axes(turned.data(), counts.data(), axes.data(), d, K, equal_volumes);
}

bool shared_volumes(const Rows& S, const Vector& counts, VectorOut lambdas, std::size_t d,
                    std::size_t most_steps, double settled) {
    const std::size_t K = counts.shape(0), width = S.shape(1);
    demand(S.dtype() == nb::dtype<double>() && S.shape(0) == K && (width == d || width == d * d),
           "S must be K x d or K x d*d");
    demand(lambdas.shape(0) == K, "lambdas must have one value per component");
    nb::gil_scoped_release released;
    return volumes(static_cast<const double*>(S.data()), counts.data(), K, d, width != d,
                   most_steps, settled, lambdas.data());
}

Criterion criterion_named(const std::string& name) {
    if (name == "EII") return Criterion::EII;
    if (name == "VII") return Criterion::VII;
    if (name == "EEE") return Criterion::EEE;
    if (name == "VVV") return Criterion::VVV;
    throw std::invalid_argument("criterion must be EII, VII, EEE or VVV");
}

void agglomerate_items(const Vector& counts, const Matrix& means, std::optional<Cube> scatters,
                       const std::string& criterion, double shrink, double units, PairsOut merges,
                       VectorOut costs) {
    const std::size_t m = counts.shape(0), d = means.shape(1);
    demand(m > 0 && d > 0 && means.shape(0) == m, "means must have one row per count and a column");
    demand(!scatters ||
               (scatters->shape(0) == m && scatters->shape(1) == d && scatters->shape(2) == d),
           "scatters must be m x d x d");
    demand(merges.shape(0) == m - 1 && merges.shape(1) == 2 && costs.shape(0) == m - 1,
           "outputs have the wrong shape");
    const Items items{counts.data(),
                      means.data(),
                      scatters ? scatters->data() : nullptr,
                      m,
                      d,
                      criterion_named(criterion),
                      shrink,
                      units};
    Outcome outcome;
    {
        nb::gil_scoped_release released;
        outcome = agglomerate(items, merges.data(), costs.data());
    }
    if (outcome == Outcome::out_of_memory) throw std::bad_alloc();
}

// Inverse Cholesky factors; the index of the first matrix that is not positive definite, or -1.
std::ptrdiff_t whiteners(const Cube& matrices, CubeOut out) {
    const std::size_t F = matrices.shape(0), d = matrices.shape(1), size = d * d;
    demand(matrices.shape(2) == d && out.shape(0) == F && out.shape(1) == d && out.shape(2) == d,
           "shapes differ");
    nb::gil_scoped_release released;
    std::vector<double> factor(size);
    for (std::size_t k = 0; k < F; ++k) {
        std::copy_n(matrices.data() + k * size, size, factor.data());
        if (!cholesky(factor.data(), d)) return static_cast<std::ptrdiff_t>(k);
        invert_lower(factor.data(), d, out.data() + k * size);
    }
    return -1;
}

// Whether all eigenvalues of every matrix, in units of `scale`, are above its bound; the first that
// fails, or -1.
std::ptrdiff_t first_below(const Cube& matrices, const Vector& scale, const Vector& bounds) {
    const std::size_t F = matrices.shape(0), d = matrices.shape(1), size = d * d;
    demand(matrices.shape(2) == d && scale.shape(0) == d && bounds.shape(0) == F, "shapes differ");
    nb::gil_scoped_release released;
    std::vector<double> shifted(size);
    for (std::size_t k = 0; k < F; ++k) {
        std::copy_n(matrices.data() + k * size, size, shifted.data());
        for (std::size_t j = 0; j < d; ++j)
            shifted[j * d + j] -= bounds.data()[k] * scale.data()[j];
        if (!cholesky(shifted.data(), d)) return static_cast<std::ptrdiff_t>(k);
    }
    return -1;
}

void order_rows(const Rows& rows, const Vector& scale, std::size_t together, PlacesOut order) {
    const std::size_t n = rows.shape(0), d = rows.shape(1);
    demand(scale.shape(0) == d && order.shape(0) == n && together > 0,
           "scale must have one value per column, order one per row");
    const bool single = rows.dtype() == nb::dtype<float>();
    demand(single || rows.dtype() == nb::dtype<double>(), "rows must be float64 or float32");
    nb::gil_scoped_release released;
    if (single)
        compact_order(static_cast<const float*>(rows.data()), n, d, scale.data(), together,
                      order.data());
    else
        compact_order(static_cast<const double*>(rows.data()), n, d, scale.data(), together,
                      order.data());
}

// ---- the loop -----------------------------------------------------------------------------------

using Own = nb::ndarray<double, nb::numpy>;

// A NumPy array of its own with these numbers.
Own array_of(const Numbers& numbers, const std::vector<std::size_t>& shape) {
    auto* copy = new Numbers(numbers);
    return Own(copy->data(), shape.size(), shape.data(),
               nb::capsule(copy, [](void* p) noexcept { delete static_cast<Numbers*>(p); }));
}

Numbers numbers_of(const Vector& v) { return Numbers(v.data(), v.data() + v.shape(0)); }
Numbers numbers_of(const Matrix& m) {
    return Numbers(m.data(), m.data() + m.shape(0) * m.shape(1));
}

// Rows, scatter of the columns, what is best
using Prior = std::optional<std::tuple<double, Vector, double>>;

Setting setting_of(const std::string& family, const Vector& floor, bool equal_weights,
                   const Prior& prior, std::size_t d) {
    const Law* law = law_named(family);
    demand(law, "the family has no law here");
    demand(floor.shape(0) == d, "floor must have one value per column");
    Setting setting{law, numbers_of(floor), equal_weights, {}};
    if (!prior) return setting;
    const auto& [rows, scatter, best] = *prior;
    demand(law->form == Form::dense, "pseudo-rows are for full covariances");
    demand(scatter.shape(0) == d, "the prior must have one value per column");
    setting.prior = PseudoRows{rows, best, numbers_of(scatter)};
    return setting;
}

Moments moments_of(const Law& law, const Matrix& about, const Vector& counts, const Matrix& first,
                   const Vector& second) {
    Moments m;
    m.K = about.shape(0), m.d = about.shape(1), m.kind = law.needs;
    demand(m.K > 0 && m.d > 0 && counts.shape(0) == m.K && first.shape(0) == m.K &&
               first.shape(1) == m.d && second.shape(0) == second_size(m.kind, m.K, m.d),
           "moments have the wrong shape");
    m.about = numbers_of(about), m.counts = numbers_of(counts), m.first = numbers_of(first),
    m.second = numbers_of(second);
    return m;
}

Mixture mixture_of(const Law& law, const Vector& weights, const Matrix& means, const Vector& values,
                   std::optional<Matrix> axes) {
    Mixture m;
    m.K = means.shape(0), m.d = means.shape(1), m.F = law.shares_all ? 1 : m.K, m.form = law.form;
    demand(m.K > 0 && m.d > 0 && weights.shape(0) == m.K && values.shape(0) == m.F * m.size(),
           "the mixture has the wrong shape");
    demand(!axes || (axes->shape(0) == m.d && axes->shape(1) == m.d), "axes must be d x d");
    m.weights = numbers_of(weights), m.means = numbers_of(means), m.values = numbers_of(values);
    if (axes) m.axes = numbers_of(*axes);
    return m;
}

// Weights, means, values, whiteners, and the common axes, one per row, or None.
nb::tuple components_of(const Mixture& m) {
    std::vector<std::size_t> shape{m.F};
    if (m.form != Form::spherical) shape.push_back(m.d);
    if (m.form == Form::dense) shape.push_back(m.d);
    const nb::object axes =
        m.axes.empty() ? nb::object(nb::none()) : nb::cast(array_of(m.axes, {m.d, m.d}));
    return nb::make_tuple(array_of(m.weights, {m.K}), array_of(m.means, {m.K, m.d}),
                          array_of(m.values, shape), array_of(m.whitener, shape), axes);
}

// One M-step on its own: the parts of the mixture, or the component that collapsed.
nb::object one_m_step(const std::string& family, const Vector& floor, bool equal_weights,
                      const Matrix& about, const Vector& counts, const Matrix& first,
                      const Vector& second, nb::object previous, const Prior& prior) {
    const Setting setting = setting_of(family, floor, equal_weights, prior, about.shape(1));
    Mixture before, out;
    if (!previous.is_none()) {
        before =
            mixture_of(*setting.law, nb::cast<Vector>(previous[0]), nb::cast<Matrix>(previous[1]),
                       nb::cast<Vector>(previous[2]), nb::cast<std::optional<Matrix>>(previous[3]));
        demand(complete(before) < 0, "the previous mixture is singular");
    }
    const Moments m = moments_of(*setting.law, about, counts, first, second);
    const std::ptrdiff_t collapsed =
        m_step(setting, m, previous.is_none() ? nullptr : &before, out);
    return collapsed >= 0 ? nb::int_(collapsed) : nb::object(components_of(out));
}

double largest_real(const Matrix& hessenberg) {
    demand(hessenberg.shape(0) == hessenberg.shape(1), "the matrix must be square");
    Numbers used = numbers_of(hessenberg);
    return largest_real_part(used.data(), hessenberg.shape(0));
}

// A loop with the arrays that it reads, which must not be freed before it.
class HeldLoop {
public:
    HeldLoop(Rows rows, std::optional<Vector> weights, const std::string& family,
             const Vector& floor, bool equal_weights, const Prior& prior,
             const std::string& measure, double tolerance, double safety, std::size_t window,
             const Vector& units, bool accelerated, std::size_t threads, bool single_products)
        : rows_(rows), weights_(weights),
          loop_(data(threads, single_products),
                setting_of(family, floor, equal_weights, prior, rows.shape(1)),
                Rule{measure_named(measure), tolerance, safety, window}, units_of(units, rows),
                accelerated) {}

    std::ptrdiff_t begin_with_moments(const Matrix& about, const Vector& counts,
                                      const Matrix& first, const Vector& second) {
        demand(about.shape(1) == rows_.shape(1), "moments and rows must have as many columns");
        const Moments start = moments_of(loop_.law(), about, counts, first, second);
        nb::gil_scoped_release released;
        return loop_.begin(start);
    }

    std::ptrdiff_t begin_with_mixture(const Vector& weights, const Matrix& means,
                                      const Vector& values, std::optional<Matrix> axes,
                                      const std::vector<double>& trace, std::size_t kept) {
        demand(means.shape(1) == rows_.shape(1), "means and rows must have as many columns");
        const Mixture start = mixture_of(loop_.law(), weights, means, values, axes);
        nb::gil_scoped_release released;
        return loop_.begin(start, trace, kept);
    }

    std::string iterate(std::size_t most, std::size_t next_check, nb::object stopped) {
        demand(!loop_.trace().empty(), "a loop begins before it goes on");
        const Loop::Pause pause = listening(stopped);
        nb::gil_scoped_release released;
        return NAMES[static_cast<std::size_t>(loop_.iterate(most, next_check, pause))];
    }

    double slowest_rate(const Vector& random, nb::object stopped) {
        demand(random.shape(0) == loop_.vector_size(),
               "random must be as long as a vector of moments");
        demand(loop_.after_a_plain_step(), "a rate is measured after a plain step");
        const Loop::Pause pause = listening(stopped);
        nb::gil_scoped_release released;
        return loop_.slowest_rate(random.data(), pause);
    }

    void set_tolerance(double tolerance) { loop_.set_tolerance(tolerance); }
    nb::tuple mixture() const { return components_of(loop_.mixture()); }
    nb::tuple sums() const { // log-likelihood, entropy, certainty, total
        const Moments& m = loop_.moments();
        return nb::make_tuple(m.log_likelihood, m.entropy, m.certainty, m.total());
    }
    nb::tuple moments() const { // counts, first and second moments about the means of the mixture
        const Moments& m = loop_.moments();
        return nb::make_tuple(array_of(m.counts, {m.K}), array_of(m.first, {m.K, m.d}),
                              array_of(m.second, {m.second.size()}));
    }
    const Numbers& trace() const { return loop_.trace(); }
    const Numbers& plain() const { return loop_.plain(); }
    double objective() const { return loop_.trace().back(); }
    double last_gain() const {
        const Numbers& trace = loop_.trace();
        return trace.size() < 2 ? std::nan("") : trace[trace.size() - 1] - trace[trace.size() - 2];
    }
    double fall() const { return loop_.fall(); }
    std::size_t n_iter() const { return loop_.n_iter(); }
    std::size_t vector_size() const { return loop_.vector_size(); }

private:
    static constexpr const char* NAMES[] = {"spent", "check", "fell", "collapsed"}; // of events

    static Measure measure_named(const std::string& name) {
        if (name == "remaining_gain") return Measure::remaining_gain;
        if (name == "change_per_row") return Measure::change_per_row;
        if (name == "gain") return Measure::gain;
        if (name == "relative_gain") return Measure::relative_gain;
        throw std::invalid_argument(
            "measure must be remaining_gain, change_per_row, gain or relative_gain");
    }

    static Numbers units_of(const Vector& units, const Rows& rows) {
        demand(units.shape(0) == rows.shape(1), "units must have one value per column");
        return numbers_of(units);
    }

    Data data(std::size_t threads, bool single_products) const {
        const bool single = rows_.dtype() == nb::dtype<float>();
        demand(single || rows_.dtype() == nb::dtype<double>(), "rows must be float64 or float32");
        demand(rows_.shape(1) > 0, "rows need a column");
        demand(!weights_ || weights_->shape(0) == rows_.shape(0),
               "weights must have one value per row");
        return Data{rows_.data(),   single,         weights_ ? weights_->data() : nullptr,
                    rows_.shape(0), rows_.shape(1), threads,
                    single_products};
    }

    // Between maps, and not more often than every few hundredths of a second: Ctrl-C, and whether
    // another thread calls it off.
    static Loop::Pause listening(nb::object stopped) {
        using Clock = std::chrono::steady_clock;
        return [stopped, heard = Clock::now()]() mutable {
            if (Clock::now() - heard < std::chrono::milliseconds(30)) return;
            nb::gil_scoped_acquire held;
            if (PyErr_CheckSignals() != 0) throw nb::python_error();
            if (!stopped.is_none() && nb::cast<bool>(stopped())) {
                PyErr_SetNone(PyExc_KeyboardInterrupt);
                throw nb::python_error();
            }
            heard = Clock::now();
        };
    }

    Rows rows_;
    std::optional<Vector> weights_;
    Loop loop_;
};

bool has_law(const std::string& family) { return law_named(family) != nullptr; }

std::map<std::string, std::string> build_info() {
    std::string names;
    for (const std::string& name : built()) names += (names.empty() ? "" : ", ") + name;
    return {{"isa", kernels().name}, {"built", names}, {"compiler", MIXTURA_COMPILER}};
}

} // namespace

NB_MODULE(_native, m) {
    m.doc() = "C++ kernels of mixtura; use mixtura.backends.NativeBackend.";
    kernels(); // a wrong MIXTURA_ISA is said at import, not in the middle of a fit
    m.def("e_step", &e_step, "rows"_a.noconvert(), "weights"_a.none().noconvert(),
          "means"_a.noconvert(), "log_scale"_a.noconvert(), "whitener"_a.noconvert(), "scatter"_a,
          "counts"_a.noconvert(), "first"_a.noconvert(), "second"_a.noconvert(),
          "likelihoods"_a.noconvert(), "threads"_a, "shares"_a.none().noconvert() = nb::none(),
          "axes"_a.none().noconvert() = nb::none(), "single_products"_a = false,
          "The moments of the rows under a mixture.");
    m.def("shortcuts", &shortcuts, "rows"_a.noconvert(), "means"_a.noconvert(),
          "log_scale"_a.noconvert(), "whitener"_a.noconvert(), "scatter"_a,
          "shares"_a.none().noconvert(), "axes"_a.none().noconvert(), "single_products"_a,
          "The short cuts e_step would take.");
    m.def("log_joint", &log_joint, "rows"_a.noconvert(), "means"_a.noconvert(),
          "log_scale"_a.noconvert(), "whitener"_a.noconvert(), "out"_a.noconvert(), "threads"_a,
          "Log joint densities of rows and components.");
    m.def("effective_parameters", &effective_parameters, "rows"_a.noconvert(),
          "weights"_a.none().noconvert(), "means"_a.noconvert(), "log_scale"_a.noconvert(),
          "whitener"_a.noconvert(), "kind"_a, "frames"_a.noconvert(), "free"_a.noconvert(),
          "counts"_a.noconvert(), "pulled"_a.noconvert(), "held_by"_a.noconvert(),
          "ratios"_a.noconvert(), "spreads"_a.none().noconvert(), "variances"_a.none().noconvert(),
          "slopes"_a.none().noconvert(), "total"_a, "unit"_a, "own_weights"_a, "out"_a.noconvert(),
          "threads"_a,
          "Adds to every component what its rows lose when they are left out of its fit.");
    m.def("agglomerate", &agglomerate_items, "counts"_a.noconvert(), "means"_a.noconvert(),
          "scatters"_a.none().noconvert(), "criterion"_a, "shrink"_a, "units"_a,
          "merges"_a.noconvert(), "costs"_a.noconvert(),
          "Merge items, cheapest pair first; a cluster is named by its lowest item.");
    m.def("exponential", &elementwise<double, &Kernels::exponential>, "x"_a.noconvert(),
          "out"_a.noconvert(), "exp(x) for -708 <= x <= 0.");
    m.def("exponential", &elementwise<float, &Kernels::exponential_single>, "x"_a.noconvert(),
          "out"_a.noconvert());
    m.def("logarithm", &elementwise<double, &Kernels::logarithm>, "x"_a.noconvert(),
          "out"_a.noconvert(), "log(x) for normal x > 0.");
    m.def("logarithm", &elementwise<float, &Kernels::logarithm_single>, "x"_a.noconvert(),
          "out"_a.noconvert());
    m.def("sweep_axes", &sweep, "turned"_a.noconvert(), "counts"_a.noconvert(),
          "axes"_a.noconvert(), "equal_volumes"_a, "turns"_a, "negligible"_a,
          "Turn every plane of two common axes once, in place; the largest turn in radians.");
    m.def("newton_axes", &newton, "turned"_a.noconvert(), "counts"_a.noconvert(),
          "axes"_a.noconvert(), "equal_volumes"_a,
          "One step of Newton's method for common axes, in place; the largest turn in radians, or "
          "infinity where it is not taken.");
    m.def("volumes", &shared_volumes, "S"_a.noconvert(), "counts"_a.noconvert(),
          "lambdas"_a.noconvert(), "d"_a, "most_steps"_a, "settled"_a,
          "Volumes of components that share shape and orientation; False where the evidence is "
          "singular.");
    m.def("whiteners", &whiteners, "matrices"_a.noconvert(), "out"_a.noconvert(),
          "Inverse Cholesky factors; the first singular matrix, or -1.");
    m.def("first_below", &first_below, "matrices"_a.noconvert(), "scale"_a.noconvert(),
          "bounds"_a.noconvert(),
          "The first matrix with an eigenvalue, in units of scale, at most its bound; or -1.");
    m.def("compact_order", &order_rows, "rows"_a.noconvert(), "scale"_a.noconvert(), "together"_a,
          "order"_a.noconvert(),
          "A permutation in which rows that are near each other stand together.");
    m.def("has_law", &has_law, "family"_a, "Whether the M-step of a family is here.");
    m.def("m_step", &one_m_step, "family"_a, "floor"_a.noconvert(), "equal_weights"_a,
          "about"_a.noconvert(), "counts"_a.noconvert(), "first"_a.noconvert(),
          "second"_a.noconvert(), "previous"_a.none(), "prior"_a.none() = nb::none(),
          "Weights, means, values, whiteners and common axes (as rows), or the component that "
          "collapsed.");
    m.def("largest_real_part", &largest_real, "hessenberg"_a.noconvert(),
          "The largest real part of a Hessenberg matrix's eigenvalues.");
    nb::class_<HeldLoop>(m, "Loop", "EM from one start; use mixtura.em.native_loop.native_loop.")
        .def(nb::init<Rows, std::optional<Vector>, const std::string&, const Vector&, bool,
                      const Prior&, const std::string&, double, double, std::size_t, const Vector&,
                      bool, std::size_t, bool>(),
             "rows"_a.noconvert(), "weights"_a.none().noconvert(), "family"_a,
             "floor"_a.noconvert(), "equal_weights"_a, "prior"_a.none(), "measure"_a, "tolerance"_a,
             "safety"_a, "window"_a, "units"_a.noconvert(), "accelerated"_a, "threads"_a,
             "single_products"_a)
        .def("begin_with_moments", &HeldLoop::begin_with_moments, "about"_a.noconvert(),
             "counts"_a.noconvert(), "first"_a.noconvert(), "second"_a.noconvert(),
             "-1, or the component that collapsed.")
        .def("begin_with_mixture", &HeldLoop::begin_with_mixture, "weights"_a.noconvert(),
             "means"_a.noconvert(), "values"_a.noconvert(), "axes"_a.none().noconvert(), "trace"_a,
             "kept"_a, "-1, or the component that collapsed.")
        .def("iterate", &HeldLoop::iterate, "most"_a, "next_check"_a, "stopped"_a.none(),
             "Iterations until one of the four events.")
        .def("slowest_rate", &HeldLoop::slowest_rate, "random"_a.noconvert(), "stopped"_a.none(),
             "The rate of the slowest direction.")
        .def("set_tolerance", &HeldLoop::set_tolerance, "tolerance"_a,
             "Another tolerance for the rule from now on.")
        .def("mixture", &HeldLoop::mixture,
             "Weights, means, values, whiteners and common axes (as rows).")
        .def("moments", &HeldLoop::moments, "Counts, first and second moments of the last E-step.")
        .def("sums", &HeldLoop::sums, "Log-likelihood, entropy, certainty and total.")
        .def_prop_ro("trace", &HeldLoop::trace, nb::rv_policy::copy)
        .def_prop_ro("plain", &HeldLoop::plain, nb::rv_policy::copy)
        .def_prop_ro("objective", &HeldLoop::objective)
        .def_prop_ro("last_gain", &HeldLoop::last_gain)
        .def_prop_ro("fall", &HeldLoop::fall)
        .def_prop_ro("n_iter", &HeldLoop::n_iter)
        .def_prop_ro("vector_size", &HeldLoop::vector_size);
    m.def("build_info", &build_info,
          "Instruction set in use, those compiled in, and the compiler.");
}

// The M-step on its own, and what it respects.

#include <new>
#include <string>

#include <nanobind/stl/variant.h>

#include "mixtures.hpp"

namespace mixtura {

Array array_of(const Numbers& numbers, const std::vector<std::size_t>& shape) {
    auto* copy = new Numbers(numbers);
    return Array(copy->data(), shape.size(), shape.data(),
                 nb::capsule(copy, [](void* p) noexcept { delete static_cast<Numbers*>(p); }));
}

Moments moments_of(const Law& law, const Matrix& about, const Vector& counts, const Matrix& first,
                   const Vector& second) {
    Moments m;
    m.K = about.shape(0), m.d = about.shape(1), m.kind = law.needs;
    demand(m.K > 0 && m.d > 0 && counts.shape(0) == m.K && first.shape(0) == m.K &&
               first.shape(1) == m.d && second.shape(0) == second_size(m.kind, m.K, m.d),
           "moments have the wrong shape");
    m.about = numbers_of(about), m.counts = numbers_of(counts);
    m.first = numbers_of(first), m.second = numbers_of(second);
    return m;
}

Mixture mixture_of(const Law& law, const Vector& weights, const Matrix& means, const Vector& values,
                   const std::optional<Matrix>& axes) {
    Mixture m;
    m.K = means.shape(0), m.d = means.shape(1), m.F = law.shares_all ? 1 : m.K, m.form = law.form;
    demand(m.K > 0 && m.d > 0 && weights.shape(0) == m.K && values.shape(0) == m.F * m.size(),
           "the mixture has the wrong shape");
    demand(!axes || (axes->shape(0) == m.d && axes->shape(1) == m.d), "axes must be d x d");
    m.weights = numbers_of(weights), m.means = numbers_of(means), m.values = numbers_of(values);
    if (axes) m.axes = numbers_of(*axes);
    return m;
}

Components components_of(const Mixture& m) {
    std::vector<std::size_t> shape{m.F};
    if (m.form != Form::spherical) shape.push_back(m.d);
    if (m.form == Form::dense) shape.push_back(m.d);
    std::optional<Array> axes;
    if (!m.axes.empty()) axes = array_of(m.axes, {m.d, m.d});
    return {array_of(m.weights, {m.K}), array_of(m.means, {m.K, m.d}), array_of(m.values, shape),
            array_of(m.whitener, shape), axes};
}

namespace {

using Prior = std::optional<std::tuple<double, Vector, double>>; // rows, scatter, what is best
using Given = std::optional<std::tuple<Vector, Matrix, Vector, std::optional<Matrix>>>;

Setting setting_of(const std::string& family, const Vector& floor, bool equal_weights,
                   const Prior& prior, const VolumeSearch& volumes, const AxisSearch& axes,
                   double unresolved, double floor_rounding) {
    const Law* law = law_named(family);
    demand(law, "the family has no law here");
    Setting setting{law,        numbers_of(floor), equal_weights, {}, {volumes, axes},
                    unresolved, floor_rounding};
    if (!prior) return setting;
    const auto& [rows, scatter, best] = *prior;
    demand(law->form == Form::dense, "pseudo-rows are for full covariances");
    demand(scatter.shape(0) == floor.shape(0), "the prior must have one value per column");
    setting.prior = PseudoRows{rows, best, numbers_of(scatter)};
    return setting;
}

std::variant<std::ptrdiff_t, Components> one_m_step(const Setting& setting, const Matrix& about,
                                                    const Vector& counts, const Matrix& first,
                                                    const Vector& second, const Given& previous) {
    demand(about.shape(1) == setting.floor.size(), "floor must have one value per column");
    Mixture before, out;
    if (previous) {
        const auto& [weights, means, values, axes] = *previous;
        before = mixture_of(*setting.law, weights, means, values, axes);
        demand(complete(before) < 0, "the previous mixture is singular");
    }
    const Moments m = moments_of(*setting.law, about, counts, first, second);
    const std::ptrdiff_t collapsed = m_step(setting, m, previous ? &before : nullptr, out);
    if (collapsed >= 0) return collapsed;
    return components_of(out);
}

// The degrees of freedom of EM, as the loop takes them where a step of scoring lowers the objective.
Array cautious(const TailRule& rule, const Vector& counts, const Vector& tail_sums,
               const Vector& tail_information, const Vector& tails) {
    Moments m;
    m.K = counts.shape(0);
    demand(tail_sums.shape(0) == m.K && tail_information.shape(0) == m.K && tails.shape(0) == m.K,
           "all must have one value per component");
    m.counts = numbers_of(counts), m.tail_sums = numbers_of(tail_sums);
    m.tail_information = numbers_of(tail_information);
    return array_of(cautious_tails(rule, m, numbers_of(tails)), {m.K});
}

bool has_law(const std::string& family) { return law_named(family) != nullptr; }

} // namespace

void bind_m_step(nb::module_& m) {
    m.def("has_law", &has_law, "family"_a, "Whether the M-step of a family is here.");
    nb::class_<VolumeSearch>(m, "VolumeSearch", "How far the search for volumes goes.")
        .def(nb::init<std::size_t, double, double>(), "most_steps"_a, "settled"_a, "near"_a);
    nb::class_<AxisSearch>(m, "AxisSearch", "How far the search for common axes goes.")
        .def(nb::init<bool, std::size_t, std::size_t, std::size_t, std::size_t, std::size_t, double,
                      double, double, double, double>(),
             "newton"_a, "first"_a, "warm"_a, "brief"_a, "turns"_a, "tried"_a, "still"_a,
             "still_in_all"_a, "negligible"_a, "farthest"_a, "trusted"_a);
    nb::class_<TailRule>(m, "TailRule", "How degrees of freedom are chosen.")
        .def(
            "__init__",
            [](TailRule* self, bool equal, const std::optional<Vector>& given, double first,
               double low, double high) {
                new (self)
                    TailRule{equal, given ? numbers_of(*given) : Numbers(), first, low, high};
            },
            "equal"_a, array_or_none("given"), "first"_a, "low"_a, "high"_a);
    m.def("cautious_tails", &cautious, "rule"_a, array("counts"), array("tail_sums"),
          array("tail_information"), array("tails"), "Degrees of freedom by the M-step of EM.");
    nb::class_<Setting>(m, "Setting", "What every M-step of a fit respects.")
        .def(
            "__init__",
            [](Setting* self, const std::string& family, const Vector& floor, bool equal_weights,
               const Prior& prior, const VolumeSearch& volumes, const AxisSearch& axes,
               double unresolved, double floor_rounding, const std::optional<TailRule>& tails) {
                new (self) Setting(setting_of(family, floor, equal_weights, prior, volumes, axes,
                                              unresolved, floor_rounding));
                self->tails = tails;
            },
            "family"_a, array("floor"), "equal_weights"_a, array_or_none("prior"), "volumes"_a,
            "axes"_a, "unresolved"_a, "floor_rounding"_a, "tails"_a.none() = nb::none());
    m.def("m_step", &one_m_step, "setting"_a, array("about"), array("counts"), array("first"),
          array("second"), array_or_none("previous"),
          "Weights, means, values, whiteners and common axes (as rows), or the component that "
          "collapsed.");
}

} // namespace mixtura

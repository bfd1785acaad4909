// What a component loses when its rows are left out of its fit.

#include <map>

#include "../effective.hpp"
#include "../runtime.hpp"
#include "e_step.hpp"

namespace mixtura {
namespace {

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
                          double log_noise, double in_noise, const Limits& limits, VectorOut out,
                          std::size_t threads) {
    EStep p = e_step_of(rows, means, log_scale, whitener);
    demand(!weights || weights->shape(0) == p.n, "weights must have one value per row");
    demand(out.shape(0) == p.K, "out must have one value per component");
    p.weights = weights ? weights->data() : nullptr;
    p.log_noise = log_noise;
    OwnParts own = own_parts(p, kind, frames, free, counts, pulled, held_by, ratios, spreads,
                             variances, slopes);
    own.total = total, own.unit = unit, own.own_weights = own_weights, own.limits = limits,
    own.in_noise = in_noise;
    nb::gil_scoped_release released;
    run_effective(p, own, threads, out.data());
}

} // namespace

void bind_effective_parameters(nb::module_& m) {
    nb::class_<Limits>(m, "Limits", "What is taken out, and how exactly.")
        .def(nb::init<double, double, double, double, double>(), "touched"_a, "largest_gap"_a,
             "held_up"_a, "leverage"_a, "no_rows"_a);
    m.def("effective_parameters", &effective_parameters, array("rows"), array_or_none("weights"),
          array("means"), array("log_scale"), array("whitener"), "kind"_a, array("frames"),
          array("free"), array("counts"), array("pulled"), array("held_by"), array("ratios"),
          array_or_none("spreads"), array_or_none("variances"), array_or_none("slopes"), "total"_a,
          "unit"_a, "own_weights"_a, "log_noise"_a, "in_noise"_a, "limits"_a, array("out"), "threads"_a,
          "Adds to every component what its rows lose when they are left out of its fit.");
}

} // namespace mixtura

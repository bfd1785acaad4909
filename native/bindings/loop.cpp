// EM from one start.

#include "../loop.hpp"

#include <chrono>
#include <cmath>
#include <new>
#include <string>

#include <nanobind/stl/vector.h>

#include "mixtures.hpp"
#include "observed.hpp"

namespace mixtura {
namespace {

using Stopped = nb::typed<nb::callable, bool()>;

// Between EM steps, and not more often than every few hundredths of a second: Ctrl-C, and whether
// another thread calls it off.
Loop::Pause listening(Stopped stopped) {
    using Clock = std::chrono::steady_clock;
    return [stopped, heard = Clock::now()]() mutable {
        if (Clock::now() - heard < std::chrono::milliseconds(30)) return;
        nb::gil_scoped_acquire held;
        if (PyErr_CheckSignals() != 0) throw nb::python_error();
        if (nb::cast<bool>(stopped())) {
            PyErr_SetNone(PyExc_KeyboardInterrupt);
            throw nb::python_error();
        }
        heard = Clock::now();
    };
}

// How incomplete rows were observed, with the arrays of it.
struct HeldObservation {
    Whole order, ends;
    Flags columns;
    std::optional<Cube> errors;
    std::optional<Matrix> log_classes;
    std::optional<Vector> log_noise;
};

Data data_of(const Rows& rows, const std::optional<Vector>& weights, std::size_t threads,
             bool single_products, std::optional<double> log_noise,
             const HeldObservation* observation) {
    demand(rows.shape(1) > 0, "rows need a column");
    demand(!weights || weights->shape(0) == rows.shape(0), "weights must have one value per row");
    Data data{rows.data(),   is_single(rows), weights ? weights->data() : nullptr,
              rows.shape(0), rows.shape(1),   threads,
              single_products, log_noise};
    if (observation)
        data.observed = rows_of(rows, weights, observation->order, observation->ends,
                                observation->columns, observation->errors,
                                observation->log_classes, observation->log_noise);
    return data;
}

// A loop with the arrays that it reads, which must not be freed before it.
class HeldLoop : public Loop {
public:
    HeldLoop(Rows rows, std::optional<Vector> weights, const Setting& setting, const Rule& rule,
             const Vector& units, std::optional<Squarem> squarem, const Arnoldi& arnoldi,
             std::size_t threads, bool single_products, std::optional<double> log_noise,
             const HeldObservation* observation)
        : Loop(data_of(rows, weights, threads, single_products, log_noise, observation), setting,
               rule, numbers_of(units), squarem, arnoldi),
          rows_(rows), weights_(weights),
          observation_(observation ? std::optional(*observation) : std::nullopt) {
        demand(setting.floor.size() == rows.shape(1), "floor must have one value per column");
        demand(units.shape(0) == rows.shape(1), "units must have one value per column");
    }

    std::ptrdiff_t begin_with_moments(const Matrix& about, const Vector& counts,
                                      const Matrix& first, const Vector& second, double noise,
                                      const std::optional<Matrix>& pulled) {
        demand(about.shape(1) == rows_.shape(1), "moments and rows must have as many columns");
        Moments start = moments_of(law(), about, counts, first, second);
        start.noise = noise;
        if (pulled) {
            const std::size_t parts = pulled->shape(0), K = start.K;
            demand((parts == 1 || parts == 3) && pulled->shape(1) == K, "pulled: 1 or 3 rows of K");
            const double* sums = pulled->data();
            start.pulls.assign(sums, sums + K);
            if (parts == 3) {
                start.tail_sums.assign(sums + K, sums + 2 * K);
                start.tail_information.assign(sums + 2 * K, sums + 3 * K);
            }
        }
        nb::gil_scoped_release released;
        return begin(start);
    }

    std::ptrdiff_t begin_with_mixture(const Vector& weights, const Matrix& means,
                                      const Vector& values, const std::optional<Matrix>& axes,
                                      const std::vector<double>& trace, std::size_t kept,
                                      double noise, const std::optional<Vector>& tails) {
        demand(means.shape(1) == rows_.shape(1), "means and rows must have as many columns");
        Mixture start = mixture_of(law(), weights, means, values, axes);
        start.noise = noise;
        demand(tails.has_value() == has_tails() && (!tails || tails->shape(0) == start.K),
               "tails: one per t component");
        if (tails) start.tails = numbers_of(*tails);
        nb::gil_scoped_release released;
        return begin(start, trace, kept);
    }

    std::string iterate(std::size_t most, std::size_t next_check, Stopped stopped) {
        static constexpr const char* NAMES[] = {"spent", "check", "fell", "collapsed"};
        demand(!trace().empty(), "a loop begins before it goes on");
        const Pause pause = listening(stopped);
        nb::gil_scoped_release released;
        return NAMES[static_cast<std::size_t>(Loop::iterate(most, next_check, pause))];
    }

    double slowest_rate(const Vector& random, Stopped stopped) {
        demand(random.shape(0) == vector_size(), "random must be as long as a vector of moments");
        demand(after_a_plain_step(), "a rate is measured after a plain step");
        const Pause pause = listening(stopped);
        nb::gil_scoped_release released;
        return Loop::slowest_rate(random.data(), pause);
    }

    std::tuple<double, double, double, double> sums() const {
        const Moments& m = Loop::moments();
        return {m.log_likelihood, m.entropy, m.certainty, m.total()};
    }

    std::tuple<Array, Array, Array> moments() const { // about the means of the mixture
        const Moments& m = Loop::moments();
        return {array_of(m.counts, {m.K}), array_of(m.first, {m.K, m.d}),
                array_of(m.second, {m.second.size()})};
    }

    // Of t components: the sums of pulls, and those of estimated degrees of freedom.
    std::optional<Array> pulled() const {
        const Moments& m = Loop::moments();
        if (m.pulls.empty()) return std::nullopt;
        Numbers sums;
        each_of_tails(m, [&](const Numbers& own) { sums.insert(sums.end(), own.begin(), own.end()); });
        return array_of(sums, {sums.size() / m.K, m.K});
    }

    std::optional<Array> tails() const {
        const Numbers& own = Loop::mixture().tails;
        if (own.empty()) return std::nullopt;
        return array_of(own, {own.size()});
    }

    double noise_rows() const { return Loop::moments().noise; }
    double noise_weight() const { return Loop::mixture().noise; }
    Components mixture() const { return components_of(Loop::mixture()); }
    double objective() const { return trace().back(); }
    double last_gain() const {
        const std::size_t n = trace().size();
        return n < 2 ? std::nan("") : trace()[n - 1] - trace()[n - 2];
    }

private:
    Rows rows_;
    std::optional<Vector> weights_;
    std::optional<HeldObservation> observation_;
};

Measure measure_named(const std::string& name) {
    if (name == "remaining_gain") return Measure::remaining_gain;
    if (name == "change_per_row") return Measure::change_per_row;
    if (name == "gain") return Measure::gain;
    if (name == "relative_gain") return Measure::relative_gain;
    throw std::invalid_argument(
        "measure must be remaining_gain, change_per_row, gain or relative_gain");
}

} // namespace

void bind_loop(nb::module_& m) {
    nb::class_<Rule>(m, "Rule", "When EM may have converged, by the trace of the objective.")
        .def(
            "__init__",
            [](Rule* self, const std::string& measure, double tolerance, double safety,
               std::size_t window, double rounding) {
                new (self) Rule{measure_named(measure), tolerance, safety, window, rounding};
            },
            "measure"_a, "tolerance"_a, "safety"_a, "window"_a, "rounding"_a);
    nb::class_<Squarem>(m, "Squarem", "Extrapolation of EM.")
        .def(nb::init<double, double, std::size_t>(), "first_length"_a, "growth"_a,
             "plain_before"_a);
    nb::class_<Arnoldi>(m, "Arnoldi", "How the rate of EM's slowest direction is measured.")
        .def(nb::init<std::size_t, std::size_t, double, double, double, double, double>(),
             "most_maps"_a, "window"_a, "steady"_a, "deviation"_a, "negligible"_a, "near"_a,
             "tiny"_a);
    nb::class_<HeldObservation>(m, "Observation", "How incomplete rows were observed.")
        .def(
            "__init__",
            [](HeldObservation* self, Whole order, Whole ends, Flags columns,
               std::optional<Cube> errors, std::optional<Matrix> log_classes,
               std::optional<Vector> log_noise) {
                new (self)
                    HeldObservation{order, ends, columns, errors, log_classes, log_noise};
            },
            array("order"), array("ends"), array("columns"), array_or_none("errors"),
            array_or_none("log_classes"), array_or_none("log_noise"));
    nb::class_<HeldLoop>(m, "Loop", "EM from one start; use mixtura.em.native_loop.native_loop.")
        .def(nb::init<Rows, std::optional<Vector>, const Setting&, const Rule&, const Vector&,
                      std::optional<Squarem>, const Arnoldi&, std::size_t, bool, std::optional<double>,
                      const HeldObservation*>(),
             array("rows"), array_or_none("weights"), "setting"_a, "rule"_a, array("units"),
             "squarem"_a.none(), "arnoldi"_a, "threads"_a, "single_products"_a,
             "log_noise"_a.none(), "observation"_a.none())
        .def("begin_with_moments", &HeldLoop::begin_with_moments, array("about"), array("counts"),
             array("first"), array("second"), "noise"_a, array_or_none("pulled"),
             "-1, or the component that collapsed.")
        .def("begin_with_mixture", &HeldLoop::begin_with_mixture, array("weights"), array("means"),
             array("values"), array_or_none("axes"), "trace"_a, "kept"_a, "noise"_a,
             array_or_none("tails"),
             "-1, or the component that collapsed.")
        .def("iterate", &HeldLoop::iterate, "most"_a, "next_check"_a, "stopped"_a,
             "Iterations until one of the four events.")
        .def("slowest_rate", &HeldLoop::slowest_rate, array("random"), "stopped"_a,
             "The rate of the slowest direction.")
        .def("set_tolerance", &HeldLoop::set_tolerance, "tolerance"_a,
             "Another tolerance for the rule from now on.")
        .def("mixture", &HeldLoop::mixture,
             "Weights, means, values, whiteners and common axes (as rows).")
        .def("moments", &HeldLoop::moments, "Counts, first and second moments of the last E-step.")
        .def("pulled", &HeldLoop::pulled,
             "Of t components: the sums of pulls, and those of estimated degrees of freedom.")
        .def("tails", &HeldLoop::tails, "Degrees of freedom of t components.")
        .def("sums", &HeldLoop::sums, "Log-likelihood, entropy, certainty and total.")
        .def_prop_ro("trace", &HeldLoop::trace, nb::rv_policy::copy)
        .def_prop_ro("plain", &HeldLoop::plain, nb::rv_policy::copy)
        .def_prop_ro("objective", &HeldLoop::objective)
        .def_prop_ro("last_gain", &HeldLoop::last_gain)
        .def_prop_ro("fall", &HeldLoop::fall)
        .def_prop_ro("noise_rows", &HeldLoop::noise_rows)
        .def_prop_ro("noise_weight", &HeldLoop::noise_weight)
        .def_prop_ro("n_iter", &HeldLoop::n_iter)
        .def_prop_ro("vector_size", &HeldLoop::vector_size);
}

} // namespace mixtura

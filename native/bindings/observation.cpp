// E-steps of incomplete rows.

#include "../observation.hpp"
#include "../tails.hpp"

#include "observed.hpp"

namespace mixtura {
namespace {

Observed observed_of(const Rows& rows, const Whole& order, const Whole& ends, const Flags& columns,
                     const std::optional<Cube>& errors, const std::optional<Matrix>& log_classes,
                     const Vector& log_weights, const std::optional<Vector>& log_noise,
                     const Matrix& means, const Matrix& covariance,
                     const std::optional<Vector>& tails) {
    Observed p =
        rows_of(rows, std::nullopt, order, ends, columns, errors, log_classes, log_noise);
    p.K = means.shape(0);
    demand(p.K > 0 && means.shape(1) == p.d, "means must have as many columns as rows");
    demand(!log_classes || log_classes->shape(1) == p.K, "log_classes must be G x K");
    demand(log_weights.shape(0) == p.K, "log_weights must have one value per component");
    const std::size_t width = covariance.shape(1);
    demand(covariance.shape(0) == p.K || covariance.shape(0) == 1, "covariance: K rows or one");
    demand(width == p.d * p.d || (width == p.d && !errors), "covariance must be d or d*d wide");
    p.log_weights = log_weights.data(), p.means = means.data(), p.covariance = covariance.data();
    p.step = covariance.shape(0) == 1 ? 0 : width;
    p.diagonal = width == p.d && !(p.d == 1 && errors);
    if (!tails) return p;
    demand(tails->shape(0) == p.K && !errors, "tails: one per component, and no errors");
    p.tails = tails->data();
    return p;
}

std::ptrdiff_t moments(const Rows& rows, std::optional<Vector> weights, const Whole& order,
                       const Whole& ends, const Flags& columns, std::optional<Cube> errors,
                       std::optional<Matrix> log_classes, const Vector& log_weights,
                       std::optional<Vector> log_noise, const Matrix& means,
                       const Matrix& covariance, std::optional<Vector> tails, VectorOut counts,
                       MatrixOut first, VectorOut second, VectorOut likelihoods,
                       std::size_t threads, std::optional<MatrixOut> pulled) {
    Observed p = observed_of(rows, order, ends, columns, errors, log_classes, log_weights,
                             log_noise, means, covariance, tails);
    demand(!weights || weights->shape(0) == p.n, "weights must have one value per row");
    p.weights = weights ? weights->data() : nullptr;
    const Scatter kind = p.diagonal ? Scatter::diagonal : Scatter::dense;
    demand(counts.shape(0) == p.K && first.shape(0) == p.K && first.shape(1) == p.d &&
               second.shape(0) == second_size(kind, p.K, p.d) && likelihoods.shape(0) == 4,
           "outputs have the wrong shape");
    ObservedSums total{{counts.data(), first.data(), second.data(), 0.0, 0.0, 0.0}};
    if (p.tails) {
        demand(pulled && pulled->shape(0) == 3 && pulled->shape(1) == p.K, "pulled must be 3 x K");
        total.pulls = pulled->data();
        total.scores = total.pulls + p.K, total.known = total.scores + p.K;
    }
    nb::gil_scoped_release released;
    const std::ptrdiff_t singular = run_observed_moments(p, threads, total);
    for (std::size_t k = 0; p.tails && k < p.K; ++k)
        total.scores[k] = tail_sum(p.tails[k], total.scores[k], total.known[k]);
    double* out = likelihoods.data();
    out[0] = total.log_likelihood, out[1] = total.entropy, out[2] = total.certainty;
    out[3] = total.noise;
    return singular;
}

std::ptrdiff_t log_joint(const Rows& rows, const Whole& order, const Whole& ends,
                         const Flags& columns, std::optional<Cube> errors,
                         std::optional<Matrix> log_classes, const Vector& log_weights,
                         std::optional<Vector> log_noise, const Matrix& means,
                         const Matrix& covariance, std::optional<Vector> tails, MatrixOut out,
                         std::size_t threads) {
    const Observed p = observed_of(rows, order, ends, columns, errors, log_classes, log_weights,
                                   log_noise, means, covariance, tails);
    demand(out.shape(0) == p.n && out.shape(1) == p.K, "out must be n x K");
    nb::gil_scoped_release released;
    return run_observed_log_joint(p, threads, out.data());
}

std::ptrdiff_t completed(const Rows& rows, const Whole& order, const Whole& ends,
                         const Flags& columns, std::optional<Cube> errors,
                         std::optional<Matrix> log_classes, const Vector& log_weights,
                         std::optional<Vector> log_noise, const Matrix& means,
                         const Matrix& covariance, std::optional<Vector> tails,
                         const Matrix& shares, MatrixOut out, std::size_t threads) {
    const Observed p = observed_of(rows, order, ends, columns, errors, log_classes, log_weights,
                                   log_noise, means, covariance, tails);
    demand(shares.shape(0) == p.n && shares.shape(1) == p.K, "shares must be n x K");
    demand(out.shape(0) == p.n && out.shape(1) == p.d, "out must be n x d");
    nb::gil_scoped_release released;
    return run_completed(p, shares.data(), threads, out.data());
}

} // namespace

Observed rows_of(const Rows& rows, const std::optional<Vector>& weights, const Whole& order,
                 const Whole& ends, const Flags& columns, const std::optional<Cube>& errors,
                 const std::optional<Matrix>& log_classes, const std::optional<Vector>& log_noise) {
    Observed p{};
    p.rows = rows.data(), p.single = is_single(rows);
    p.n = rows.shape(0), p.d = rows.shape(1), p.G = ends.shape(0);
    demand(p.d > 0, "rows need a column");
    demand(!weights || weights->shape(0) == p.n, "weights must have one value per row");
    demand(order.shape(0) == p.n, "order must have one number per row");
    demand(columns.shape(0) == p.G && columns.shape(1) == p.d, "columns must be G x d");
    demand(!errors || (errors->shape(0) == p.G && errors->shape(1) == p.d && errors->shape(2) == p.d),
           "errors must be G x d x d");
    demand(!log_classes || log_classes->shape(0) == p.G, "log_classes must have a row per group");
    demand(!log_noise || log_noise->shape(0) == p.G, "log_noise must have one value per group");
    for (std::size_t g = 0; g < p.G; ++g)
        demand(ends.data()[g] <= static_cast<std::int64_t>(p.n) &&
                   ends.data()[g] >= (g ? ends.data()[g - 1] : 0),
               "ends must rise, up to the number of rows");
    for (std::size_t i = 0; i < p.n; ++i)
        demand(order.data()[i] >= 0 && order.data()[i] < static_cast<std::int64_t>(p.n),
               "order must be numbers of rows");
    p.weights = weights ? weights->data() : nullptr;
    p.order = order.data(), p.ends = ends.data(), p.columns = columns.data();
    p.errors = errors ? errors->data() : nullptr;
    p.log_classes = log_classes ? log_classes->data() : nullptr;
    p.log_noise = log_noise ? log_noise->data() : nullptr;
    return p;
}

void bind_observation(nb::module_& m) {
    m.def("observed_moments", &moments, array("rows"), array_or_none("weights"), array("order"),
          array("ends"), array("columns"), array_or_none("errors"), array_or_none("log_classes"),
          array("log_weights"), array_or_none("log_noise"), array("means"), array("covariance"),
          array_or_none("tails"), array("counts"), array("first"), array("second"),
          array("likelihoods"), "threads"_a, array_or_none("pulled"),
          "Moments of incomplete rows; the first singular component, or -1. Of t components also "
          "pulls, tail sums and tail information, 3 x K.");
    m.def("observed_log_joint", &log_joint, array("rows"), array("order"), array("ends"),
          array("columns"), array_or_none("errors"), array_or_none("log_classes"),
          array("log_weights"), array_or_none("log_noise"), array("means"), array("covariance"),
          array_or_none("tails"), array("out"), "threads"_a,
          "Log joint densities of incomplete rows; the first singular component, or -1.");
    m.def("completed_rows", &completed, array("rows"), array("order"), array("ends"),
          array("columns"), array_or_none("errors"), array_or_none("log_classes"),
          array("log_weights"), array_or_none("log_noise"), array("means"), array("covariance"),
          array_or_none("tails"), array("shares"), array("out"), "threads"_a,
          "Expected complete rows; the first singular component, or -1.");
}

} // namespace mixtura

#include "m_step.hpp"

#include "dense.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace mixtura {
namespace {

constexpr double LOG_2PI = 1.8378770664093454836;

double as_double(std::size_t n) { return static_cast<double>(n); }

double sum_of(const Numbers& v) {
    double sum = 0.0;
    for (const double x : v) sum += x;
    return sum;
}

// |S|^(1/d) of a diagonal.
double geometric_mean(const double* s, std::size_t d) {
    double sum = 0.0;
    for (std::size_t j = 0; j < d; ++j) sum += std::log(s[j]);
    return std::exp(sum / as_double(d));
}

// sum_k parts_k S_k.
Numbers pooled(const Numbers& parts, const Numbers& S) {
    const std::size_t size = S.size() / parts.size();
    Numbers sum(size, 0.0);
    for (std::size_t k = 0; k < parts.size(); ++k)
        for (std::size_t i = 0; i < size; ++i) sum[i] += parts[k] * S[k * size + i];
    return sum;
}

double log_det_of(Numbers M, std::size_t d) { // of a matrix; NaN where it is not positive definite
    if (!cholesky(M.data(), d)) return std::numeric_limits<double>::quiet_NaN();
    double sum = 0.0;
    for (std::size_t j = 0; j < d; ++j) sum += 2.0 * std::log(M[j * d + j]);
    return sum;
}

// ---- volume and shape: src/mixtura/families/shapes.py -------------------------------------------

// EE: one set of variances for all.
Numbers equal(const Numbers& S, const Numbers& counts) {
    Numbers mean = pooled(counts, S);
    const double n = sum_of(counts);
    for (double& m : mean) m /= n;
    return mean;
}

// EV: in place, every diagonal scaled to the one volume.
void own_shapes(Numbers& S, const Numbers& counts, std::size_t d) {
    Numbers sizes(counts.size());
    double size = 0.0;
    for (std::size_t k = 0; k < counts.size(); ++k)
        size += counts[k] * (sizes[k] = geometric_mean(&S[k * d], d));
    size /= sum_of(counts);
    for (std::size_t k = 0; k < counts.size(); ++k)
        for (std::size_t j = 0; j < d; ++j) S[k * d + j] = S[k * d + j] / sizes[k] * size;
}

// Volumes of diagonals or matrices that share shape and orientation; an empty component is measured
// by what the others share.
bool shared_volumes(const Numbers& S, const Numbers& counts, std::size_t d, bool dense,
                    const VolumeSearch& search, Numbers& lambdas) {
    const std::size_t K = counts.size(), size = S.size() / K;
    lambdas.resize(K);
    Numbers some, filled, own;
    for (std::size_t k = 0; k < K; ++k)
        if (counts[k] > 0.0) {
            filled.push_back(counts[k]);
            some.insert(some.end(), S.begin() + k * size, S.begin() + (k + 1) * size);
        }
    own.resize(filled.size());
    if (!volumes(some.data(), filled.data(), filled.size(), d, dense, search, own.data()))
        return false;
    for (std::size_t k = 0, at = 0; k < K; ++k)
        if (counts[k] > 0.0) lambdas[k] = own[at++];
    if (filled.size() == K) return true;
    Numbers parts(filled);
    for (std::size_t k = 0; k < parts.size(); ++k) parts[k] /= own[k];
    Numbers M = pooled(parts, some);
    double log_det = 0.0;
    if (dense && !cholesky(M.data(), d)) return false;
    for (std::size_t j = 0; j < d; ++j)
        log_det += dense ? 2.0 * std::log(M[j * d + j]) : std::log(M[j]);
    for (std::size_t k = 0; k < K; ++k) {
        if (counts[k] > 0.0) continue;
        double trace = 0.0;
        if (dense) {
            Numbers half(S.begin() + k * size, S.begin() + (k + 1) * size), turned(size);
            forward(M.data(), d, half.data(), d);
            for (std::size_t i = 0; i < d; ++i)
                for (std::size_t j = 0; j < d; ++j) turned[j * d + i] = half[i * d + j];
            forward(M.data(), d, turned.data(), d);
            for (std::size_t j = 0; j < d; ++j) trace += turned[j * d + j];
        } else {
            for (std::size_t j = 0; j < d; ++j) trace += S[k * d + j] / M[j];
        }
        lambdas[k] = trace / as_double(d) * std::exp(log_det / as_double(d));
    }
    return true;
}

// VE: in place, the volumes times the one shape of determinant one.
bool own_volumes(Numbers& S, const Numbers& counts, std::size_t d, const VolumeSearch& search) {
    Numbers lambdas;
    if (!shared_volumes(S, counts, d, false, search, lambdas)) return false;
    Numbers parts(counts);
    for (std::size_t k = 0; k < parts.size(); ++k) parts[k] /= lambdas[k];
    const Numbers shape = pooled(parts, S);
    const double size = geometric_mean(shape.data(), d);
    for (std::size_t k = 0; k < parts.size(); ++k)
        for (std::size_t j = 0; j < d; ++j) S[k * d + j] = lambdas[k] * (shape[j] / size);
    return true;
}

// ---- common axes: src/mixtura/families/axes.py --------------------------------------------------

// Eigenvectors of a symmetric matrix, one per row, the shortest first: planes are turned in the
// order of the axes.
Numbers principal_axes(Numbers matrix, std::size_t d) {
    Numbers values(d), axes(d * d);
    eigen(matrix.data(), d, values.data(), axes.data());
    for (std::size_t p = 0; p < d / 2; ++p)
        std::swap_ranges(&axes[p * d], &axes[p * d] + d, &axes[(d - 1 - p) * d]);
    return axes;
}

// (D' S_k D)_jj as K x d.
Numbers along(const Evidence& e, const Numbers& axes) {
    const std::size_t d = e.d;
    Numbers spreads(e.F * d), half(d * d);
    for (std::size_t k = 0; k < e.F; ++k) {
        multiply(axes.data(), &e.average[k * d * d], d, false, half.data());
        for (std::size_t p = 0; p < d; ++p)
            spreads[k * d + p] = inner(&half[p * d], &axes[p * d], d);
    }
    return spreads;
}

// What good axes make small.
double disorder(const Evidence& e, const Numbers& axes, bool equal_volumes) {
    const Numbers spreads = along(e, axes);
    double value = 0.0;
    for (std::size_t k = 0; k < e.F; ++k) {
        if (equal_volumes) {
            value += e.counts[k] * geometric_mean(&spreads[k * e.d], e.d);
            continue;
        }
        double logs = 0.0;
        for (std::size_t j = 0; j < e.d; ++j) logs += std::log(spreads[k * e.d + j]);
        value += e.counts[k] * logs;
    }
    return value;
}

// The nearest orthogonal matrix, from one that is orthogonal but for rounding: two steps X (3 -
// X'X) / 2.
void orthogonalise(Numbers& axes, std::size_t d) {
    Numbers gram(d * d), next(d * d);
    for (int step = 0; step < 2; ++step) {
        for (std::size_t i = 0; i < d; ++i)
            for (std::size_t j = 0; j < d; ++j)
                gram[i * d + j] =
                    0.5 * ((i == j ? 3.0 : 0.0) - inner(&axes[i * d], &axes[j * d], d));
        multiply(gram.data(), axes.data(), d, false, next.data());
        std::swap(axes, next);
    }
}

Numbers common_axes(const Evidence& e, Numbers axes, bool equal_volumes, const AxisSearch& search,
                    std::size_t most_sweeps) {
    const std::size_t d = e.d, K = e.F;
    Numbers turned(d * d * K), half(d * d);
    for (std::size_t k = 0; k < K; ++k) {
        multiply(axes.data(), &e.average[k * d * d], d, false, half.data());
        for (std::size_t p = 0; p < d; ++p)
            for (std::size_t q = 0; q < d; ++q)
                turned[(p * d + q) * K + k] = inner(&half[p * d], &axes[q * d], d);
    }
    for (std::size_t sweep = 0; sweep < most_sweeps; ++sweep) {
        const double turn = search.newton
                                ? newton_axes(turned.data(), e.counts.data(), axes.data(), d, K,
                                              equal_volumes, search.farthest, search.trusted)
                                : HUGE_VAL;
        if (turn < search.still_in_all) break;
        if (turn < HUGE_VAL) continue;
        if (sweep_axes(turned.data(), e.counts.data(), axes.data(), d, K, equal_volumes,
                       search.turns, search.negligible) < search.still)
            break;
    }
    orthogonalise(axes, d);
    return axes;
}

// From previous axes the best start goes on; without them the best few run for some sweeps before
// one is chosen.
bool find_axes(const Evidence& e, const Searches& go, const Mixture* previous, bool equal_volumes,
               Numbers& axes) {
    const std::size_t d = e.d, size = d * d;
    Numbers identity(size, 0.0);
    for (std::size_t j = 0; j < d; ++j) identity[j * d + j] = 1.0;
    std::vector<Numbers> starts{identity, principal_axes(pooled(e.counts, e.average), d)};
    if (previous) {
        starts.push_back(previous->axes.empty()
                             ? principal_axes(pooled(e.counts, previous->values), d)
                             : previous->axes);
    } else {
        for (std::size_t k = 0; k < e.F; ++k)
            starts.push_back(principal_axes(
                Numbers(e.average.begin() + k * size, e.average.begin() + (k + 1) * size), d));
        if (!equal_volumes) {
            Numbers parts;
            if (!shared_volumes(e.average, e.counts, d, true, go.volumes, parts)) return false;
            for (std::size_t k = 0; k < e.F; ++k) parts[k] = e.counts[k] / parts[k];
            starts.push_back(principal_axes(pooled(parts, e.average), d));
            starts.emplace_back();
            if (!find_axes(e, go, nullptr, true, starts.back())) return false;
        }
    }
    const auto best_first = [&] {
        std::vector<std::pair<double, std::size_t>> ranked;
        for (std::size_t i = 0; i < starts.size(); ++i)
            ranked.emplace_back(disorder(e, starts[i], equal_volumes), i);
        std::sort(ranked.begin(), ranked.end());
        std::vector<Numbers> sorted;
        for (const auto& [level, i] : ranked) sorted.push_back(std::move(starts[i]));
        starts = std::move(sorted);
    };
    best_first();
    if (!previous) {
        starts.resize(std::min(starts.size(), go.axes.tried));
        for (Numbers& start : starts)
            start = common_axes(e, std::move(start), equal_volumes, go.axes, go.axes.brief);
        best_first();
    }
    axes = common_axes(e, std::move(starts.front()), equal_volumes, go.axes,
                       previous ? go.axes.warm : go.axes.first);
    return true;
}

// ---- the laws -----------------------------------------------------------------------------------

bool as_seen(const Evidence& e, const Searches&, const Mixture*, Mixture& out) {
    out.values = e.average;
    return true;
}

bool vei(const Evidence& e, const Searches& go, const Mixture*, Mixture& out) {
    out.values = e.average;
    return own_volumes(out.values, e.counts, e.d, go.volumes);
}

bool evi(const Evidence& e, const Searches&, const Mixture*, Mixture& out) {
    out.values = e.average;
    own_shapes(out.values, e.counts, e.d);
    return true;
}

bool vee(const Evidence& e, const Searches& go, const Mixture*, Mixture& out) {
    Numbers lambdas;
    if (!shared_volumes(e.average, e.counts, e.d, true, go.volumes, lambdas)) return false;
    Numbers parts(e.counts);
    for (std::size_t k = 0; k < e.F; ++k) parts[k] /= lambdas[k];
    Numbers shared = pooled(parts, e.average);
    const double size = std::exp(log_det_of(shared, e.d) / as_double(e.d));
    for (double& s : shared) s /= size;
    out.values.resize(e.F * e.size);
    for (std::size_t k = 0; k < e.F; ++k)
        for (std::size_t i = 0; i < e.size; ++i)
            out.values[k * e.size + i] = lambdas[k] * shared[i];
    return true;
}

template <bool equal_volumes>
bool along_common_axes(const Evidence& e, const Searches& go, const Mixture* previous,
                       Mixture& out) {
    if (!find_axes(e, go, previous, equal_volumes, out.axes)) return false;
    Numbers spreads = along(e, out.axes);
    if (equal_volumes) own_shapes(spreads, e.counts, e.d);
    out.values.resize(e.F * e.size);
    for (std::size_t k = 0; k < e.F; ++k)
        along_axes(out.axes.data(), &spreads[k * e.d], e.d, &out.values[k * e.size]);
    return true;
}

template <bool equal_volumes>
bool along_own_axes(const Evidence& e, const Searches& go, const Mixture*, Mixture& out) {
    Numbers spreads(e.F * e.d), axes(e.F * e.size), S(e.average);
    for (std::size_t k = 0; k < e.F; ++k)
        eigen(&S[k * e.size], e.d, &spreads[k * e.d], &axes[k * e.size]);
    for (double& s : spreads) s = std::max(s, 0.0);
    if (equal_volumes) {
        const Numbers mean = equal(spreads, e.counts);
        for (std::size_t k = 0; k < e.F; ++k)
            std::copy(mean.begin(), mean.end(), spreads.begin() + k * e.d);
    } else if (!own_volumes(spreads, e.counts, e.d, go.volumes)) {
        return false;
    }
    out.values.resize(e.F * e.size);
    for (std::size_t k = 0; k < e.F; ++k)
        along_axes(&axes[k * e.size], &spreads[k * e.d], e.d, &out.values[k * e.size]);
    return true;
}

bool evv(const Evidence& e, const Searches&, const Mixture*, Mixture& out) {
    Numbers sizes(e.F);
    double size = 0.0;
    for (std::size_t k = 0; k < e.F; ++k) {
        const Numbers S(e.average.begin() + k * e.size, e.average.begin() + (k + 1) * e.size);
        size += e.counts[k] * (sizes[k] = std::exp(log_det_of(S, e.d) / as_double(e.d)));
    }
    size /= sum_of(e.counts);
    out.values.resize(e.F * e.size);
    for (std::size_t k = 0; k < e.F; ++k)
        for (std::size_t i = 0; i < e.size; ++i)
            out.values[k * e.size + i] = e.average[k * e.size + i] * (size / sizes[k]);
    return true;
}

constexpr Law LAWS[] = {
    {"EII", Form::spherical, Scatter::trace, true, false, as_seen},
    {"VII", Form::spherical, Scatter::trace, false, false, as_seen},
    {"EEI", Form::diagonal, Scatter::diagonal, true, false, as_seen},
    {"VEI", Form::diagonal, Scatter::diagonal, false, true, vei},
    {"EVI", Form::diagonal, Scatter::diagonal, false, true, evi},
    {"VVI", Form::diagonal, Scatter::diagonal, false, false, as_seen},
    {"EEE", Form::dense, Scatter::total, true, false, as_seen},
    {"VEE", Form::dense, Scatter::dense, false, true, vee},
    {"EVE", Form::dense, Scatter::dense, false, true, along_common_axes<true>},
    {"VVE", Form::dense, Scatter::dense, false, true, along_common_axes<false>},
    {"EEV", Form::dense, Scatter::dense, false, true, along_own_axes<true>},
    {"VEV", Form::dense, Scatter::dense, false, true, along_own_axes<false>},
    {"EVV", Form::dense, Scatter::dense, false, true, evv},
    {"VVV", Form::dense, Scatter::dense, false, false, as_seen},
};

// ---- evidence -----------------------------------------------------------------------------------

// Counts and average scatter about the new means, pooled where one covariance serves all.
Evidence evidence_of(const Setting& setting, const Moments& m, const Numbers& shift) {
    const std::size_t K = m.K, d = m.d, F = setting.law->shares_all ? 1 : K,
                      size = second_size(setting.law->needs, 1, d);
    Evidence e{setting.law->form, F, K, d, size, m.counts, Numbers(F * size, 0.0)};
    const bool pooled_already = m.kind == Scatter::total;
    if (F == 1) e.counts.assign(1, m.in_components());
    if (pooled_already) e.average = m.second;
    for (std::size_t k = 0; k < K; ++k) {
        const double *first = &m.first[k * d], *s = &shift[k * d];
        double* out = &e.average[F == 1 ? 0 : k * size];
        const double* second = pooled_already ? nullptr : &m.second[k * size];
        if (m.kind == Scatter::trace) {
            double moved = 0.0;
            for (std::size_t j = 0; j < d; ++j) moved += first[j] * s[j];
            out[0] += std::max(second[0] - moved, 0.0);
        } else if (m.kind == Scatter::diagonal) {
            for (std::size_t j = 0; j < d; ++j)
                out[j] += std::max(second[j] - first[j] * s[j], 0.0);
        } else {
            for (std::size_t i = 0; i < d; ++i)
                for (std::size_t j = 0; j < d; ++j)
                    out[i * d + j] += (second ? second[i * d + j] : 0.0) -
                                      0.5 * (first[i] * s[j] + first[j] * s[i]);
        }
    }
    const PseudoRows& prior = setting.prior;
    for (std::size_t f = 0; f < F && !prior.scatter.empty(); ++f) {
        e.counts[f] += prior.rows;
        for (std::size_t j = 0; j < d; ++j) e.average[f * size + j * (d + 1)] += prior.scatter[j];
    }
    for (std::size_t f = 0; f < F; ++f) {
        const double rows = e.counts[f] * (m.kind == Scatter::trace ? as_double(d) : 1.0);
        for (std::size_t i = 0; i < size; ++i)
            e.average[f * size + i] = e.counts[f] > 0.0 ? e.average[f * size + i] / rows : 0.0;
    }
    return e;
}

// Whether full scatter is above the floor by the prior alone.
bool held_by(const PseudoRows& prior, const Evidence& e, const Numbers& floor) {
    const double most = *std::max_element(e.counts.begin(), e.counts.end());
    for (std::size_t j = 0; j < prior.scatter.size(); ++j)
        if (!(prior.scatter[j] > most * floor[j])) return false;
    return !prior.scatter.empty();
}

// No direction below the floor.
void lift(Evidence& e, const Numbers& floor) {
    const std::size_t d = e.d;
    if (e.form != Form::dense) {
        const double widest = *std::max_element(floor.begin(), floor.end());
        for (std::size_t i = 0; i < e.average.size(); ++i) {
            const double lowest = e.form == Form::spherical ? widest : floor[i % d];
            if (e.average[i] < lowest) e.average[i] = lowest, e.lifted = true;
        }
        return;
    }
    for (std::size_t f = 0; f < e.F; ++f) {
        double* S = &e.average[f * e.size];
        if (exceeds(S, d, 1.0, floor.data())) continue;
        Numbers values(d), axes(e.size);
        for (std::size_t i = 0; i < e.size; ++i)
            S[i] /= std::sqrt(floor[i / d]) * std::sqrt(floor[i % d]);
        eigen(S, d, values.data(), axes.data());
        for (double& value : values) value = std::max(value, 1.0);
        along_axes(axes.data(), values.data(), d, S);
        for (std::size_t i = 0; i < e.size; ++i)
            S[i] *= std::sqrt(floor[i / d]) * std::sqrt(floor[i % d]);
        e.lifted = true;
    }
}

// The M-step's objective, -1/2 sum_k n_k (log det Sigma_k + tr(Sigma_k^-1 S_k)).
double fit(const Evidence& e, const Mixture& mixture) {
    Numbers half(e.form == Form::dense ? e.size : 0);
    double value = 0.0;
    for (std::size_t f = 0; f < e.F; ++f) {
        const double *S = &e.average[f * e.size], *W = &mixture.whitener[f * e.size];
        double trace = 0.0;
        if (e.form == Form::dense) {
            multiply(W, S, e.d, true, half.data());
            trace = inner(half.data(), W, e.size);
        } else {
            for (std::size_t j = 0; j < e.size; ++j) trace += S[j] / mixture.values[f * e.size + j];
            if (e.form == Form::spherical) trace *= as_double(e.d);
        }
        value -= 0.5 * e.counts[f] * (mixture.log_det[f] + trace);
    }
    return value;
}

// The first covariance that is singular or not a number, or -1; without a floor, singular to
// rounding in its own units.
std::ptrdiff_t first_unsound(const Mixture& mixture, bool has_floor, double unresolved) {
    const std::size_t size = mixture.size(), d = mixture.d;
    for (std::size_t f = 0; f < mixture.F; ++f) {
        const double* values = &mixture.values[f * size];
        bool sound = std::all_of(values, values + size, [](double v) { return std::isfinite(v); });
        if (mixture.form != Form::dense) {
            sound = sound && std::all_of(values, values + size, [](double v) { return v > 0.0; });
        } else if (sound && !has_floor) {
            Numbers own(d);
            for (std::size_t j = 0; j < d; ++j) own[j] = values[j * (d + 1)];
            sound = std::all_of(own.begin(), own.end(), [](double v) { return v > 0.0; }) &&
                    exceeds(values, d, unresolved * as_double(d), own.data());
        }
        if (!sound) return static_cast<std::ptrdiff_t>(f);
    }
    return -1;
}

// Whether some direction of a covariance lies below the floor, beyond rounding.
bool is_below(const Mixture& mixture, const Numbers& floor, double rounding) {
    const double almost = 1.0 - rounding;
    const std::size_t size = mixture.size(), d = mixture.d;
    const double highest = *std::max_element(floor.begin(), floor.end());
    for (std::size_t f = 0; f < mixture.F; ++f) {
        const double* values = &mixture.values[f * size];
        if (mixture.form == Form::dense) {
            if (!exceeds(values, d, almost, floor.data())) return true;
        } else {
            for (std::size_t j = 0; j < size; ++j)
                if (values[j] <= almost * (mixture.form == Form::spherical ? highest : floor[j]))
                    return true;
        }
    }
    return false;
}

} // namespace

const Law* law_named(const std::string& name) {
    for (const Law& law : LAWS)
        if (name == law.name) return &law;
    return nullptr;
}

double penalty(const PseudoRows& prior, const Mixture& m) {
    if (prior.scatter.empty()) return 0.0;
    double taken = -prior.best * as_double(m.F);
    Numbers squares(m.d);
    for (std::size_t f = 0; f < m.F; ++f) {
        std::fill(squares.begin(), squares.end(), 0.0);
        for (std::size_t i = 0; i < m.d; ++i)
            for (std::size_t j = 0; j <= i; ++j)
                squares[j] +=
                    m.whitener[(f * m.d + i) * m.d + j] * m.whitener[(f * m.d + i) * m.d + j];
        taken += prior.rows * m.log_det[f] + inner(squares.data(), prior.scatter.data(), m.d);
    }
    return -0.5 * taken;
}

std::ptrdiff_t complete(Mixture& m) {
    const std::size_t d = m.d, size = m.size();
    m.whitener.resize(m.values.size());
    m.log_det.resize(m.F);
    Numbers factor;
    for (std::size_t f = 0; f < m.F; ++f) {
        double *whitener = &m.whitener[f * size], log_det = 0.0;
        if (m.form == Form::dense) {
            factor.assign(m.values.begin() + f * size, m.values.begin() + (f + 1) * size);
            if (!cholesky(factor.data(), d)) return static_cast<std::ptrdiff_t>(f);
            invert_lower(factor.data(), d, whitener);
            for (std::size_t j = 0; j < d; ++j) log_det -= 2.0 * std::log(whitener[j * (d + 1)]);
        } else {
            for (std::size_t j = 0; j < size; ++j) {
                whitener[j] = 1.0 / std::sqrt(m.values[f * size + j]);
                log_det += std::log(m.values[f * size + j]);
            }
            if (m.form == Form::spherical) log_det *= as_double(d);
        }
        m.log_det[f] = log_det;
    }
    m.log_scale.resize(m.K);
    for (std::size_t k = 0; k < m.K; ++k) {
        const double log_det = m.log_det[m.F == 1 ? 0 : k];
        m.log_scale[k] = m.tails.empty()
                             ? std::log(m.weights[k]) - 0.5 * (as_double(d) * LOG_2PI + log_det)
                             : std::log(m.weights[k]) + log_peak(m.tails[k], d) - 0.5 * log_det;
    }
    return -1;
}

std::ptrdiff_t m_step(const Setting& setting, const Moments& m, const Mixture* previous,
                      Mixture& out) {
    const Law& law = *setting.law;
    const Searches& go = setting.searches;
    const std::size_t K = m.K, d = m.d;
    const double n = m.total();
    out.K = K, out.d = d, out.F = law.shares_all ? 1 : K, out.form = law.form;
    out.noise = m.noise / n;
    out.weights.resize(K);
    out.means.resize(K * d);
    out.axes.clear();
    out.tails = setting.tails ? scored_tails(*setting.tails, m) : Numbers();
    Numbers shift(K * d);
    for (std::size_t k = 0; k < K; ++k) {
        out.weights[k] = setting.equal_weights ? (1.0 - out.noise) / as_double(K) : m.counts[k] / n;
        for (std::size_t j = 0; j < d; ++j) {
            shift[k * d + j] = m.first[k * d + j] / (m.pulled(k) > 0.0 ? m.pulled(k) : 1.0);
            out.means[k * d + j] = m.about[k * d + j] + shift[k * d + j];
        }
    }
    Evidence evidence = evidence_of(setting, m, shift);
    const bool has_floor = setting.has_floor();
    Evidence seen;
    if (has_floor) {
        if (law.shares_some) seen = evidence;
        if (!held_by(setting.prior, evidence, setting.floor)) lift(evidence, setting.floor);
    }
    const bool bent = law.shares_some && evidence.lifted;
    // What components share is at its maximum without a floor if that lies above the floor.
    if (bent && law.estimate(seen, go, previous, out) &&
        first_unsound(out, has_floor, setting.unresolved) < 0 && complete(out) < 0 &&
        !is_below(out, setting.floor, setting.floor_rounding))
        return -1;
    if (bent) out.axes.clear();
    if (!law.estimate(evidence, go, previous, out)) return 0;
    std::ptrdiff_t singular = first_unsound(out, has_floor, setting.unresolved);
    if (singular < 0) singular = complete(out);
    if (singular >= 0) return singular;
    if (bent && previous && !(fit(seen, out) >= fit(seen, *previous))) {
        // What components share may not be at its optimum for lifted evidence: never a step down.
        out.values = previous->values;
        out.axes = previous->axes;
        return complete(out);
    }
    return -1;
}

} // namespace mixtura

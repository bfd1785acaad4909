#include "arrivals.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "dense.hpp"

namespace mixtura {
namespace {

struct Part {
    double weight;
    Numbers mean, covariance;
};

using Parts = std::vector<Part>;

// Squared distances of all rows from one of them, in units of a covariance.
class Distances {
public:
    // False where the covariance is singular.
    bool measure(const double* covariance, std::size_t d) {
        whitener_.resize(d * d), factor_.assign(covariance, covariance + d * d), white_.resize(d);
        if (!cholesky(factor_.data(), d)) return false;
        invert_lower(factor_.data(), d, whitener_.data());
        return true;
    }

    void from(const Origin& o, std::ptrdiff_t seed, Numbers& out) {
        const double* at = o.rows + static_cast<std::size_t>(seed) * o.d;
        out.resize(o.n);
        for (std::size_t i = 0; i < o.n; ++i) out[i] = whiten(whitener_.data(), o.d, o.rows + i * o.d, at, white_.data());
    }

private:
    Numbers whitener_, factor_, white_;
};

// The same as `part_of`: rows with shares, and d + 1 rows' worth of `stretch` times a measure.
template <class Share>
Part part_of(const Origin& o, const std::vector<std::size_t>& held, Share&& share, const double* measure, double stretch) {
    const std::size_t d = o.d;
    Part part{0.0, Numbers(d, 0.0), Numbers(d * d, 0.0)};
    for (std::size_t at = 0; at < held.size(); ++at) {
        const double w = share(at);
        part.weight += w;
        for (std::size_t j = 0; j < d; ++j) part.mean[j] += w * o.rows[held[at] * d + j];
    }
    for (double& value : part.mean) value /= part.weight;
    for (std::size_t at = 0; at < held.size(); ++at) {
        const double w = share(at);
        const double* x = o.rows + held[at] * d;
        for (std::size_t i = 0; i < d; ++i)
            for (std::size_t j = 0; j <= i; ++j) part.covariance[i * d + j] += w * (x[i] - part.mean[i]) * (x[j] - part.mean[j]);
    }
    const double known = static_cast<double>(d + 1) * o.row_weight;
    for (std::size_t i = 0; i < d; ++i)
        for (std::size_t j = 0; j <= i; ++j) {
            const double sum = part.covariance[i * d + j] + known * stretch * measure[i * d + j];
            part.covariance[i * d + j] = part.covariance[j * d + i] = sum / (part.weight + known);
        }
    return part;
}

Part component(const Origin& o, std::size_t k) {
    const std::size_t d = o.d;
    return {o.counts[k], Numbers(o.means + k * d, o.means + (k + 1) * d), Numbers(o.covariances + k * d * d, o.covariances + (k + 1) * d * d)};
}

Part joined(const Part& one, const Part& other) {
    const std::size_t d = one.mean.size();
    Part both{std::max(one.weight + other.weight, std::numeric_limits<double>::min()), Numbers(d), Numbers(d * d, 0.0)};
    for (std::size_t j = 0; j < d; ++j) both.mean[j] = (one.weight * one.mean[j] + other.weight * other.mean[j]) / both.weight;
    for (const Part* part : {&one, &other})
        for (std::size_t i = 0; i < d; ++i)
            for (std::size_t j = 0; j < d; ++j)
                both.covariance[i * d + j] += part->weight / both.weight *
                    (part->covariance[i * d + j] + (part->mean[i] - both.mean[i]) * (part->mean[j] - both.mean[j]));
    return both;
}

bool around(const Origin& o, const Arrival& a, Parts& parts) {
    const double* measure = a.one < 0 ? o.pooled : o.covariances + static_cast<std::size_t>(a.one) * o.d * o.d;
    Distances distances;
    if (!distances.measure(measure, o.d)) return false;
    Numbers far;
    distances.from(o, a.row, far);
    std::vector<std::size_t> order(o.n), held;
    for (std::size_t i = 0; i < o.n; ++i) order[i] = i;
    // A heap, of which the nearest rows are taken until they are enough: mostly they are few of all.
    const auto later = [&](std::size_t one, std::size_t other) { return far[one] > far[other] || (far[one] == far[other] && one > other); };
    std::make_heap(order.begin(), order.end(), later);
    Numbers shares;
    double so_far = 0.0;
    while (!order.empty() && so_far < a.wanted) {
        std::pop_heap(order.begin(), order.end(), later);
        const std::size_t row = order.back();
        order.pop_back();
        if (!(o.weights[row] > 0.0)) continue;
        held.push_back(row), shares.push_back(std::min(a.wanted - so_far, o.weights[row]));
        so_far += o.weights[row];
    }
    if (held.empty()) return false;
    parts.push_back(part_of(o, held, [&](std::size_t at) { return shares[at]; }, measure, far[held.back()] / static_cast<double>(o.d + 2)));
    return true;
}

bool cut(const Origin& o, const Arrival& a, Parts& parts) {
    const auto k = static_cast<std::size_t>(a.one);
    const Part whole = a.other < 0 ? component(o, k) : joined(component(o, k), component(o, static_cast<std::size_t>(a.other)));
    Distances distances;
    if (!distances.measure(whole.covariance.data(), o.d)) return false;
    Numbers first, second;
    distances.from(o, a.row, first), distances.from(o, a.other_row, second);
    std::vector<std::size_t> halves[2];
    Numbers share(o.n);
    double weights[2] = {0.0, 0.0};
    for (std::size_t i = 0; i < o.n; ++i) {
        const double* own = o.posteriors + i * o.K;
        share[i] = (own[k] + (a.other < 0 ? 0.0 : own[a.other])) * o.weights[i];
        const std::size_t side = first[i] < second[i] ? 0 : 1;
        halves[side].push_back(i), weights[side] += share[i];
    }
    if (std::min(weights[0], weights[1]) < static_cast<double>(o.d + 1) * o.row_weight) return false;
    for (const auto& half : halves) parts.push_back(part_of(o, half, [&](std::size_t at) { return share[half[at]]; }, whole.covariance.data(), 1.0));
    return true;
}

bool arrive(const Origin& o, const Arrival& a, Parts& parts) {
    switch (a.kind) {
        case Arrival::Kind::around: return around(o, a, parts);
        case Arrival::Kind::cut: return cut(o, a, parts);
        case Arrival::Kind::joined:
            parts.push_back(joined(component(o, static_cast<std::size_t>(a.one)), component(o, static_cast<std::size_t>(a.other))));
            return true;
        default:
            parts.push_back({a.wanted, Numbers(a.mean, a.mean + o.d), Numbers(a.covariance, a.covariance + o.d * o.d)});
            return true;
    }
}

Moments moments_of(const Parts& parts, std::size_t d, Scatter kind) {
    Moments m;
    m.K = parts.size(), m.d = d, m.kind = kind;
    m.first.assign(m.K * d, 0.0), m.second.assign(second_size(kind, m.K, d), 0.0);
    for (std::size_t k = 0; k < m.K; ++k) {
        const Part& part = parts[k];
        m.counts.push_back(part.weight);
        m.about.insert(m.about.end(), part.mean.begin(), part.mean.end());
        for (std::size_t i = 0; i < d * d; ++i) {
            const bool diagonal = i % (d + 1) == 0;
            if (kind == Scatter::dense) m.second[k * d * d + i] = part.weight * part.covariance[i];
            else if (kind == Scatter::total) m.second[i] += part.weight * part.covariance[i];
            else if (diagonal) m.second[kind == Scatter::trace ? k : k * d + i / (d + 1)] += part.weight * part.covariance[i];
        }
    }
    return m;
}

} // namespace

bool depart(const Origin& o, const std::vector<std::size_t>& gone, const std::vector<Arrival>& arrivals, Scatter kind, Moments& out) {
    Parts parts;
    for (std::size_t k = 0; k < o.K; ++k)
        if (std::find(gone.begin(), gone.end(), k) == gone.end()) parts.push_back(component(o, k));
    for (const Arrival& arrival : arrivals)
        if (!arrive(o, arrival, parts)) return false;
    out = moments_of(parts, o.d, kind);
    return true;
}

} // namespace mixtura

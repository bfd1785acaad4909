#include "insertions.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "dense.hpp"

namespace mixtura {
namespace {

constexpr double UNKNOWN = std::numeric_limits<double>::quiet_NaN();
constexpr double LOG_TWO_PI = 1.8378770664093454836;

// As in src/mixtura/insertions.py.
constexpr int MOST_STEPS = 15;
constexpr double STILL = 0.05, REACH = 2.0, LARGEST_EXPONENT = 700.0;

// Nothing is lost by leaving out a row to which the new component would add this part of its density.
constexpr double NEGLIGIBLE = -25.0;

// The covariance of the form, from a dense one.
void shape(Numbers& covariance, std::size_t d, Form form) {
    if (form == Form::dense) return;
    double mean = 0.0;
    for (std::size_t j = 0; j < d; ++j) mean += covariance[j * d + j] / static_cast<double>(d);
    for (std::size_t i = 0; i < d * d; ++i)
        if (i % (d + 1) != 0) covariance[i] = 0.0;
        else if (form == Form::spherical) covariance[i] = mean;
}

} // namespace

void settle(const Origin& o, const double* log_density, Form form, double fewest, double narrowest, const double* scale, Insertion& io) {
    const std::size_t n = o.n, d = o.d;
    double total = 0.0;
    for (std::size_t i = 0; i < n; ++i) total += o.weights[i];
    double part = std::min(io.weight / total, 0.5), before = -HUGE_VAL;
    Numbers factor(d * d), whitener(d * d), first(d), second(d * d), step(d), white(d);
    io.gain = UNKNOWN;
    shape(io.covariance, d, form);
    for (int round = 0; round <= MOST_STEPS; ++round) {
        factor = io.covariance;
        if ((narrowest > 0.0 && !exceeds(factor.data(), d, narrowest, scale)) || !cholesky(factor.data(), d)) return;
        invert_lower(factor.data(), d, whitener.data());
        double log_norm = -0.5 * static_cast<double>(d) * LOG_TWO_PI;
        for (std::size_t j = 0; j < d; ++j) log_norm += std::log(whitener[j * d + j]);
        const double log_part = std::log(part), rest = std::log1p(-part);
        double gain = total * rest, count = 0.0;
        std::fill(first.begin(), first.end(), 0.0), std::fill(second.begin(), second.end(), 0.0);
        for (std::size_t i = 0; i < n; ++i) {
            const double square = whiten(whitener.data(), d, o.rows + i * d, io.mean.data(), white.data());
            const double odds = log_part - rest + std::min(log_norm - 0.5 * square - log_density[i], LARGEST_EXPONENT);
            if (odds < NEGLIGIBLE) continue;
            const double ratio = std::exp(odds), share = o.weights[i] * ratio / (1.0 + ratio);
            gain += o.weights[i] * std::log1p(ratio);
            count += share;
            for (std::size_t j = 0; j < d; ++j) step[j] = o.rows[i * d + j] - io.mean[j];
            for (std::size_t r = 0; r < d; ++r) {
                first[r] += share * step[r];
                for (std::size_t j = 0; j <= r; ++j) second[r * d + j] += share * step[r] * step[j];
            }
        }
        if (!(count >= fewest) || !std::isfinite(gain)) return; // it shrinks onto fewer rows than it needs
        if (round == MOST_STEPS || gain < before + STILL * o.row_weight) {
            io.gain = gain, io.weight = part * total;
            return;
        }
        before = gain;
        part = std::min(count / total, 0.5);
        for (std::size_t r = 0; r < d; ++r) first[r] /= count;
        for (std::size_t r = 0; r < d; ++r) {
            io.mean[r] += first[r];
            for (std::size_t j = 0; j <= r; ++j)
                io.covariance[r * d + j] = io.covariance[j * d + r] = second[r * d + j] / count - first[r] * first[j];
        }
        shape(io.covariance, d, form);
    }
}

bool near_flat(const Origin& o, const Flat& flat, Insertion& out) {
    const std::size_t n = o.n, d = o.d;
    Numbers factor(o.pooled, o.pooled + d * d), whitener(d * d);
    if (!cholesky(factor.data(), d)) return false;
    invert_lower(factor.data(), d, whitener.data());
    const double* at = o.rows + static_cast<std::size_t>(flat.seeds[0]) * d;
    Span free{d}; // the directions that are free, in whitened space
    Numbers y(d), direction(d);
    double extent = 0.0;
    for (std::size_t s = 1; s < d && flat.seeds[s] >= 0; ++s) {
        extent = std::max(extent, whiten(whitener.data(), d, o.rows + static_cast<std::size_t>(flat.seeds[s]) * d, at, y.data()));
        free.extend(y);
    }
    for (std::size_t j = 0; j < d; ++j) {
        if (!flat.axes[j]) continue;
        for (std::size_t r = 0; r < d; ++r) y[r] = whitener[r * d + j]; // r < j: zero above the diagonal
        free.extend(y);
        extent = HUGE_VAL;
    }
    std::vector<std::pair<double, std::size_t>> off;
    for (std::size_t i = 0; i < n; ++i) {
        if (!(o.weights[i] > 0.0)) continue;
        const double square = whiten(whitener.data(), d, o.rows + i * d, at, y.data());
        double along = 0.0;
        for (std::size_t b = 0; b < free.basis.size(); b += d) {
            double dot = 0.0;
            for (std::size_t j = 0; j < d; ++j) dot += free.basis[b + j] * y[j];
            along += dot * dot;
        }
        if (along <= REACH * REACH * extent) off.push_back({square - along, i});
    }
    const std::size_t m = std::min(flat.rows, off.size());
    if (m < 2) return false;
    std::nth_element(off.begin(), off.begin() + static_cast<std::ptrdiff_t>(m - 1), off.end());
    std::sort(off.begin(), off.begin() + static_cast<std::ptrdiff_t>(m), [](const auto& a, const auto& b) { return a.second < b.second; });
    out.weight = 0.0, out.mean.assign(d, 0.0), out.covariance.assign(d * d, 0.0);
    for (std::size_t h = 0; h < m; ++h) {
        const std::size_t i = off[h].second;
        out.weight += o.weights[i];
        for (std::size_t j = 0; j < d; ++j) out.mean[j] += o.weights[i] * o.rows[i * d + j];
    }
    for (double& value : out.mean) value /= out.weight;
    for (std::size_t h = 0; h < m; ++h) {
        const std::size_t i = off[h].second;
        for (std::size_t r = 0; r < d; ++r)
            for (std::size_t j = 0; j < d; ++j)
                out.covariance[r * d + j] += o.weights[i] / out.weight * (o.rows[i * d + r] - out.mean[r]) * (o.rows[i * d + j] - out.mean[j]);
    }
    return true;
}

} // namespace mixtura

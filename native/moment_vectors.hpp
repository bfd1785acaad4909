// Moments as vectors and back: what EM is extrapolated and differentiated in.
#pragma once

#include <algorithm>
#include <cmath>

#include "dense.hpp"
#include "moments.hpp"

namespace mixtura {

// The part of the rows in the noise term from which on its weight may deviate, as in
// src/mixtura/em/moment_vectors.py.
constexpr double LEAST_NOISE = 1e-9;

// The sum of a_i b_i.
inline double dot(const Numbers& a, const Numbers& b) {
    double sum = 0.0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
    return sum;
}

inline double norm(const Numbers& a) { return std::sqrt(dot(a, a)); }

// What t components sum up beside, one after the other; nothing of Gaussians.
template <class Of, class Each>
void each_of_tails(Of& moments, const Each& each) {
    for (auto* sums : {&moments.pulls, &moments.tail_sums, &moments.tail_information}) each(*sums);
}

inline std::size_t vector_size(const Moments& m) {
    std::size_t size = m.K * (1 + m.d) + m.second.size() + (m.noisy ? 1 : 0);
    each_of_tails(m, [&](const Numbers& sums) { size += sums.size(); });
    return size;
}

// Counts, first and second moments, and the sums of t components, one after the other, about other
// points; last, the weight of a noise term's rows where there is one.
inline Numbers sums_about(const Moments& m, const Numbers& about) {
    const std::size_t K = m.K, d = m.d, width = m.second.size() / K;
    const bool pooled = m.kind == Scatter::total;
    Numbers v(vector_size(m)), s(d);
    if (m.noisy) v.back() = m.noise;
    double *first = &v[K], *second = &v[K + K * d];
    std::copy(m.second.begin(), m.second.end(), second);
    for (std::size_t k = 0; k < K; ++k) {
        const double count = m.pulled(k), *sum = &m.first[k * d];
        v[k] = m.counts[k];
        for (std::size_t j = 0; j < d; ++j) {
            s[j] = m.about[k * d + j] - about[k * d + j];
            first[k * d + j] = sum[j] + count * s[j];
        }
        if (m.kind == Scatter::trace || m.kind == Scatter::diagonal) {
            for (std::size_t j = 0; j < d; ++j)
                second[k * width + (width == 1 ? 0 : j)] +=
                    2.0 * sum[j] * s[j] + count * s[j] * s[j];
            continue;
        }
        double* out = second + (pooled ? 0 : k * d * d);
        for (std::size_t i = 0; i < d; ++i)
            for (std::size_t j = 0; j < d; ++j)
                out[i * d + j] += sum[i] * s[j] + sum[j] * s[i] + count * s[i] * s[j];
    }
    auto at = v.begin() + static_cast<std::ptrdiff_t>(K + K * d + m.second.size());
    each_of_tails(m, [&](const Numbers& sums) { at = std::copy(sums.begin(), sums.end(), at); });
    return v;
}

// The moments about the points of `origin` with these sums, matrices made symmetric; false where a
// count is negative, or a sum of pulls or of information.
inline bool moments_with(const Moments& origin, const Numbers& sums, Moments& out) {
    const std::size_t K = origin.K, d = origin.d;
    for (std::size_t k = 0; k < K; ++k)
        if (sums[k] < 0.0) return false;
    if (origin.noisy && sums.back() < 0.0) return false;
    out = origin;
    if (origin.noisy) out.noise = sums.back();
    const auto first = sums.begin() + static_cast<std::ptrdiff_t>(K),
               second = first + static_cast<std::ptrdiff_t>(K * d);
    auto end = second + static_cast<std::ptrdiff_t>(origin.second.size());
    std::copy(sums.begin(), first, out.counts.begin());
    std::copy(first, second, out.first.begin());
    std::copy(second, end, out.second.begin());
    each_of_tails(out, [&](Numbers& own) {
        for (double& sum : own) sum = *end++;
    });
    for (const double sum : out.pulls)
        if (sum < 0.0) return false;
    for (const double sum : out.tail_information)
        if (sum < 0.0) return false;
    if (out.kind == Scatter::total || out.kind == Scatter::dense)
        for (std::size_t f = 0; f < out.second.size(); f += d * d)
            for (std::size_t i = 0; i < d; ++i)
                for (std::size_t j = 0; j < i; ++j) {
                    double &a = out.second[f + i * d + j], &b = out.second[f + j * d + i];
                    a = b = 0.5 * (a + b);
                }
    return true;
}

// Per row, in units of the data's standard deviations (src/mixtura/em/squarem.py).
class ScaledMoments {
public:
    ScaledMoments(const Moments& origin, const Numbers& scale)
        : origin_(origin), total_(origin.total()) {
        const std::size_t K = origin.K, d = origin.d, first = K, second = K + K * d;
        unit_.assign(vector_size(origin), 1.0);
        double traces = 0.0;
        for (const double s : scale) traces += s;
        const bool pooled = origin.kind == Scatter::total;
        const std::size_t width = pooled ? origin.second.size() : origin.second.size() / K;
        for (std::size_t i = 0; i < K * d; ++i) unit_[first + i] = std::sqrt(scale[i % d]);
        for (std::size_t i = 0; i < origin.second.size(); ++i) {
            const std::size_t at = i % width;
            unit_[second + i] = origin.kind == Scatter::trace ? traces
                                : origin.kind == Scatter::diagonal
                                    ? scale[at]
                                    : std::sqrt(scale[at / d]) * std::sqrt(scale[at % d]);
        }
    }

    Numbers vector(const Moments& m) const {
        Numbers v = sums_about(m, origin_.about);
        for (std::size_t i = 0; i < v.size(); ++i) v[i] = v[i] / unit_[i] / total_;
        return v;
    }

    bool moments(Numbers v, Moments& out) const {
        for (std::size_t i = 0; i < v.size(); ++i) v[i] = v[i] * unit_[i] * total_;
        return moments_with(origin_, v, out);
    }

private:
    const Moments& origin_;
    double total_;
    Numbers unit_;
};

// Each component in its own frame, where its mean is 0 and its covariance the identity
// (src/mixtura/em/moment_vectors.py).
class WhitenedMoments {
public:
    WhitenedMoments(const Moments& origin, const Mixture& mixture)
        : origin_(origin), mixture_(mixture), total_(origin.total()),
          inverse_(mixture.whitener.size(), 0.0) {
        const std::size_t d = origin.d;
        for (std::size_t f = 0; f < mixture.F; ++f)
            if (mixture.form == Form::dense)
                invert_lower(&mixture.whitener[f * d * d], d, &inverse_[f * d * d]);
            else
                for (std::size_t j = f * mixture.size(); j < (f + 1) * mixture.size(); ++j)
                    inverse_[j] = 1.0 / mixture.whitener[j];
    }

    std::size_t size() const { return vector_size(origin_); }

    Numbers vector(const Moments& m) const {
        Numbers v = sums_about(m, origin_.about);
        turn(v, mixture_.whitener);
        add_counts(v, -1.0);
        stretch(v, false);
        return v;
    }

    bool moments(Numbers v, Moments& out) const {
        stretch(v, true);
        add_counts(v, 1.0);
        turn(v, inverse_);
        return moments_with(origin_, v, out);
    }

private:
    // First and second moments of rows that are turned by lower triangles, or stretched by numbers,
    // of each component or of all.
    void turn(Numbers& v, const Numbers& by) const {
        const std::size_t K = origin_.K, d = origin_.d,
                          step = mixture_.F == 1 ? 0 : mixture_.size();
        double *first = &v[K], *second = &v[K + K * d];
        Numbers half(d * d), across(d * d);
        const auto both_sides = [&](const double* W, double* S) { // W S W'
            multiply(W, S, d, true, half.data());
            transpose(W, d, across.data());
            multiply(half.data(), across.data(), d, false, S);
        };
        for (std::size_t k = 0; k < K; ++k) {
            const double* W = &by[k * step];
            double* f = first + k * d;
            if (mixture_.form == Form::dense) {
                for (std::size_t i = d; i-- > 0;) {
                    f[i] *= W[i * d + i];
                    for (std::size_t j = 0; j < i; ++j) f[i] += W[i * d + j] * f[j];
                }
                if (origin_.kind == Scatter::dense) both_sides(W, second + k * d * d);
                continue;
            }
            for (std::size_t j = 0; j < d; ++j) {
                const double w = W[mixture_.form == Form::diagonal ? j : 0];
                f[j] *= w;
                if (origin_.kind == Scatter::diagonal) second[k * d + j] *= w * w;
            }
            if (origin_.kind == Scatter::trace) second[k] *= W[0] * W[0];
        }
        if (origin_.kind == Scatter::total) both_sides(by.data(), second);
    }

    // Adds the second moments that as many rows have in their own frame, `times` so many.
    void add_counts(Numbers& v, double times) const {
        const std::size_t K = origin_.K, d = origin_.d;
        double* second = &v[K + K * d];
        for (std::size_t k = 0; k < K; ++k) {
            const double count = times * v[k];
            if (origin_.kind == Scatter::trace) second[k] += count * static_cast<double>(d);
            else
                for (std::size_t j = 0; j < d; ++j) {
                    if (origin_.kind == Scatter::diagonal) second[k * d + j] += count;
                    else
                        second[(origin_.kind == Scatter::dense ? k * d * d : 0) + j * (d + 1)] +=
                            count;
                }
        }
    }

    // In units of their lengths, or back.
    void stretch(Numbers& v, bool back) const {
        const std::size_t K = origin_.K, d = origin_.d, width = origin_.second.size() / K;
        const bool pooled = origin_.kind == Scatter::total;
        const auto by = [&](double& x, double length) { x = back ? x * length : x / length; };
        for (std::size_t k = 0; k < K; ++k) {
            const double own = std::sqrt(std::max(origin_.counts[k], 1e-300) * total_);
            by(v[k], own);
            for (std::size_t j = 0; j < d; ++j) by(v[K + k * d + j], own);
            const double length =
                std::sqrt(origin_.kind == Scatter::trace ? 2.0 * static_cast<double>(d) : 2.0) *
                own;
            for (std::size_t i = 0; !pooled && i < width; ++i)
                by(v[K + K * d + k * width + i], length);
        }
        const std::size_t end = K + K * d + origin_.second.size(),
                          last = v.size() - (origin_.noisy ? 1 : 0);
        for (std::size_t i = K + K * d; pooled && i < end; ++i) by(v[i], std::sqrt(2.0) * total_);
        for (std::size_t i = end; i < last; ++i)
            by(v[i], std::sqrt(std::max(origin_.counts[(i - end) % K], 1e-300) * total_));
        if (!origin_.noisy) return;
        // A noise term that vanishes stays where it is: a deviation would make it negative.
        if (origin_.noise > LEAST_NOISE * total_) by(v.back(), std::sqrt(origin_.noise * total_));
        else v.back() = back ? origin_.noise : 0.0;
    }

    const Moments& origin_;
    const Mixture& mixture_;
    double total_;
    Numbers inverse_;
};

} // namespace mixtura

// Moments as vectors and back: per row, about fixed points, in units of the data's standard deviations (src/mixtura/rate.py).
#pragma once

#include <algorithm>
#include <cmath>

#include "moments.hpp"

namespace mixtura {

// The sum of a_i b_i.
inline double dot(const Numbers& a, const Numbers& b) {
    double sum = 0.0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
    return sum;
}

inline double norm(const Numbers& a) { return std::sqrt(dot(a, a)); }

class Chart {
public:
    Chart(const Moments& origin, const Numbers& scale) : origin_(origin), total_(origin.total()) {
        const std::size_t K = origin.K, d = origin.d, first = K, second = K + K * d;
        unit_.assign(second + origin.second.size(), 1.0);
        rows_.assign(unit_.size(), 0.0);
        double traces = 0.0;
        for (const double s : scale) traces += s;
        const bool pooled = origin.kind == Scatter::total;
        const std::size_t width = pooled ? origin.second.size() : origin.second.size() / K;
        for (std::size_t i = 0; i < K; ++i) rows_[i] = origin.counts[i];
        for (std::size_t i = 0; i < K * d; ++i) unit_[first + i] = std::sqrt(scale[i % d]), rows_[first + i] = origin.counts[i / d];
        for (std::size_t i = 0; i < origin.second.size(); ++i) {
            const std::size_t at = i % width;
            unit_[second + i] = origin.kind == Scatter::trace      ? traces
                                : origin.kind == Scatter::diagonal ? scale[at]
                                                                   : std::sqrt(scale[at / d]) * std::sqrt(scale[at % d]);
            rows_[second + i] = pooled ? total_ : origin.counts[i / width];
        }
    }

    std::size_t size() const { return unit_.size(); }

    // The count of the component that each entry of a vector belongs to.
    const Numbers& rows_per_sum() const { return rows_; }

    Numbers vector(const Moments& m) const {
        const std::size_t K = m.K, d = m.d, width = m.second.size() / K;
        const bool pooled = m.kind == Scatter::total;
        Numbers v(size()), s(d);
        double *first = &v[K], *second = &v[K + K * d];
        std::copy(m.second.begin(), m.second.end(), second);
        for (std::size_t k = 0; k < K; ++k) {
            const double count = v[k] = m.counts[k], *sum = &m.first[k * d];
            for (std::size_t j = 0; j < d; ++j) {
                s[j] = m.about[k * d + j] - origin_.about[k * d + j];
                first[k * d + j] = sum[j] + count * s[j];
            }
            if (m.kind == Scatter::trace || m.kind == Scatter::diagonal) {
                for (std::size_t j = 0; j < d; ++j)
                    second[k * width + (width == 1 ? 0 : j)] += 2.0 * sum[j] * s[j] + count * s[j] * s[j];
                continue;
            }
            double* out = second + (pooled ? 0 : k * d * d);
            for (std::size_t i = 0; i < d; ++i)
                for (std::size_t j = 0; j < d; ++j) out[i * d + j] += sum[i] * s[j] + sum[j] * s[i] + count * s[i] * s[j];
        }
        for (std::size_t i = 0; i < v.size(); ++i) v[i] = v[i] / unit_[i] / total_;
        return v;
    }

    // The moments with these sums, matrices made symmetric; false where a count is negative.
    bool moments(const Numbers& v, Moments& out) const {
        const std::size_t K = origin_.K, d = origin_.d;
        out = origin_;
        for (std::size_t i = 0; i < v.size(); ++i) {
            const double sum = v[i] * unit_[i] * total_;
            if (i < K) {
                if (sum < 0.0) return false;
                out.counts[i] = sum;
            } else if (i < K + K * d) {
                out.first[i - K] = sum;
            } else {
                out.second[i - K - K * d] = sum;
            }
        }
        if (out.kind == Scatter::total || out.kind == Scatter::dense)
            for (std::size_t f = 0; f < out.second.size(); f += d * d)
                for (std::size_t i = 0; i < d; ++i)
                    for (std::size_t j = 0; j < i; ++j) {
                        double &a = out.second[f + i * d + j], &b = out.second[f + j * d + i];
                        a = b = 0.5 * (a + b);
                    }
        return true;
    }

private:
    const Moments& origin_;
    double total_;
    Numbers unit_, rows_;
};

} // namespace mixtura

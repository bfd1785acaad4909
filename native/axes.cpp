#include "axes.hpp"

#include "dense.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace mixtura {
namespace {

// Every matrix and the axes, turned in the plane of axes p and q.
void turn_plane(double* turned, double* axes, std::size_t d, std::size_t K, std::size_t p,
                std::size_t q, double angle) {
    const double c = std::cos(angle), s = std::sin(angle);
    turn(turned + p * d * K, turned + q * d * K, d * K, c, s);
    for (std::size_t i = 0; i < d; ++i)
        turn(turned + (i * d + p) * K, turned + (i * d + q) * K, K, c, s);
    turn(axes + p * d, axes + q * d, d, c, s);
}

// The objective, and the weight of each component's log-determinant in its derivatives.
double level(const double* turned, const double* counts, std::size_t d, std::size_t K,
             bool equal_volumes, double* weights) {
    double value = 0.0;
    for (std::size_t k = 0; k < K; ++k) {
        double logs = 0.0;
        for (std::size_t j = 0; j < d; ++j) logs += std::log(turned[j * (d + 1) * K + k]);
        const double size = equal_volumes ? std::exp(logs / static_cast<double>(d)) : 1.0;
        value += counts[k] * (equal_volumes ? size : logs);
        weights[k] = equal_volumes ? counts[k] * size / static_cast<double>(d) : counts[k];
    }
    return value;
}

} // namespace

double newton_axes(double* turned, const double* counts, double* axes, std::size_t d, std::size_t K,
                   bool equal_volumes, double farthest, double trusted) {
    const std::size_t planes = d * (d - 1) / 2;
    const auto at = [&](std::size_t i, std::size_t j) { return turned + (i * d + j) * K; };
    std::vector<double> c(K), P(d * d * d), G(d * d * d), H(planes * planes, 0.0),
        slopes(planes * K), step(planes, 0.0);
    const double before = level(turned, counts, d, K, equal_volumes, c.data());
    for (std::size_t j = 0; j < d; ++j)
        for (std::size_t i = 0; i < d; ++i)
            for (std::size_t a = 0; a <= i; ++a) {
                double p = 0.0, g = 0.0;
                for (std::size_t k = 0; k < K; ++k) {
                    const double s = at(j, j)[k];
                    p += c[k] * at(i, a)[k] / s;
                    g += c[k] * at(i, j)[k] * at(a, j)[k] / (s * s);
                }
                P[(j * d + i) * d + a] = P[(j * d + a) * d + i] = p;
                G[(j * d + i) * d + a] = G[(j * d + a) * d + i] = g;
            }
    // The plane's number; the sign of the turn is that of j - i.
    const auto plane = [d](std::size_t i, std::size_t j) {
        if (i > j) std::swap(i, j);
        return i * d - i * (i + 1) / 2 + j - i - 1;
    };
    const auto add = [&](std::size_t i, std::size_t j, std::size_t a, std::size_t b, double value) {
        if (i == j || a == b) return;
        H[plane(i, j) * planes + plane(a, b)] += ((i < j) == (a < b)) ? value : -value;
    };
    for (std::size_t j = 0; j < d; ++j)
        for (std::size_t i = 0; i < d; ++i)
            for (std::size_t a = 0; a < d; ++a) {
                add(i, j, a, j, 2.0 * P[(j * d + i) * d + a] - 4.0 * G[(j * d + i) * d + a]);
                add(j, i, j, a, -(P[(a * d + i) * d + a] + P[(i * d + i) * d + a]));
            }
    for (std::size_t p = 0, number = 0; p + 1 < d; ++p)
        for (std::size_t q = p + 1; q < d; ++q, ++number)
            for (std::size_t k = 0; k < K; ++k) {
                slopes[number * K + k] =
                    2.0 * at(p, q)[k] * (1.0 / at(q, q)[k] - 1.0 / at(p, p)[k]);
                step[number] += c[k] * slopes[number * K + k];
            }
    if (equal_volumes)
        for (std::size_t i = 0; i < planes; ++i)
            for (std::size_t j = 0; j < planes; ++j)
                for (std::size_t k = 0; k < K; ++k)
                    H[i * planes + j] +=
                        c[k] / static_cast<double>(d) * slopes[i * K + k] * slopes[j * K + k];
    if (!cholesky(H.data(), planes)) return HUGE_VAL;
    solve(H.data(), planes, step.data());
    double largest = 0.0;
    for (const double angle : step) largest = std::max(largest, std::fabs(angle));
    if (!(largest < farthest)) return HUGE_VAL;
    const std::vector<double> old_turned(turned, turned + d * d * K), old_axes(axes, axes + d * d);
    for (std::size_t p = 0, number = 0; p + 1 < d; ++p)
        for (std::size_t q = p + 1; q < d; ++q, ++number)
            turn_plane(turned, axes, d, K, p, q, step[number]);
    if (largest < trusted || level(turned, counts, d, K, equal_volumes, c.data()) <= before)
        return largest;
    std::copy(old_turned.begin(), old_turned.end(), turned);
    std::copy(old_axes.begin(), old_axes.end(), axes);
    return HUGE_VAL;
}

double sweep_axes(double* turned, const double* counts, double* axes, std::size_t d, std::size_t K,
                  bool equal_volumes, std::size_t turns, double negligible) {
    std::vector<double> pp(K), qq(K), pq(K), size(K, 1.0);
    const auto at = [&](std::size_t i, std::size_t j) { return turned + (i * d + j) * K; };
    if (equal_volumes) {
        for (std::size_t k = 0; k < K; ++k) {
            double sum = 0.0;
            for (std::size_t j = 0; j < d; ++j) sum += std::log(at(j, j)[k]);
            size[k] = std::exp(sum / static_cast<double>(d));
        }
    }
    double largest = 0.0;
    for (std::size_t p = 0; p + 1 < d; ++p) {
        for (std::size_t q = p + 1; q < d; ++q) {
            std::copy_n(at(p, p), K, pp.data());
            std::copy_n(at(q, q), K, qq.data());
            std::copy_n(at(p, q), K, pq.data());
            double total = 0.0;
            for (std::size_t t = 0; t < turns; ++t) { // the minimum of one tangent after the other
                double slope = 0.0, bend = 0.0;
                for (std::size_t k = 0; k < K; ++k) {
                    const double gap = counts[k] * size[k] * (1.0 / pp[k] - 1.0 / qq[k]);
                    slope += gap * pq[k];
                    bend += gap * (pp[k] - qq[k]);
                }
                const double angle = 0.5 * std::atan2(-2.0 * slope, -bend);
                if (!std::isfinite(angle) || std::fabs(angle) < 1e-16) break;
                const double c = std::cos(angle), s = std::sin(angle);
                for (std::size_t k = 0; k < K; ++k) {
                    const double x = pp[k], y = qq[k], z = pq[k];
                    pp[k] = c * c * x + 2.0 * c * s * z + s * s * y;
                    qq[k] = c * c * y - 2.0 * c * s * z + s * s * x;
                    pq[k] = (c * c - s * s) * z + c * s * (y - x);
                    if (equal_volumes)
                        size[k] *= std::pow(pp[k] * qq[k] / (x * y), 1.0 / static_cast<double>(d));
                }
                total += angle;
                if (std::fabs(angle) < negligible) break;
            }
            if (total == 0.0) continue;
            largest = std::max(largest, std::fabs(total));
            turn_plane(turned, axes, d, K, p, q, total);
        }
    }
    return largest;
}

} // namespace mixtura

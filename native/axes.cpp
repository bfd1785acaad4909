#include "axes.hpp"

#include "dense.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace mixtura {

double sweep_axes(double* turned, const double* counts, double* axes, std::size_t d, std::size_t K, bool equal_volumes,
                  std::size_t turns, double negligible) {
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
                    if (equal_volumes) size[k] *= std::pow(pp[k] * qq[k] / (x * y), 1.0 / static_cast<double>(d));
                }
                total += angle;
                if (std::fabs(angle) < negligible) break;
            }
            if (total == 0.0) continue;
            largest = std::max(largest, std::fabs(total));
            const double c = std::cos(total), s = std::sin(total);
            turn(at(p, 0), at(q, 0), d * K, c, s);
            for (std::size_t i = 0; i < d; ++i) turn(at(i, p), at(i, q), K, c, s);
            turn(axes + p * d, axes + q * d, d, c, s);
        }
    }
    return largest;
}

} // namespace mixtura

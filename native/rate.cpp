#include "rate.hpp"

#include <limits>

namespace mixtura {
namespace {

constexpr std::size_t LOOKS = 24, LAST = 4; // as in src/mixtura/rate.py
constexpr double DEVIATION = 1e-5, SMALL_DEVIATION = 1e-8, NEGLIGIBLE = 1e-8, TINY = 1e-300, STEADY = 0.05;
constexpr double EPSILON = std::numeric_limits<double>::epsilon();

} // namespace

// Francis' QR steps with two shifts at once, in real numbers; eigenvalues split off at the lower end (Golub & Van Loan,
// Matrix Computations, 7.5).
double largest_real_part(double* h, std::size_t n) {
    const auto at = [&](std::size_t i, std::size_t j) -> double& { return h[i * n + j]; };
    double largest = -HUGE_VAL, size = 0.0;
    for (std::size_t i = 0; i < n * n; ++i) size = std::max(size, std::fabs(h[i]));
    int steps = 0;
    for (std::size_t end = n; end > 0;) { // rows and columns begin .. end-1 are the active block
        std::size_t begin = end - 1;
        for (; begin > 0; --begin) {
            double around = std::fabs(at(begin - 1, begin - 1)) + std::fabs(at(begin, begin));
            if (around == 0.0) around = size;
            if (std::fabs(at(begin, begin - 1)) <= EPSILON * around) break;
        }
        if (begin + 1 == end) {
            largest = std::max(largest, at(begin, begin));
            end -= 1, steps = 0;
            continue;
        }
        const double a = at(end - 2, end - 2), b = at(end - 2, end - 1), c = at(end - 1, end - 2), d = at(end - 1, end - 1);
        if (begin + 2 == end) {
            const double half = 0.5 * (a - d), inner = half * half + b * c;
            largest = std::max(largest, 0.5 * (a + d) + (inner > 0.0 ? std::sqrt(inner) : 0.0));
            end -= 2, steps = 0;
            continue;
        }
        if (++steps > 60) return std::numeric_limits<double>::quiet_NaN();
        double sum = a + d, product = a * d - b * c;
        if (steps % 10 == 0) { // shifts out of the way of a cycle
            const double away = std::fabs(c) + std::fabs(at(end - 2, end - 3));
            sum = 1.5 * away, product = away * away;
        }
        double x = at(begin, begin) * at(begin, begin) + at(begin, begin + 1) * at(begin + 1, begin) - sum * at(begin, begin) + product;
        double y = at(begin + 1, begin) * (at(begin, begin) + at(begin + 1, begin + 1) - sum);
        double z = at(begin + 1, begin) * at(begin + 2, begin + 1);
        for (std::size_t k = begin; k + 1 < end; ++k) { // chase the bulge by reflections of three rows, at last of two
            const std::size_t rows = std::min<std::size_t>(3, end - k);
            if (rows == 2) z = 0.0;
            const double length = std::copysign(std::sqrt(x * x + y * y + z * z), x);
            if (length != 0.0) {
                const double v[3] = {x + length, y, z};
                const double scale = 1.0 / (length * (x + length));
                for (std::size_t j = k > begin ? k - 1 : begin; j < end; ++j) {
                    double projection = 0.0;
                    for (std::size_t i = 0; i < rows; ++i) projection += v[i] * at(k + i, j);
                    for (std::size_t i = 0; i < rows; ++i) at(k + i, j) -= scale * projection * v[i];
                }
                for (std::size_t i = begin; i < std::min(k + 4, end); ++i) {
                    double projection = 0.0;
                    for (std::size_t j = 0; j < rows; ++j) projection += v[j] * at(i, k + j);
                    for (std::size_t j = 0; j < rows; ++j) at(i, k + j) -= scale * projection * v[j];
                }
            }
            if (k + 2 >= end) break;
            x = at(k + 1, k), y = at(k + 2, k), z = k + 3 < end ? at(k + 3, k) : 0.0;
        }
        for (std::size_t i = begin + 2; i < end; ++i) // what the reflections have cleared, but for rounding
            for (std::size_t j = begin; j + 1 < i; ++j) at(i, j) = 0.0;
    }
    return largest;
}

namespace {

double rate_by(double deviation, const Map& map, const Moments& before, const Moments& now, const Numbers& scale,
               const double* random) {
    const Chart chart(now, scale);
    const std::size_t size = chart.size(), looks = std::min(LOOKS, size);
    const double none = HUGE_VAL;
    Moments from, to;
    const auto image = [&](const Numbers& point, Numbers& out) {
        if (!chart.moments(point, from) || !map(from, to)) return false;
        out = chart.vector(to);
        return true;
    };
    const Numbers origin = chart.vector(now), start = chart.vector(before);
    Numbers at, point(size), moved;
    if (!image(origin, at)) return none;
    Numbers last(size), first(size);
    for (std::size_t i = 0; i < size; ++i) last[i] = origin[i] - start[i], first[i] = random[i] * chart.rows_per_sum()[i];
    const double weight = std::max(norm(last), TINY), length = norm(first);
    for (std::size_t i = 0; i < size; ++i) first[i] = first[i] / length + last[i] / weight;
    const double both = norm(first);
    for (double& f : first) f /= both;
    std::vector<Numbers> basis{first};
    Numbers hessenberg((LOOKS + 1) * LOOKS, 0.0), square, rates;
    for (std::size_t look = 0; look < looks; ++look) {
        for (std::size_t i = 0; i < size; ++i) point[i] = origin[i] + deviation * basis[look][i];
        if (!image(point, moved)) return none;
        for (std::size_t i = 0; i < size; ++i) moved[i] = (moved[i] - at[i]) / deviation;
        for (std::size_t b = 0; b <= look; ++b) {
            const double part = hessenberg[b * LOOKS + look] = dot(basis[b], moved);
            for (std::size_t i = 0; i < size; ++i) moved[i] -= part * basis[b][i];
        }
        const std::size_t n = look + 1;
        square.resize(n * n);
        for (std::size_t i = 0; i < n; ++i) std::copy_n(&hessenberg[i * LOOKS], n, &square[i * n]);
        rates.push_back(largest_real_part(square.data(), n));
        const double left = norm(moved);
        if (left < NEGLIGIBLE) break;
        if (look >= LAST) {
            const auto [lowest, highest] = std::minmax_element(rates.end() - LAST, rates.end());
            if (*highest - *lowest < STEADY * std::fabs(1.0 - rates.back())) break;
        }
        hessenberg[(look + 1) * LOOKS + look] = left;
        for (double& m : moved) m /= left;
        basis.push_back(moved);
    }
    return rates.back();
}

} // namespace

double slowest_rate(const Map& map, const Moments& before, const Moments& now, const Numbers& scale, const double* random) {
    const double rate = rate_by(DEVIATION, map, before, now, scale, random);
    return rate < 1.0 ? rate : rate_by(SMALL_DEVIATION, map, before, now, scale, random);
}

} // namespace mixtura

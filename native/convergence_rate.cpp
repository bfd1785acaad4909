#include "convergence_rate.hpp"

#include <limits>

namespace mixtura {
namespace {

constexpr double EPSILON = std::numeric_limits<double>::epsilon();

} // namespace

// Francis' QR steps with two shifts at once, in real numbers; eigenvalues split off at the lower
// end (Golub & Van Loan, Matrix Computations, 7.5).
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
        const double a = at(end - 2, end - 2), b = at(end - 2, end - 1), c = at(end - 1, end - 2),
                     d = at(end - 1, end - 1);
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
        double x = at(begin, begin) * at(begin, begin) +
                   at(begin, begin + 1) * at(begin + 1, begin) - sum * at(begin, begin) + product;
        double y = at(begin + 1, begin) * (at(begin, begin) + at(begin + 1, begin + 1) - sum);
        double z = at(begin + 1, begin) * at(begin + 2, begin + 1);
        // Chase the bulge by reflections of three rows, at last of two.
        for (std::size_t k = begin; k + 1 < end; ++k) {
            const std::size_t rows = std::min<std::size_t>(3, end - k);
            if (rows == 2) z = 0.0;
            const double length = std::copysign(std::sqrt(x * x + y * y + z * z), x);
            if (length != 0.0) {
                const double v[3] = {x + length, y, z};
                const double scale = 1.0 / (length * (x + length));
                for (std::size_t j = k > begin ? k - 1 : begin; j < end; ++j) {
                    double projection = 0.0;
                    for (std::size_t i = 0; i < rows; ++i) projection += v[i] * at(k + i, j);
                    for (std::size_t i = 0; i < rows; ++i)
                        at(k + i, j) -= scale * projection * v[i];
                }
                for (std::size_t i = begin; i < std::min(k + 4, end); ++i) {
                    double projection = 0.0;
                    for (std::size_t j = 0; j < rows; ++j) projection += v[j] * at(i, k + j);
                    for (std::size_t j = 0; j < rows; ++j)
                        at(i, k + j) -= scale * projection * v[j];
                }
            }
            if (k + 2 >= end) break;
            x = at(k + 1, k), y = at(k + 2, k), z = k + 3 < end ? at(k + 3, k) : 0.0;
        }
        // What the reflections have cleared, but for rounding.
        for (std::size_t i = begin + 2; i < end; ++i)
            for (std::size_t j = begin; j + 1 < i; ++j) at(i, j) = 0.0;
    }
    return largest;
}

namespace {

// x becomes a^-1 x for an n x n matrix that is used up: Gauss with the largest pivot of each
// column.
void solve(Numbers& a, Numbers& x) {
    const std::size_t n = x.size();
    for (std::size_t k = 0; k < n; ++k) {
        std::size_t best = k;
        for (std::size_t i = k + 1; i < n; ++i)
            if (std::fabs(a[i * n + k]) > std::fabs(a[best * n + k])) best = i;
        if (best != k) {
            std::swap_ranges(a.begin() + k * n, a.begin() + (k + 1) * n, a.begin() + best * n);
            std::swap(x[k], x[best]);
        }
        for (std::size_t i = k + 1; i < n; ++i) {
            const double part = a[i * n + k] / a[k * n + k];
            for (std::size_t j = k; j < n; ++j) a[i * n + j] -= part * a[k * n + j];
            x[i] -= part * x[k];
        }
    }
    for (std::size_t k = n; k-- > 0;) {
        for (std::size_t j = k + 1; j < n; ++j) x[k] -= a[k * n + j] * x[j];
        x[k] /= a[k * n + k];
    }
}

// to + sum_b parts_b basis_b.
Numbers moved_along(const std::vector<Numbers>& basis, const Numbers& parts, Numbers to) {
    for (std::size_t b = 0; b < parts.size(); ++b)
        for (std::size_t i = 0; i < to.size(); ++i) to[i] += parts[b] * basis[b][i];
    return to;
}

// EM about a point, in the directions that Arnoldi's method has seen: V H V', with the last row of
// H outside of them.
struct Seen {
    const Arnoldi& method;
    std::vector<Numbers> basis; // V
    std::size_t width = method.most_maps;
    Numbers hessenberg = Numbers((width + 1) * width, 0.0), rates;

    std::size_t n() const { return rates.size(); }

    // diagonal I - H.
    Numbers away_from(double diagonal) const {
        Numbers a(n() * n());
        for (std::size_t i = 0; i < n(); ++i)
            for (std::size_t j = 0; j < n(); ++j)
                a[i * n() + j] = (i == j ? diagonal : 0.0) - hessenberg[i * width + j];
        return a;
    }

    // Takes the image of the last direction in; false where no further direction is needed.
    bool takes(Numbers image) {
        const std::size_t check = n();
        for (std::size_t b = 0; b <= check; ++b) {
            const double part = hessenberg[b * width + check] = dot(basis[b], image);
            for (std::size_t i = 0; i < image.size(); ++i) image[i] -= part * basis[b][i];
        }
        rates.push_back(0.0);
        Numbers square = away_from(0.0);
        for (double& entry : square) entry = -entry;
        rates.back() = largest_real_part(square.data(), n());
        const double left = norm(image);
        if (left < method.negligible) return false;
        if (check >= method.window) {
            const auto [lowest, highest] = std::minmax_element(
                rates.end() - static_cast<std::ptrdiff_t>(method.window), rates.end());
            if (*highest - *lowest < method.steady * std::fabs(1.0 - rates.back())) return false;
        }
        if (n() == std::min(width, image.size())) return false;
        hessenberg[(check + 1) * width + check] = left;
        for (double& entry : image) entry /= left;
        basis.push_back(std::move(image));
        return true;
    }

    // The direction of the largest eigenvalue, by inverse iteration from ones.
    Numbers slowest() const {
        Numbers parts(n(), 1.0);
        for (int round = 0; round < 2; ++round) {
            Numbers shifted = away_from(rates.back() + method.near);
            solve(shifted, parts);
            const double length = norm(parts);
            for (double& part : parts) part /= length;
        }
        return moved_along(basis, parts, Numbers(basis[0].size(), 0.0));
    }

    // to + V ((I - H)^-1 - I) V' (to - from).
    Numbers ahead(const Numbers& from, const Numbers& to) const {
        Numbers step = to, inside;
        for (std::size_t i = 0; i < step.size(); ++i) step[i] -= from[i];
        for (std::size_t b = 0; b < n(); ++b) inside.push_back(dot(basis[b], step));
        Numbers end = inside, matrix = away_from(1.0);
        solve(matrix, end);
        for (std::size_t b = 0; b < n(); ++b) end[b] -= inside[b];
        return moved_along(basis, end, to);
    }
};

} // namespace

ConvergenceRate slowest_rate(const Arnoldi& method, const Map& map, const Moments& before,
                             const Moments& now, const Mixture& mixture, const double* random,
                             const Numbers& known) {
    const WhitenedMoments frames(now, mixture);
    const std::size_t size = frames.size();
    Moments from, to;
    const auto image = [&](const Numbers& point, Numbers& out) {
        if (!frames.moments(point, from) || !map(from, to)) return false;
        out = frames.vector(to);
        return true;
    };
    const Numbers origin = frames.vector(now), start = frames.vector(before);
    Numbers at, point(size), moved;
    if (!image(origin, at)) return {};
    Numbers toward = known, first(size);
    if (known.empty())
        for (std::size_t i = 0; i < size; ++i) toward.push_back(origin[i] - start[i]);
    std::copy_n(random, size, first.begin());
    const double weight = std::max(norm(toward), method.tiny), length = norm(first);
    for (std::size_t i = 0; i < size; ++i) first[i] = first[i] / length + toward[i] / weight;
    const double both = norm(first);
    for (double& f : first) f /= both;
    Seen seen{method, {std::move(first)}};
    do {
        for (std::size_t i = 0; i < size; ++i)
            point[i] = origin[i] + method.deviation * seen.basis.back()[i];
        if (!image(point, moved)) return {};
        for (std::size_t i = 0; i < size; ++i) moved[i] = (moved[i] - at[i]) / method.deviation;
    } while (seen.takes(moved));
    ConvergenceRate found;
    found.rate = seen.rates.back(), found.direction = seen.slowest();
    found.leads = found.rate < 1.0 && frames.moments(seen.ahead(origin, at), found.ahead);
    return found;
}

} // namespace mixtura

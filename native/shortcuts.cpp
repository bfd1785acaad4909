#include "shortcuts.hpp"

#include "dense.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace mixtura {
namespace {

// Components: one turn for all costs less than so many triangular products.
constexpr std::size_t WORTH_TURNING = 3;
// Standard deviations from the origin: three digits of a distance cancel.
constexpr double FAR = 1e3;
constexpr double FAR_POOLED = 30.0; // the same for scatter: the square cancels
// Ratio of standard deviations up to which those along given axes are good to ten digits.
constexpr double NARROW = 1e3;
// Float32 has seven digits: four of a distance are left, three of the smallest eigenvalue of a
// matrix whose whitening cancels so much.
constexpr double FAR_SINGLE = 1e3, CORRELATED_SINGLE = 100.0;
// Standard deviations of columns whose squares it holds.
constexpr double LEAST_SINGLE = 1e-15, MOST_SINGLE = 1e15;

double dot(const double* a, const double* b, std::size_t n) {
    double sum = 0.0;
    for (std::size_t i = 0; i < n; ++i) sum += a[i] * b[i];
    return sum;
}

} // namespace

Shortcuts::Shortcuts(const EStep& plain) : p(plain) {
    p.single_products = p.pooled = false;
    if (!p.shares || p.K < 2) return;
    origin.assign(p.d, 0.0);
    for (std::size_t j = 0; j < p.d; ++j) {
        for (std::size_t k = 0; k < p.K; ++k) origin[j] += p.shares[k] * p.means[k * p.d + j];
        constexpr double most = std::numeric_limits<float>::max(); // float32 holds it exactly
        origin[j] = static_cast<double>(static_cast<float>(std::clamp(origin[j], -most, most)));
    }
    p.origin = origin.data();
    if (p.form == Form::dense && p.K >= WORTH_TURNING) turn(plain);
    if (plain.single_products && !p.tails) single(plain);
}

// Rows W, or the common axes with reciprocal standard deviations along them.
void Shortcuts::turn(const EStep& plain) {
    const std::size_t K = p.K, d = p.d;
    const bool shared = p.whitener_step == 0;
    if (!shared && !p.axes) return;
    turned.assign(d * d, 0.0);
    means.assign(K * d, 0.0);
    whitener.assign(shared ? 1 : K * d, 1.0);
    for (std::size_t i = 0; i < d; ++i)
        for (std::size_t j = 0; j < d; ++j)
            turned[i * d + j] =
                shared ? (j <= i ? plain.whitener[i * d + j] : 0.0) : p.axes[i * d + j];
    for (std::size_t k = 0; k < K; ++k) {
        double most = 0.0, least = HUGE_VAL, squared = 0.0;
        for (std::size_t i = 0; i < d; ++i) {
            double& y = means[k * d + i];
            for (std::size_t j = 0; j < d; ++j)
                y += turned[i * d + j] * (p.means[k * d + j] - origin[j]);
            double unit = 1.0;
            // An axis a is an eigenvector of the precision W'W: |W a|^2 is its eigenvalue.
            if (!shared) {
                double length = 0.0;
                for (std::size_t r = 0; r < d; ++r) {
                    const double w =
                        dot(plain.whitener + k * d * d + r * d, turned.data() + i * d, r + 1);
                    length += w * w;
                }
                unit = whitener[k * d + i] = std::sqrt(length);
            }
            most = std::max(most, unit), least = std::min(least, unit);
            squared += y * unit * y * unit;
        }
        if (!(most <= NARROW * least) || !(squared <= FAR * FAR)) return;
        farthest = std::max(farthest, std::sqrt(squared));
    }
    p.turn = turned.data(), p.turned_means = means.data(), p.whitener = whitener.data();
    p.form = shared ? Form::spherical : Form::diagonal;
    p.whitener_step = shared ? 0 : d;
    // a t component weighs rows by its own pulls
    p.pooled = shared && !p.tails && p.scatter == Scatter::total && farthest <= FAR_POOLED;
}

// A component's distance from the origin, and how much its whitening cancels, are the largest row
// sums of |W| |mean - origin| and of
// |W| s with the standard deviations s of the columns.
void Shortcuts::single(const EStep& plain) {
    const std::size_t K = p.K, d = p.d;
    ill = std::make_unique<bool[]>(K);
    std::vector<double> inverse(d * d), deviations(d);
    std::size_t count = 0;
    for (std::size_t k = 0; k < K; ++k) {
        const double* w = plain.whitener + k * plain.whitener_step;
        double far = 0.0, correlated = 1.0, narrow = HUGE_VAL, wide = 0.0;
        const auto away = [&](std::size_t j) { return std::fabs(p.means[k * d + j] - origin[j]); };
        if (plain.form == Form::dense) {
            invert_lower(w, d, inverse.data());
            for (std::size_t j = 0; j < d; ++j)
                deviations[j] =
                    std::sqrt(dot(inverse.data() + j * d, inverse.data() + j * d, j + 1));
            for (const double deviation : deviations)
                narrow = std::min(narrow, deviation), wide = std::max(wide, deviation);
            for (std::size_t i = 0; i < d; ++i) {
                double distance = 0.0, own = 0.0;
                for (std::size_t j = 0; j <= i; ++j) {
                    distance += std::fabs(w[i * d + j]) * away(j);
                    own += std::fabs(w[i * d + j]) * deviations[j];
                }
                far = std::max(far, distance), correlated = std::max(correlated, own);
            }
        } else
            for (std::size_t j = 0; j < d; ++j) {
                const double inverse_deviation = w[plain.form == Form::diagonal ? j : 0];
                far = std::max(far, inverse_deviation * away(j));
                narrow = std::min(narrow, 1.0 / inverse_deviation),
                wide = std::max(wide, 1.0 / inverse_deviation);
            }
        ill[k] = !(far <= FAR_SINGLE && correlated <= CORRELATED_SINGLE && narrow >= LEAST_SINGLE &&
                   wide <= MOST_SINGLE);
        count += ill[k];
    }
    if (count == K) return;
    p.single_products = true;
    if (count == 0) return;
    p.ill_conditioned = ill.get(); // what is computed beside the others needs the E-step as it was
    p.turn = p.turned_means = nullptr;
    p.whitener = plain.whitener, p.whitener_step = plain.whitener_step, p.form = plain.form;
    p.pooled = false;
}

} // namespace mixtura

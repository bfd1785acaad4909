#include "tails.hpp"

#include <algorithm>
#include <cmath>

namespace mixtura {
namespace {

// Asymptotic series hold from here on to the last place; below, recurrences lead there.
constexpr double LARGE = 12.0;

// The information hardly changes above these degrees of freedom, where its digits cancel.
constexpr double LAST_RESOLVED = 1e3;

double digamma(double x) {
    double before = 0.0;
    for (; x < LARGE; x += 1.0) before -= 1.0 / x;
    const double q = 1.0 / (x * x);
    return before + std::log(x) - 0.5 / x -
           q * (1.0 / 12 -
                q * (1.0 / 120 -
                     q * (1.0 / 252 - q * (1.0 / 240 - q * (1.0 / 132 - q * (691.0 / 32760))))));
}

double trigamma(double x) {
    double before = 0.0;
    for (; x < LARGE; x += 1.0) before += 1.0 / (x * x);
    const double q = 1.0 / (x * x);
    return before + 1.0 / x + 0.5 * q +
           q / x *
               (1.0 / 6 -
                q * (1.0 / 30 -
                     q * (1.0 / 42 - q * (1.0 / 30 - q * (5.0 / 66 - q * (691.0 / 2730))))));
}

// What Stirling's formula leaves of log Gamma(x).
double stirling_rest(double x) {
    const double q = 1.0 / (x * x);
    return (1.0 / 12 - q * (1.0 / 360 - q * (1.0 / 1260 - q * (1.0 / 1680 - q / 1188)))) / x;
}

// log Gamma(x + h) - log Gamma(x), without the digits that both lose.
double log_gamma_ratio(double x, double h) {
    double before = 0.0;
    for (; x < LARGE; x += 1.0) before -= std::log1p(h / x);
    return before + (x + h - 0.5) * std::log1p(h / x) + h * (std::log(x) - 1.0) +
           stirling_rest(x + h) - stirling_rest(x);
}

// log(nu / 2) - psi(nu / 2), which falls from infinity to 0.
double excess(double nu) { return std::log(0.5 * nu) - digamma(0.5 * nu); }

// The degrees of freedom within the bounds whose excess is nearest to a level: bisection of the
// logarithm.
double root(double level, double low, double high) {
    if (level >= excess(low)) return low;
    if (level <= excess(high)) return high;
    while (true) {
        const double middle = std::sqrt(low * high);
        if (middle <= low || middle >= high) return middle;
        (excess(middle) > level ? low : high) = middle;
    }
}

// Sums of each component, or of all of them where they share the number.
Numbers gathered(const TailRule& rule, Numbers sums) {
    double all = 0.0;
    for (const double sum : sums) all += sum;
    if (rule.equal) std::fill(sums.begin(), sums.end(), all);
    return sums;
}

} // namespace

double log_peak(double nu, std::size_t d) {
    constexpr double pi = 3.14159265358979323846;
    const double half = 0.5 * static_cast<double>(d);
    return log_gamma_ratio(0.5 * nu, half) - half * std::log(pi * nu);
}

double score_constant(double nu, std::size_t d) {
    return digamma(0.5 * (nu + static_cast<double>(d))) - digamma(0.5 * nu) + 1.0;
}

double information(double nu, std::size_t columns) {
    nu = std::min(nu, LAST_RESOLVED);
    const double d = static_cast<double>(columns), squared = nu * nu;
    const double own = 0.25 * (trigamma(0.5 * nu) - trigamma(0.5 * (nu + d)));
    return squared * squared * (own - 0.5 * d * (nu + d + 4.0) / (nu * (nu + d) * (nu + d + 2.0)));
}

Numbers first_tails(const TailRule& rule, std::size_t K) {
    Numbers tails(K, rule.first);
    for (std::size_t k = 0; k < K && !rule.given.empty(); ++k)
        tails[k] = rule.given[rule.given.size() == 1 ? 0 : k];
    return tails;
}

Numbers scored_tails(const TailRule& rule, const Moments& m) {
    Numbers tails = first_tails(rule, m.K);
    if (!rule.given.empty() || m.tail_sums.empty()) return tails;
    const Numbers sums = gathered(rule, m.tail_sums), known = gathered(rule, m.tail_information);
    for (std::size_t k = 0; k < m.K; ++k) {
        const double ratio = known[k] > 0.0 ? sums[k] / known[k] : 1.0 / tails[k];
        tails[k] = ratio > 1.0 / rule.high ? std::max(1.0 / ratio, rule.low) : rule.high;
    }
    return tails;
}

Numbers cautious_tails(const TailRule& rule, const Moments& m, const Numbers& tails) {
    Numbers found = first_tails(rule, m.K);
    if (!rule.given.empty() || m.tail_sums.empty()) return found;
    Numbers scores(m.K);
    for (std::size_t k = 0; k < m.K; ++k)
        scores[k] = (m.tail_information[k] / tails[k] - m.tail_sums[k]) / (tails[k] * tails[k]);
    scores = gathered(rule, std::move(scores));
    const Numbers counts = gathered(rule, m.counts);
    for (std::size_t k = 0; k < m.K; ++k)
        found[k] = counts[k] > 0.0
                       ? root(excess(tails[k]) - 2.0 * scores[k] / counts[k], rule.low, rule.high)
                       : tails[k];
    return found;
}

void add_tail_sums(const TailRule& rule, const Numbers& tails, const Numbers& falls, Moments& m) {
    m.tail_sums.clear(), m.tail_information.clear();
    if (!rule.given.empty()) return;
    for (std::size_t k = 0; k < m.K; ++k) {
        const double nu = tails[k], twice = m.counts[k] * score_constant(nu, m.d) - falls[k],
                     known = m.counts[k] * information(nu, m.d);
        m.tail_sums.push_back(tail_sum(nu, twice, known));
        m.tail_information.push_back(known);
    }
}

} // namespace mixtura

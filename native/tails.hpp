// Degrees of freedom of t components; the law is in src/mixtura/model/tails.py.
#pragma once

#include <cstddef>

#include "moments.hpp"

namespace mixtura {

// How the degrees of freedom of a fit are chosen.
struct TailRule {
    bool equal = false;
    Numbers given; // one or K that are not estimated, or empty
    double first = 0.0, low = 0.0, high = 0.0;
};

double log_peak(double nu, std::size_t d);       // log density at the mean for Sigma = I
double score_constant(double nu, std::size_t d); // of twice a score by nu
double information(double nu, std::size_t d);    // of a row about 1 / nu

// The sum of which the information is the divisor in the next 1 / nu.
inline double tail_sum(double nu, double twice_score, double information) {
    return information / nu - 0.5 * nu * nu * twice_score;
}

// Degrees of freedom (K) of the next mixture: before the first E-step, by a step of scoring, and by
// EM from those of the E-step.
Numbers first_tails(const TailRule&, std::size_t K);
Numbers scored_tails(const TailRule&, const Moments&);
Numbers cautious_tails(const TailRule&, const Moments&, const Numbers& tails);

// The sums of the degrees of freedom, from the counts and falls (Sums) of an E-step; none where
// they are given.
void add_tail_sums(const TailRule&, const Numbers& tails, const Numbers& falls, Moments&);

} // namespace mixtura

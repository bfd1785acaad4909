// Moments and mixtures as values that own their memory: what the loop holds between an E-step and
// an M-step.
#pragma once

#include <cstddef>
#include <vector>

#include "e_step.hpp"

namespace mixtura {

using Numbers = std::vector<double>;

// Weighted sums about fixed points; the law is in src/mixtura/model/moments.py.
struct Moments {
    std::size_t K = 0, d = 0;
    Scatter kind = Scatter::trace;
    Numbers about, counts, first, second;
    double log_likelihood = 0.0, entropy = 0.0, certainty = 0.0;
    // K each, of t components; empty for Gaussians, the last two also for given degrees of freedom
    Numbers pulls, tail_sums, tail_information;

    // The weight of the first and second moments of a component.
    double pulled(std::size_t k) const { return pulls.empty() ? counts[k] : pulls[k]; }
    bool noisy = false; // whether the mixture has a noise term
    double noise = 0.0; // weight of the rows in it

    double in_components() const {
        double sum = 0.0;
        for (const double count : counts) sum += count;
        return sum;
    }
    double total() const { return in_components() + noise; }
};

// Weights, means and F = K or 1 covariances, with the whiteners and log densities that an E-step
// reads.
struct Mixture {
    std::size_t K = 0, d = 0, F = 0;
    Form form = Form::dense;
    double noise = 0.0; // weight of the noise term
    Numbers weights, means, values, whitener, log_det, log_scale; // log_det: F
    // d x d, one common axis per row, or empty
    Numbers axes;
    Numbers tails; // K degrees of freedom of t components, or empty

    std::size_t size() const {
        return form == Form::spherical ? 1 : form == Form::diagonal ? d : d * d;
    }
};

} // namespace mixtura

// E-steps of incomplete rows: the law is in src/mixtura/model/observation.py.
#pragma once

#include <cstddef>
#include <cstdint>

#include "e_step.hpp"

namespace mixtura {

// Rows, group after group, under a mixture. Covariances are (1 or K) x d x d, or (1 or K) x d where
// they are diagonal and there are no errors.
struct Observed {
    const void* rows; // n x d, row by row
    bool single;      // rows are float32
    const double* weights;
    std::size_t n, d, K, G;
    const std::int64_t *order, *ends; // n; G: where a group ends in the order
    const bool* columns;              // G x d
    const double* errors;             // G x d x d, or null
    const double* log_classes;        // G x K, added to the log weights, or null
    const double* log_weights;        // K
    const double* log_noise;          // G: of the noise term in the observed columns, or null
    const double* means;              // K x d
    const double* covariance;
    std::size_t step; // between covariances; 0 where components share one
    bool diagonal;
    // K degrees of freedom of t components, where there are no errors; null for Gaussians.
    const double* tails = nullptr;
};

// Sums of rows, and of t components, K each, twice the scores by nu and the information.
struct ObservedSums : Sums {
    double *scores = nullptr, *known = nullptr;
};

// Each returns the first component whose covariance is singular, or -1.

// Moments about the means, of kind diagonal or dense.
std::ptrdiff_t run_observed_moments(const Observed&, std::size_t threads, ObservedSums& total);
std::ptrdiff_t run_observed_log_joint(const Observed&, std::size_t threads, double* out); // n x K
// sum_k shares_ik E[y_i | x_i, k], for shares n x K.
std::ptrdiff_t run_completed(const Observed&, const double* shares, std::size_t threads,
                             double* out); // n x d

} // namespace mixtura

#include "volumes.hpp"

#include "dense.hpp"
#include "moments.hpp"

#include <algorithm>
#include <cmath>

namespace mixtura {
namespace {

// The scatter of all components, pooled with some parts, and each one in units of it.
struct Pool {
    const double* S;
    std::size_t K, d;
    bool dense;
    std::size_t size = dense ? d * d : d;
    Numbers M = Numbers(size), turned = Numbers(size);
    double log_det = 0.0;

    // M = sum_k parts_k S_k, factored, with its log-determinant.
    bool pool(const Numbers& parts) {
        std::fill(M.begin(), M.end(), 0.0);
        for (std::size_t k = 0; k < K; ++k)
            for (std::size_t i = 0; i < size; ++i) M[i] += parts[k] * S[k * size + i];
        if (dense && !cholesky(M.data(), d)) return false;
        log_det = 0.0;
        for (std::size_t j = 0; j < d; ++j)
            log_det += dense ? 2.0 * std::log(M[j * d + j]) : std::log(M[j]);
        return std::isfinite(log_det);
    }

    // L^-1 S_k L^-T with M = L L' into `out`; its trace comes back.
    double relative(std::size_t k, double* out) {
        const double* s = S + k * size;
        double trace = 0.0;
        if (!dense) {
            for (std::size_t j = 0; j < d; ++j) trace += out[j] = s[j] / M[j];
            return trace;
        }
        std::copy_n(s, size, turned.data());
        forward(M.data(), d, turned.data(), d);
        for (std::size_t i = 0; i < d; ++i)
            for (std::size_t j = 0; j < d; ++j) out[j * d + i] = turned[i * d + j];
        forward(M.data(), d, out, d);
        for (std::size_t j = 0; j < d; ++j) trace += out[j * d + j];
        return trace;
    }
};

} // namespace

bool volumes(const double* S, const double* counts, std::size_t K, std::size_t d, bool dense,
             const VolumeSearch& search, double* lambdas) {
    Pool pool{S, K, d, dense};
    Numbers shares(K), logs(K), parts(K), pulls(K), trial(K), B(K * pool.size), H(K * K), step(K);
    const double dd = static_cast<double>(d);
    double n = 0.0;
    for (std::size_t k = 0; k < K; ++k) n += counts[k];
    for (std::size_t k = 0; k < K; ++k) shares[k] = counts[k] / n;

    // d sum_k share_k log lambda_k + log|M|, with M pooled at that place
    const auto profile = [&](const Numbers& at) {
        double value = 0.0;
        for (std::size_t k = 0; k < K; ++k)
            parts[k] = shares[k] * std::exp(-at[k]), value += dd * shares[k] * at[k];
        return pool.pool(parts) ? value + pool.log_det : HUGE_VAL;
    };

    if (!pool.pool(shares)) return false;
    for (std::size_t k = 0; k < K; ++k) {
        logs[k] = std::log(pool.relative(k, B.data()) / dd);
        if (!std::isfinite(logs[k])) return false;
    }
    double value = profile(logs), before = HUGE_VAL;
    for (std::size_t round = 0; round < search.most_steps; ++round) {
        for (std::size_t k = 0; k < K; ++k) {
            pulls[k] = parts[k] * pool.relative(k, B.data() + k * pool.size);
            for (std::size_t i = 0; i < pool.size; ++i) B[k * pool.size + i] *= parts[k];
        }
        for (std::size_t k = 0; k < K; ++k) {
            for (std::size_t l = 0; l <= k; ++l) {
                double dot = 0.0;
                for (std::size_t i = 0; i < pool.size; ++i)
                    dot += B[k * pool.size + i] * B[l * pool.size + i];
                H[k * K + l] = H[l * K + k] =
                    (k == l ? pulls[k] : 0.0) - dot + shares[k] * shares[l];
            }
            step[k] = pulls[k] - dd * shares[k];
        }
        if (!cholesky(H.data(), K)) break;
        solve(H.data(), K, step.data());
        double largest = 0.0;
        for (const double s : step) largest = std::max(largest, std::fabs(s));
        // Here a step is finer than what the rounded profile can tell.
        const bool near = largest < search.near;
        double scale = 1.0, reached = HUGE_VAL;
        for (;; scale /= 2.0) {
            for (std::size_t k = 0; k < K; ++k) trial[k] = logs[k] + scale * step[k];
            reached = profile(trial);
            if (reached <= value || near || scale * largest <= search.settled) break;
        }
        if (reached <= value || (near && std::isfinite(reached))) logs = trial, value = reached;
        else profile(logs);
        if (scale * largest <= search.settled || (near && largest > 0.5 * before)) break;
        before = largest;
    }
    for (std::size_t k = 0; k < K; ++k)
        lambdas[k] = pool.relative(k, B.data()) / dd * std::exp(pool.log_det / dd);
    return true;
}

} // namespace mixtura

#include "loop.hpp"

#include "dense.hpp"
#include "runtime.hpp"

#include <cmath>
#include <limits>
#include <utility>

namespace mixtura {
namespace {

constexpr double UNKNOWN = std::numeric_limits<double>::quiet_NaN();

} // namespace

// ---- the rules ----------------------------------------------------------------------------------

double Rule::rounded(double objective) const {
    return rounding * std::max(1.0, std::fabs(objective));
}

double Rule::remaining_gain(const Numbers& trace, std::size_t window) const {
    const std::size_t n = trace.size();
    if (n < 2) return UNKNOWN;
    const double last = trace[n - 1] - trace[n - 2];
    if (std::fabs(last) <= rounded(trace[n - 1])) return 0.0;
    if (n < window + 2) return UNKNOWN;
    double ratio = -HUGE_VAL;
    for (std::size_t i = n - window - 1; i < n; ++i) {
        const double gain = trace[i] - trace[i - 1];
        if (!(gain > 0.0)) return UNKNOWN;
        if (i > n - window - 1) ratio = std::max(ratio, gain / (trace[i - 1] - trace[i - 2]));
    }
    return ratio < 1.0 ? last * ratio / (1.0 - ratio) : HUGE_VAL;
}

bool Rule::nearly_satisfied(const Numbers& plain) const {
    return measure == Measure::remaining_gain && remaining_gain(plain, 1) * safety < tolerance;
}

bool Rule::satisfied(const Numbers& plain, double total) const {
    if (measure == Measure::remaining_gain)
        return remaining_gain(plain, window) * safety < tolerance;
    if (plain.size() < 2) return false;
    const double change = plain[plain.size() - 1] - plain[plain.size() - 2];
    if (measure == Measure::gain) return change < tolerance;
    if (measure == Measure::relative_gain) return change < tolerance * std::fabs(plain.back());
    return std::fabs(change) / total < tolerance || remaining_gain(plain, 1) == 0.0;
}

// ---- steps --------------------------------------------------------------------------------------

std::ptrdiff_t Loop::e_step(const Mixture& mixture, Moments& out) const {
    if (data_.observed) return observed_e_step(mixture, out);
    const std::size_t K = mixture.K, d = mixture.d;
    out.K = K, out.d = d, out.kind = setting_.law->needs;
    out.about = mixture.means;
    out.counts.assign(K, 0.0);
    out.first.assign(K * d, 0.0);
    out.second.assign(second_size(out.kind, K, d), 0.0);
    EStep p{};
    p.rows = data_.rows, p.single = data_.single, p.weights = data_.weights;
    p.n = data_.n, p.d = d, p.K = K;
    p.means = mixture.means.data(), p.log_scale = mixture.log_scale.data(),
    p.whitener = mixture.whitener.data();
    p.whitener_step = mixture.F == 1 ? 0 : mixture.size();
    p.form = mixture.form, p.scatter = out.kind;
    Numbers shares;
    if (data_.log_noise) { // of the components alone
        p.log_noise = std::log(mixture.noise) + *data_.log_noise;
        for (const double weight : mixture.weights) shares.push_back(weight / (1.0 - mixture.noise));
    }
    p.shares = data_.log_noise ? shares.data() : mixture.weights.data(),
    p.axes = mixture.axes.empty() ? nullptr : mixture.axes.data();
    p.single_products = data_.single_products;
    Sums sums{out.counts.data(), out.first.data(), out.second.data(), 0.0, 0.0, 0.0};
    Numbers falls(mixture.tails.size(), 0.0);
    out.pulls.assign(mixture.tails.size(), 0.0);
    if (setting_.tails) {
        p.tails = mixture.tails.data();
        sums.pulls = out.pulls.data(), sums.falls = falls.data();
    }
    run_moments(p, data_.threads, sums);
    if (setting_.tails) add_tail_sums(*setting_.tails, mixture.tails, falls, out);
    out.log_likelihood = sums.log_likelihood, out.entropy = sums.entropy,
    out.certainty = sums.certainty;
    out.noisy = data_.log_noise.has_value(), out.noise = sums.noise;
    return -1;
}

namespace {

// Covariances as the E-step of incomplete rows reads them: diagonal where they are and there are no
// errors, else full.
Numbers covariances_of(const Mixture& mixture, bool diagonal) {
    if (mixture.form == Form::dense) return mixture.values;
    const std::size_t d = mixture.d, size = diagonal ? d : d * d;
    Numbers values(mixture.F * size, 0.0);
    for (std::size_t f = 0; f < mixture.F; ++f)
        for (std::size_t j = 0; j < d; ++j)
            values[f * size + (diagonal ? j : j * d + j)] =
                mixture.values[mixture.form == Form::diagonal ? f * d + j : f];
    return values;
}

// Second moments in less detail, as a family needs them.
Numbers summarised(const Numbers& second, bool diagonal, Scatter kind, std::size_t K,
                   std::size_t d) {
    if (kind == (diagonal ? Scatter::diagonal : Scatter::dense)) return second;
    Numbers out(second_size(kind, K, d), 0.0);
    for (std::size_t k = 0; k < K; ++k)
        for (std::size_t i = 0; i < d; ++i) {
            const double own = diagonal ? second[k * d + i] : second[(k * d + i) * d + i];
            if (kind == Scatter::trace) out[k] += own;
            if (kind == Scatter::diagonal) out[k * d + i] = own;
            for (std::size_t j = 0; kind == Scatter::total && j < d; ++j)
                out[i * d + j] += second[(k * d + i) * d + j];
        }
    return out;
}

} // namespace

std::ptrdiff_t Loop::observed_e_step(const Mixture& mixture, Moments& out) const {
    const std::size_t K = mixture.K, d = mixture.d;
    Observed p = *data_.observed;
    const bool diagonal = mixture.form != Form::dense && !p.errors;
    const Numbers values = covariances_of(mixture, diagonal);
    Numbers log_weights, log_noise, sums((diagonal ? 1 : d) * d * K, 0.0), known(2 * K, 0.0);
    for (const double weight : mixture.weights) log_weights.push_back(std::log(weight));
    for (std::size_t g = 0; p.log_noise && g < p.G; ++g)
        log_noise.push_back(std::log(mixture.noise) + p.log_noise[g]);
    p.K = K, p.diagonal = diagonal, p.log_weights = log_weights.data();
    if (p.log_noise) p.log_noise = log_noise.data();
    p.means = mixture.means.data(), p.covariance = values.data();
    p.step = mixture.F == 1 ? 0 : (diagonal ? d : d * d);
    out.K = K, out.d = d, out.kind = setting_.law->needs;
    out.about = mixture.means;
    out.counts.assign(K, 0.0);
    out.first.assign(K * d, 0.0);
    out.pulls.assign(mixture.tails.size(), 0.0);
    ObservedSums total{{out.counts.data(), out.first.data(), sums.data(), 0.0, 0.0, 0.0}};
    if (setting_.tails) {
        p.tails = mixture.tails.data(), total.pulls = out.pulls.data();
        total.scores = known.data(), total.known = known.data() + K;
    }
    const std::ptrdiff_t singular = run_observed_moments(p, data_.threads, total);
    if (singular >= 0) return singular;
    out.second = summarised(sums, diagonal, out.kind, K, d);
    out.log_likelihood = total.log_likelihood, out.entropy = total.entropy;
    out.certainty = total.certainty;
    out.noisy = p.log_noise != nullptr, out.noise = total.noise;
    out.tail_sums.clear(), out.tail_information.clear();
    for (std::size_t k = 0; setting_.tails && setting_.tails->given.empty() && k < K; ++k) {
        out.tail_sums.push_back(tail_sum(mixture.tails[k], total.scores[k], total.known[k]));
        out.tail_information.push_back(total.known[k]);
    }
    return -1;
}

bool Loop::step(const Moments& from, const Mixture* near, Mixture& mixture,
                Moments& moments) const {
    return m_step(setting_, from, near, mixture) < 0 && e_step(mixture, moments) < 0;
}

// The degrees of freedom of EM, which never lower the objective, in place of those of a step of
// scoring; false where they are the same.
bool Loop::mend(Mixture& candidate, Moments& seen) const {
    if (!setting_.tails) return false;
    Numbers tails = cautious_tails(*setting_.tails, moments_, mixture_.tails);
    if (tails == candidate.tails) return false;
    candidate.tails = std::move(tails);
    complete(candidate);
    return e_step(candidate, seen) < 0;
}

void Loop::begin_at(Numbers trace, Numbers plain) {
    trace_ = std::move(trace), plain_ = std::move(plain);
    steps_.assign(1, moments_);
    unfinished_ = rate_.leads = false;
}

std::ptrdiff_t Loop::begin(const Moments& start) {
    const std::ptrdiff_t collapsed = m_step(setting_, start, nullptr, mixture_);
    if (collapsed >= 0) return collapsed;
    if (const std::ptrdiff_t singular = e_step(mixture_, moments_); singular >= 0) return singular;
    const double level = objective(moments_, mixture_);
    begin_at({level}, {level});
    return -1;
}

std::ptrdiff_t Loop::begin(Mixture start, const Numbers& trace, std::size_t kept) {
    given_ = true;
    mixture_ = std::move(start);
    const std::ptrdiff_t collapsed = complete(mixture_);
    if (collapsed >= 0) return collapsed;
    if (const std::ptrdiff_t singular = e_step(mixture_, moments_); singular >= 0) return singular;
    const double level = objective(moments_, mixture_);
    // It goes on where that fit ended, with the last objectives of its trace.
    if (!trace.empty() && trace.back() == level)
        begin_at(trace, Numbers(trace.end() - std::min(kept, trace.size()), trace.end()));
    else begin_at({level}, {level});
    return -1;
}

Event Loop::iterate(std::size_t most, std::size_t next_check, const Pause& pause) {
    Mixture candidate;
    Moments seen;
    for (; most > 0; --most) {
        pause();
        if (squarem_ && extrapolate()) {
            ++n_iter_;
            continue;
        }
        if (!step(moments_, &mixture_, candidate, seen)) return Event::collapsed;
        double level = objective(seen, candidate);
        if (level < trace_.back() - rule_.rounded(level) && mend(candidate, seen))
            level = objective(seen, candidate);
        if (level < trace_.back() - rule_.rounded(level)) {
            if (!given_ || n_iter_ > 0) {
                fall_ = trace_.back() - level;
                return Event::fell;
            }
            std::swap(mixture_, candidate); // the given parameters lie above what the floor allows
            std::swap(moments_, seen);
            begin_at({level}, {level});
            ++n_iter_;
            continue;
        }
        std::swap(mixture_, candidate);
        std::swap(moments_, seen);
        trace_.push_back(std::max(level, trace_.back()));
        plain_.push_back(trace_.back());
        if (steps_.size() == 3)
            std::rotate(steps_.begin(), steps_.begin() + 1, steps_.end()), steps_.pop_back();
        steps_.push_back(moments_);
        ++n_iter_;
        if (n_iter_ >= next_check && rule_.satisfied(plain_, moments_.total())) return Event::check;
    }
    return Event::spent;
}

// ---- extrapolation: src/mixtura/em/squarem.py ---------------------------------------------------

bool Loop::may_extrapolate() const {
    return steps_.size() == 3 && trace_.size() > squarem_->plain_before &&
           (unfinished_ || !rule_.nearly_satisfied(plain_));
}

void Loop::adapt(bool higher) {
    if (!higher)
        longest_ = std::max(squarem_->first_length / squarem_->growth, longest_ / squarem_->growth);
    else if (length_ >= longest_) longest_ *= squarem_->growth;
}

// False where no extrapolation is due or there is no longer step: a plain step follows. Otherwise
// the iteration is spent, whether it rose or not.
bool Loop::extrapolate() {
    if (rate_.leads) {
        accept(rate_.ahead);
        return true;
    }
    if (!may_extrapolate()) return false;
    const ScaledMoments scaled(steps_[2], units_);
    const Numbers s0 = scaled.vector(steps_[0]), s1 = scaled.vector(steps_[1]),
                  s2 = scaled.vector(steps_[2]);
    Numbers r(s0.size()), v(s0.size()), target(s0.size());
    for (std::size_t i = 0; i < r.size(); ++i)
        r[i] = s1[i] - s0[i], v[i] = s2[i] - 2.0 * s1[i] + s0[i];
    const double bend = norm(v);
    length_ = bend > 0.0 ? std::min(norm(r) / bend, longest_) : longest_;
    if (!(length_ > 1.0)) {
        // A step of length one is the last plain step, which did not fall: a bound of one grows
        // again.
        adapt(true);
        return false;
    }
    for (std::size_t i = 0; i < r.size(); ++i)
        target[i] = s0[i] + 2.0 * length_ * r[i] + length_ * length_ * v[i];
    Moments far;
    if (!scaled.moments(target, far)) {
        adapt(false);
        return false;
    }
    adapt(accept(far));
    return true;
}

// The mixture of extrapolated moments: accepted where the objective does not fall.
bool Loop::accept(const Moments& far) {
    Mixture mixture;
    Moments seen;
    const double level = step(far, &mixture_, mixture, seen) ? objective(seen, mixture) : -HUGE_VAL;
    const bool higher = level >= trace_.back();
    if (higher) std::swap(mixture_, mixture), std::swap(moments_, seen);
    trace_.push_back(higher ? level : trace_.back());
    begin_at(std::move(trace_), {});
    plain_.assign(1, trace_.back());
    return higher;
}

// ---- the certificate ----------------------------------------------------------------------------

double Loop::slowest_rate(const double* random, const Pause& pause) {
    Mixture mixture;
    const auto map = [&](const Moments& from, Moments& to) {
        pause();
        return step(from, &mixture_, mixture, to);
    };
    rate_ = mixtura::slowest_rate(arnoldi_, map, steps_[steps_.size() - 2], moments_, mixture_,
                                  random, rate_.direction);
    unfinished_ = true;
    return rate_.rate;
}

} // namespace mixtura

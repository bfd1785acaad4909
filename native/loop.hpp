// The loop of EM in C++: iterations until one of the four events, which Python decides on
// (src/mixtura/em/loop.py).
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "m_step.hpp"
#include "observation.hpp"
#include "convergence_rate.hpp"

namespace mixtura {

// The rows that are fitted: an EStep without its mixture.
struct Data {
    const void* rows;
    bool single;
    const double* weights;
    std::size_t n, d, threads;
    bool single_products;
    // Log density of the noise term, the same at every row; nothing where there is none.
    std::optional<double> log_noise = std::nullopt;
    // How incomplete rows were observed: the rows of the mixture are not set, and `log_noise` is the
    // density of the noise term in the observed columns. Nothing where rows are complete.
    std::optional<Observed> observed = std::nullopt;
};

// When EM may have converged: what the rules of src/mixtura/em/stopping.py read off the trace.
enum class Measure { remaining_gain, change_per_row, gain, relative_gain };

struct Rule {
    Measure measure;
    double tolerance, safety;
    std::size_t window;
    double rounding; // the part of the objective that two sums of it may differ by

    bool satisfied(const Numbers& plain, double total) const;
    bool nearly_satisfied(const Numbers& plain) const;
    double remaining_gain(const Numbers& trace, std::size_t window) const;
    double rounded(double objective) const;
};

// Extrapolation of EM (src/mixtura/em/squarem.py).
struct Squarem {
    double first_length, growth; // of the bound on the length of a step
    std::size_t plain_before;    // objectives on the trace before the first
};

// Why the iterations have ended.
enum class Event { spent, check, fell, collapsed };

class Loop {
public:
    // Called between EM steps; an exception it throws leaves the loop at its last whole step.
    using Pause = std::function<void()>;

    // `units` are the variances of the columns by which moments are scaled; without `squarem` all
    // steps are EM's own.
    Loop(Data data, Setting setting, Rule rule, Numbers units, std::optional<Squarem> squarem,
         Arnoldi arnoldi)
        : data_(data), setting_(std::move(setting)), rule_(rule), units_(std::move(units)),
          squarem_(squarem), arnoldi_(arnoldi) {}

    // Begin with an M-step, or with a mixture of which values (and whiteners) are set; -1, or the
    // component that collapsed.
    std::ptrdiff_t begin(const Moments&);
    std::ptrdiff_t begin(Mixture, const Numbers& trace, std::size_t kept);

    Event iterate(std::size_t most, std::size_t next_check, const Pause&);
    double slowest_rate(const double* random, const Pause&);
    // The tolerance that the rule takes from now on.
    void set_tolerance(double tolerance) { rule_.tolerance = tolerance; }
    bool after_a_plain_step() const { return steps_.size() > 1; }
    std::size_t vector_size() const { return mixtura::vector_size(moments_); }

    const Law& law() const { return *setting_.law; }
    bool has_tails() const { return setting_.tails.has_value(); }
    const Mixture& mixture() const { return mixture_; }
    const Moments& moments() const { return moments_; }
    const Numbers& trace() const { return trace_; }
    const Numbers& plain() const { return plain_; }
    std::size_t n_iter() const { return n_iter_; }
    double fall() const { return fall_; }

private:
    // -1, or the component whose covariance is singular in the observed columns.
    std::ptrdiff_t e_step(const Mixture&, Moments&) const;
    std::ptrdiff_t observed_e_step(const Mixture&, Moments&) const;
    bool step(const Moments& from, const Mixture* near, Mixture&, Moments&) const;
    double objective(const Moments& seen, const Mixture& mixture) const {
        return seen.log_likelihood + penalty(setting_.prior, mixture);
    }
    void begin_at(Numbers trace, Numbers plain);
    bool may_extrapolate() const;
    bool extrapolate();
    bool accept(const Moments& far);
    bool mend(Mixture&, Moments&) const;
    void adapt(bool higher);

    Data data_;
    Setting setting_;
    Rule rule_;
    Numbers units_;
    std::optional<Squarem> squarem_;
    Arnoldi arnoldi_;
    bool given_ = false, unfinished_ = false;
    Mixture mixture_;
    Moments moments_;
    std::vector<Moments> steps_; // up to three consecutive E-steps, to be extrapolated
    ConvergenceRate rate_;       // as it was measured last; it leads until the next extrapolation
    Numbers trace_, plain_;      // all objectives, and those since the last extrapolation
    std::size_t n_iter_ = 0;
    double longest_ = squarem_ ? squarem_->first_length : 1.0, length_ = 1.0, fall_ = 0.0;
};

} // namespace mixtura

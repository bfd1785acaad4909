#include "alignments.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "dense.hpp"

namespace mixtura {
namespace {

constexpr double LOG_TWO_PI_E = 2.8378770664093454836;

// As in src/mixtura/alignments.py.
constexpr double NO_DIRECTION = 1e-12, SAME_GAIN = 1e-9;

const std::vector<std::size_t> NONE;

// Rows that come one after the other, as one Gaussian: what it gains on the density that describes them so far. D columns, or any.
template <std::size_t D>
class Growing {
public:
    explicit Growing(const Alignment& a)
        : a_(a), d_(D ? D : a.d), first_(d_), second_(d_ * d_), covariance_(d_ * d_), work_(d_ * d_), values_(d_), axes_(d_ * d_),
          memory_(a.largest + 1, {0.0, 0.0}) {
        for (std::size_t i = 0; i < a.n; ++i) total_ += a.weights[i];
        surely_wide_ = a.narrowest;
        for (std::size_t j = 0; j < d_; ++j) surely_wide_ = std::max(surely_wide_, a.grid[j] * a.grid[j]);
    }

    void clear(std::size_t origin) {
        origin_ = a_.scaled + origin * columns();
        size_ = 0, weight_ = described_ = 0.0;
        std::fill(first_.begin(), first_.end(), 0.0), std::fill(second_.begin(), second_.end(), 0.0);
    }

    void add(std::size_t row) {
        const std::size_t d = columns();
        const double w = a_.weights[row], *x = a_.scaled + row * d;
        ++size_, weight_ += w, described_ += w * a_.log_density[row];
        double *first = first_.data(), *second = second_.data();
        for (std::size_t r = 0; r < d; ++r) {
            const double step = w * (x[r] - origin_[r]);
            first[r] += step;
            for (std::size_t j = 0; j <= r; ++j) second[r * d + j] += step * (x[j] - origin_[j]);
        }
    }

    // Minus infinity where the rows have no volume.
    double gain() {
        const double volume = log_volume();
        if (!std::isfinite(volume)) return -HUGE_VAL;
        auto& [weight, mixed] = memory_[size_];
        if (weight != weight_) {
            const double part = std::min(weight_ / total_, 0.5);
            weight = weight_;
            mixed = weight_ * (std::log(part) - 0.5 * static_cast<double>(columns()) * LOG_TWO_PI_E) + (total_ - weight_) * std::log1p(-part);
        }
        return mixed - 0.5 * weight_ * volume - described_;
    }

    // Whether it is wide enough along each of its own axes; of the rows that `gain` was asked of.
    bool resolved() {
        const std::size_t d = columns();
        if (a_.form != Form::dense) {
            const double mean = mean_variance();
            for (std::size_t j = 0; j < d; ++j)
                if (!wide(a_.form == Form::spherical ? mean : covariance_[j * d + j], a_.grid[j] * a_.grid[j])) return false;
            return true;
        }
        for (std::size_t r = 0; r < d; ++r)
            for (std::size_t j = 0; j <= r; ++j) work_[r * d + j] = work_[j * d + r] = covariance_[r * d + j] - (r == j ? surely_wide_ : 0.0);
        if (cholesky(work_.data(), d)) return true;
        for (std::size_t r = 0; r < d; ++r)
            for (std::size_t j = 0; j <= r; ++j) work_[r * d + j] = work_[j * d + r] = covariance_[r * d + j];
        eigen(work_.data(), d, values_.data(), axes_.data());
        for (std::size_t e = 0; e < d; ++e) {
            double along = 0.0;
            for (std::size_t j = 0; j < d; ++j) along += axes_[e * d + j] * axes_[e * d + j] * a_.grid[j] * a_.grid[j];
            if (!wide(values_[e], along)) return false;
        }
        return true;
    }

private:
    constexpr std::size_t columns() const { return D ? D : d_; }

    bool wide(double variance, double grid) const { return variance > a_.narrowest && variance >= grid; }

    double mean_variance() const {
        double mean = 0.0;
        for (std::size_t j = 0; j < columns(); ++j) mean += covariance_[j * (columns() + 1)] / static_cast<double>(columns());
        return mean;
    }

    double log_volume() {
        const std::size_t d = columns();
        const double *first = first_.data(), *second = second_.data(), inverse = 1.0 / weight_;
        double* c = covariance_.data();
        for (std::size_t r = 0; r < d; ++r)
            for (std::size_t j = 0; j <= r; ++j) c[r * d + j] = inverse * (second[r * d + j] - inverse * first[r] * first[j]);
        if (a_.form == Form::spherical) return static_cast<double>(d) * std::log(mean_variance());
        double volume = 1.0;
        if (a_.form == Form::diagonal || d == 1)
            for (std::size_t j = 0; j < d; ++j) volume *= c[j * d + j];
        else if (D == 2) volume = c[0] * c[3] - c[2] * c[2];
        else if (D == 3)
            volume = c[0] * (c[4] * c[8] - c[7] * c[7]) - c[3] * (c[3] * c[8] - c[7] * c[6]) + c[6] * (c[3] * c[7] - c[4] * c[6]);
        else {
            work_ = covariance_;
            if (!cholesky(work_.data(), d)) return -HUGE_VAL;
            for (std::size_t j = 0; j < d; ++j) volume *= work_[j * d + j] * work_[j * d + j];
        }
        return volume > 0.0 ? std::log(volume) : -HUGE_VAL;
    }

    const Alignment& a_;
    std::size_t d_, size_ = 0;
    double total_ = 0.0, weight_ = 0.0, described_ = 0.0, surely_wide_ = 0.0;
    const double* origin_ = nullptr;
    Numbers first_, second_, covariance_, work_, values_, axes_;
    std::vector<std::pair<double, double>> memory_; // by size: a weight, and what of the gain it alone decides
};

template <std::size_t D>
class Around {
public:
    Around(const Alignment& a, std::vector<Group>& out) : a_(a), out_(out), growing_(a), span_{a.d}, y_(a.d) {}

    void look(std::size_t pivot) {
        pivot_ = pivot, begin_ = out_.size(), worst_ = 0;
        near_.clear();
        for (std::size_t i = 0; i < a_.n; ++i) near_.push_back({square(pivot, i), i});
        const auto most = static_cast<std::ptrdiff_t>(*std::max_element(a_.reaches, a_.reaches + a_.S));
        if (most < static_cast<std::ptrdiff_t>(a_.n)) std::nth_element(near_.begin(), near_.begin() + most, near_.end());
        std::sort(near_.begin(), near_.begin() + most);
        for (std::size_t s = 0; s < a_.S; ++s) {
            const auto reach = static_cast<std::size_t>(a_.reaches[s]);
            if (a_.kind == Alignment::Kind::axes) {
                for (std::size_t e = 0; e < a_.A; ++e) along_axes(a_.axes + e * a_.d, reach);
                continue;
            }
            for (std::size_t t = 0; t < a_.T; ++t) {
                through_.assign(1, pivot);
                const std::int64_t* place = a_.places + (s * a_.T + t) * a_.q;
                for (std::size_t j = 0; j < a_.q; ++j) through_.push_back(near_[static_cast<std::size_t>(place[j])].second);
                a_.kind == Alignment::Kind::near ? near_flat(reach) : windows(reach);
            }
        }
    }

private:
    double square(std::size_t one, std::size_t other) const {
        double sum = 0.0;
        for (std::size_t j = 0; j < a_.d; ++j) {
            const double step = a_.white[other * a_.d + j] - a_.white[one * a_.d + j];
            sum += step * step;
        }
        return sum;
    }

    void step_to(std::size_t row) {
        for (std::size_t j = 0; j < a_.d; ++j) y_[j] = a_.white[row * a_.d + j] - a_.white[pivot_ * a_.d + j];
    }

    bool span() {
        span_.basis.clear();
        for (std::size_t at = 1; at < through_.size(); ++at) {
            step_to(through_[at]);
            if (!span_.extend(y_)) return false;
        }
        return true;
    }

    // The rows nearest to a flat, one more at a time.
    void near_flat(std::size_t reach) {
        if (!span()) return;
        off_.clear();
        for (std::size_t at = 0; at < reach; ++at) {
            step_to(near_[at].second);
            span_.reject(y_);
            double sum = 0.0;
            for (const double value : y_) sum += value * value;
            off_.push_back({sum, near_[at].second});
        }
        prefix();
    }

    void prefix() {
        const std::size_t m = std::min(a_.largest, off_.size());
        std::partial_sort(off_.begin(), off_.begin() + static_cast<std::ptrdiff_t>(m), off_.end());
        grow(0, m, m, NONE);
    }

    // Rows whose hyperplanes through the same d - 1 rows differ little in direction.
    void windows(std::size_t reach) {
        if (!span()) return;
        Numbers plane[2];
        for (auto& axis : plane) { // the unit vector of which most is left, and then the next
            Numbers best;
            double longest = -1.0;
            for (std::size_t j = 0; j < a_.d; ++j) {
                Numbers v(a_.d, 0.0);
                v[j] = 1.0;
                span_.reject(v);
                double length = 0.0;
                for (const double value : v) length += value * value;
                if (length > longest) longest = length, best = v;
            }
            span_.extend(best);
            axis.assign(span_.basis.end() - static_cast<std::ptrdiff_t>(a_.d), span_.basis.end());
        }
        off_.clear();
        for (std::size_t at = 0; at < reach; ++at) {
            const std::size_t row = near_[at].second;
            if (std::find(through_.begin(), through_.end(), row) != through_.end()) continue;
            step_to(row);
            double x = 0.0, y = 0.0;
            for (std::size_t j = 0; j < a_.d; ++j) x += plane[0][j] * y_[j], y += plane[1][j] * y_[j];
            if (!(x * x + y * y > NO_DIRECTION * NO_DIRECTION)) continue;
            if (x < 0.0 || (x == 0.0 && y < 0.0)) x = -x, y = -y;
            off_.push_back({y / (x + std::fabs(y)), row}); // it rises with the angle
        }
        std::sort(off_.begin(), off_.end());
        for (std::size_t start = 0; start < off_.size(); ++start) grow(start, off_.size(), off_.size(), through_);
    }

    // Rows near the flat along some axes through the pivot, in order across it where one column is left.
    void along_axes(const std::int64_t* axes, std::size_t reach) {
        std::size_t across = 0, last = 0;
        for (std::size_t j = 0; j < a_.d; ++j)
            if (!axes[j]) ++across, last = j;
        off_.clear();
        for (std::size_t at = 0; at < reach; ++at) {
            const std::size_t row = near_[at].second;
            double sum = 0.0;
            for (std::size_t j = 0; j < a_.d; ++j) {
                const double step = a_.scaled[row * a_.d + j] - a_.scaled[pivot_ * a_.d + j];
                if (!axes[j]) sum += step * step;
            }
            off_.push_back({across == 1 ? a_.scaled[row * a_.d + last] : sum, row});
        }
        if (across > 1) return prefix();
        std::sort(off_.begin(), off_.end());
        std::size_t own = 0;
        while (off_[own].second != pivot_) ++own;
        for (std::size_t start = own < a_.largest ? 0 : own + 1 - a_.largest; start <= own; ++start) grow(start, off_.size() - start, off_.size(), NONE);
    }

    // A group of the fixed rows and of those in order from `start` on, round the end, as large as is best.
    void grow(std::size_t start, std::size_t most, std::size_t round, const std::vector<std::size_t>& fixed) {
        growing_.clear(pivot_);
        for (const std::size_t row : fixed) growing_.add(row);
        std::size_t size = fixed.size(), best = 0;
        double highest = out_.size() - begin_ < a_.keep ? -HUGE_VAL : out_[begin_ + worst_].gain;
        for (std::size_t more = 0; more < most && size < a_.largest; ++more) {
            growing_.add(off_[(start + more) % round].second);
            if (++size < a_.smallest) continue;
            const double gain = growing_.gain();
            if (gain > highest && growing_.resolved()) highest = gain, best = size;
        }
        if (best == 0) return;
        for (std::size_t g = begin_; g < out_.size(); ++g)
            if (std::fabs(out_[g].gain - highest) < SAME_GAIN) return;
        Group group{highest, {}};
        for (const std::size_t row : fixed) group.rows.push_back(static_cast<std::int64_t>(row));
        for (std::size_t more = 0; group.rows.size() < best; ++more)
            group.rows.push_back(static_cast<std::int64_t>(off_[(start + more) % round].second));
        std::sort(group.rows.begin(), group.rows.end());
        if (out_.size() - begin_ < a_.keep) out_.push_back(std::move(group));
        else out_[begin_ + worst_] = std::move(group);
        worst_ = 0;
        for (std::size_t g = begin_; g < out_.size(); ++g)
            if (out_[g].gain < out_[begin_ + worst_].gain) worst_ = g - begin_;
    }

    const Alignment& a_;
    std::vector<Group>& out_;
    Growing<D> growing_;
    Span span_;
    Numbers y_;
    std::size_t pivot_ = 0, begin_ = 0, worst_ = 0;
    std::vector<std::pair<double, std::size_t>> near_, off_;
    std::vector<std::size_t> through_;
};

template <std::size_t D>
std::vector<Group> align_in(const Alignment& a) {
    std::vector<Group> out;
    Around<D> around(a, out);
    for (std::size_t p = 0; p < a.P; ++p) around.look(static_cast<std::size_t>(a.pivots[p]));
    return out;
}

} // namespace

std::vector<Group> align(const Alignment& a) { return a.d == 2 ? align_in<2>(a) : a.d == 3 ? align_in<3>(a) : align_in<0>(a); }

} // namespace mixtura

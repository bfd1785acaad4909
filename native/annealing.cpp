#include "annealing.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <type_traits>
#include <utility>
#include <vector>

#include "dense.hpp"
#include "moments.hpp"

namespace mixtura {
namespace {

// D columns, or any (0). With their number known (3) a change took less than half of the time.
template <std::size_t D>
class Table {
    using Mean = std::conditional_t<D == 0, Numbers, std::array<double, D>>;
    using Matrix = std::conditional_t<D == 0, Numbers, std::array<double, D * D>>;

    struct Group {
        double weight = 0.0, level = 0.0;
        std::size_t size = 0;
        Mean mean{};
        Matrix scatter{}; // its lower triangle
    };

public:
    Table(const Deal& deal, std::int64_t* labels) : deal_(deal), labels_(labels), groups_(deal.K) {
        if constexpr (D == 0) {
            for (Group& group : groups_) group.mean.assign(deal.d, 0.0), group.scatter.assign(deal.d * deal.d, 0.0);
            work_.assign(deal.d * deal.d, 0.0), step_.assign(deal.d, 0.0);
        }
        for (std::size_t i = 0; i < deal.n; ++i) add(groups_[static_cast<std::size_t>(labels[i])], i, 1.0);
    }

    // Levels of all groups; false where one may not be.
    bool begin() {
        return std::all_of(groups_.begin(), groups_.end(), [&](Group& group) { return group.size >= deal_.needed && measure(group) && is_wide(group); });
    }

    void play() {
        std::vector<std::int64_t> best(labels_, labels_ + deal_.n);
        double temperature = deal_.hot, above = 0.0, highest = 0.0; // the level, from where it began
        const double fall = std::pow(deal_.cold / deal_.hot, 1.0 / static_cast<double>(std::max<std::size_t>(deal_.steps, 1)));
        for (std::size_t s = 0; s < deal_.steps; ++s) {
            temperature *= fall;
            const double* number = deal_.numbers + 3 * s;
            above += step(number[0], number[1], temperature * std::log(std::max(number[2], std::numeric_limits<double>::min())));
            if (above > highest) highest = above, std::copy(labels_, labels_ + deal_.n, best.begin());
        }
        std::copy(best.begin(), best.end(), labels_);
    }

private:
    // What a drawn change gains, 0 where it is not made since it gains less than `least`.
    double step(double which, double where, double least) {
        const std::size_t i = place(which, deal_.n), k = static_cast<std::size_t>(labels_[i]);
        if (groups_[k].size > deal_.needed) {
            std::size_t other = place(where, deal_.K - 1);
            other += other >= k;
            return change(k, other, i, deal_.n, least);
        }
        const std::size_t j = place(where, deal_.n), other = static_cast<std::size_t>(labels_[j]);
        return other == k ? 0.0 : change(k, other, i, j, least);
    }

    std::size_t columns() const { return D ? D : deal_.d; }

    static std::size_t place(double number, std::size_t many) { return static_cast<std::size_t>(number * static_cast<double>(many)); }

    // Row i goes from group k to another one, and row j, if there is one, back.
    double change(std::size_t k, std::size_t other, std::size_t i, std::size_t j, double least) {
        left_ = groups_[k], joined_ = groups_[other];
        add(joined_, i, 1.0);
        if (j < deal_.n) add(left_, j, 1.0);
        add(left_, i, -1.0);
        if (j < deal_.n) add(joined_, j, -1.0);
        if (!measure(left_) || !measure(joined_)) return 0.0;
        const double gain = (left_.level - groups_[k].level) + (joined_.level - groups_[other].level);
        if (!(gain >= least) || !is_wide(left_) || !is_wide(joined_)) return 0.0;
        std::swap(groups_[k], left_), std::swap(groups_[other], joined_);
        labels_[i] = static_cast<std::int64_t>(other);
        if (j < deal_.n) labels_[j] = static_cast<std::int64_t>(k);
        return gain;
    }

    void add(Group& group, std::size_t i, double sign) {
        const std::size_t d = columns();
        const double *row = deal_.rows + i * d, by = sign * deal_.weights[i], total = group.weight + by, part = by / total;
        for (std::size_t r = 0; r < d; ++r) step_[r] = row[r] - group.mean[r];
        for (std::size_t r = 0; r < d; ++r)
            for (std::size_t c = 0; c <= r; ++c) group.scatter[r * d + c] += part * group.weight * step_[r] * step_[c];
        for (std::size_t r = 0; r < d; ++r) group.mean[r] += part * step_[r];
        group.weight = total, group.size += sign > 0.0 ? 1 : static_cast<std::size_t>(-1);
    }

    // Into `work`: the covariance in its form, less what is too narrow where that is asked for.
    void covariance(const Group& group, bool above_narrowest) {
        const std::size_t d = columns();
        const double inverse = 1.0 / group.weight;
        double mean = 0.0;
        for (std::size_t r = 0; r < d; ++r) mean += inverse * group.scatter[r * d + r] / static_cast<double>(d);
        for (std::size_t r = 0; r < d; ++r)
            for (std::size_t c = 0; c <= r; ++c) {
                const double own = deal_.form == Form::spherical ? mean : inverse * group.scatter[r * d + c];
                work_[r * d + c] = r == c || deal_.form == Form::dense ? own - (r == c && above_narrowest ? deal_.narrowest[r] : 0.0) : 0.0;
            }
    }

    bool measure(Group& group) {
        covariance(group, false);
        if (!cholesky(work_.data(), columns())) return false;
        double root = 1.0;
        for (std::size_t r = 0; r < columns(); ++r) root *= work_[r * columns() + r];
        group.level = group.weight * std::log(group.weight / root);
        return true;
    }

    bool is_wide(const Group& group) {
        covariance(group, true);
        return cholesky(work_.data(), columns());
    }

    const Deal& deal_;
    std::int64_t* labels_;
    std::vector<Group> groups_;
    Group left_, joined_;
    Matrix work_{};
    Mean step_{};
};

} // namespace

template <std::size_t D>
static bool dealt(const Deal& deal, std::int64_t* labels) {
    Table<D> table(deal, labels);
    if (!table.begin()) return false;
    table.play();
    return true;
}

bool deal(const Deal& deal, std::int64_t* labels) {
    switch (deal.d) {
        case 1: return dealt<1>(deal, labels);
        case 2: return dealt<2>(deal, labels);
        case 3: return dealt<3>(deal, labels);
        case 4: return dealt<4>(deal, labels);
        default: return dealt<0>(deal, labels);
    }
}

} // namespace mixtura

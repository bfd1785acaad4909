// Rows are cut into pieces of one group, and pieces are gathered into parts of about equal cost,
// which are merged in order. There are two ways through a piece:
//
// Many rows: the mixture of the observed columns is made, the kernels of complete rows do its
// E-step, and the sums are carried over to all columns. One factorisation of the observed columns.
//
// Few rows without errors: each row is completed in each component, y_t = -(P_tt)^-1 P_to y_o with
// the precision P, and then |W y|^2 is the distance of the observed columns. One factorisation of
// the missing columns. With 30 columns of which a tenth is missing at random nearly every row is a
// group of its own, and this way takes a tenth of the time.

#include "observation.hpp"

#include "dense.hpp"
#include "runtime.hpp"
#include "tails.hpp"
#include "workers.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

namespace mixtura {
namespace {

using Numbers = std::vector<double>;

constexpr std::size_t MOST_ROWS = 4096; // of a piece
constexpr double COST_OF_A_PART = 4e6;  // in products
constexpr std::size_t FEW_ROWS = 16;    // of a piece whose rows are completed one by one
constexpr double LOG_2PI = 1.8378770664093454836;

double value_at(const Observed& p, std::size_t at) {
    return p.single ? static_cast<double>(static_cast<const float*>(p.rows)[at])
                    : static_cast<const double*>(p.rows)[at];
}

struct Piece {
    std::size_t group, begin, end; // in the order
    std::size_t rows() const { return end - begin; }
};

// Whether the rows of a piece are completed one by one.
bool is_small(const Observed& p, const Piece& piece) {
    return !p.diagonal && !p.errors && piece.rows() < FEW_ROWS;
}

double cost_of(const Observed& p, std::size_t rows) {
    const double d = static_cast<double>(p.d), K = static_cast<double>(p.K);
    return K * (static_cast<double>(rows) * (d * d + 16.0) + (p.diagonal ? d : d * d * d));
}

// Pieces, where each part of them ends, and for each number of observed columns the most rows of a
// piece, of those that are small and of the others.
struct Plan {
    std::vector<Piece> pieces;
    std::vector<std::size_t> ends, most_small, most;

    explicit Plan(const Observed& p) : most_small(p.d + 1), most(p.d + 1) {
        double cost = 0.0;
        std::size_t begin = 0;
        for (std::size_t g = 0; g < p.G; ++g) {
            const auto end = static_cast<std::size_t>(p.ends[g]);
            const bool* columns = p.columns + g * p.d;
            const auto o = static_cast<std::size_t>(std::count(columns, columns + p.d, true));
            for (; begin < end; begin = pieces.back().end) {
                pieces.push_back({g, begin, std::min(end, begin + MOST_ROWS)});
                const Piece& piece = pieces.back();
                std::size_t& rows = (is_small(p, piece) ? most_small : most)[o];
                rows = std::max(rows, piece.rows());
                cost += cost_of(p, piece.rows());
                if (cost < COST_OF_A_PART) continue;
                ends.push_back(pieces.size());
                cost = 0.0;
            }
        }
        if (ends.empty() || ends.back() < pieces.size()) ends.push_back(pieces.size());
    }
};

void reserve(Numbers& numbers, std::size_t size) { numbers.reserve(size); }
void resize(Numbers& numbers, std::size_t size) { numbers.resize(size); }

// Log density of o observed columns at the mean of a component with the identity as its matrix.
double peak_of(const Observed& p, std::size_t k, std::size_t o) {
    return p.tails ? log_peak(p.tails[k], o) : -0.5 * static_cast<double>(o) * LOG_2PI;
}

// Of t components, for some number of observed columns (K each): the constant of twice a score by
// nu, and the information of a row.
struct TailConstants {
    Numbers scores, known;

    explicit TailConstants(const Observed& p) {
        scores.reserve(p.tails ? p.K : 0), known.reserve(p.tails ? p.K : 0);
    }

    void look_at(const Observed& p, std::size_t o) {
        scores.clear(), known.clear();
        for (std::size_t k = 0; p.tails && k < p.K; ++k) {
            scores.push_back(score_constant(p.tails[k], o));
            known.push_back(information(p.tails[k], o));
        }
    }
};

// The mixture of the observed columns of a group, and how the other columns follow from them. With
// errors all columns follow.
class Seen {
public:
    std::vector<std::size_t> observed, following;
    Numbers means, whiteners;       // K x o; F x o x o or F x o
    Numbers log_weights, log_scale; // K, of the rows of this group
    TailConstants constants;
    Numbers maps, left; // F x t x o and F x t x t, where covariances are full
    std::ptrdiff_t singular = -1;

    explicit Seen(const Observed& problem)
        : constants(problem), p(problem), F(problem.step ? problem.K : 1) {
        observed.reserve(p.d), following.reserve(p.d);
    }

    // Memory for groups of o observed columns.
    void make_room(std::size_t o) { buffers(o, p.errors ? p.d : p.d - o, reserve); }

    void look_at(std::size_t g) {
        if (g == group) return;
        group = g;
        observed.clear(), following.clear();
        for (std::size_t j = 0; j < p.d; ++j)
            (p.columns[g * p.d + j] ? observed : following).push_back(j);
        if (p.errors) {
            following.resize(p.d);
            for (std::size_t j = 0; j < p.d; ++j) following[j] = j;
        }
        const std::size_t o = observed.size();
        constants.look_at(p, o);
        buffers(o, following.size(), resize);
        for (std::size_t f = 0; f < F; ++f)
            if (!(p.diagonal ? along_columns(f) : in_full(f)) && singular < 0)
                singular = static_cast<std::ptrdiff_t>(f);
        for (std::size_t k = 0; k < p.K; ++k) {
            for (std::size_t j = 0; j < o; ++j) means[k * o + j] = p.means[k * p.d + observed[j]];
            log_weights[k] = p.log_weights[k] + (p.log_classes ? p.log_classes[g * p.K + k] : 0.0);
            log_scale[k] = log_weights[k] + peak_of(p, k, o) - 0.5 * log_det[p.step ? k : 0];
        }
    }

    const double* map_of(std::size_t k) const {
        return maps.data() + (p.step ? k : 0) * following.size() * observed.size();
    }
    const double* left_of(std::size_t k) const {
        return left.data() + (p.step ? k : 0) * following.size() * following.size();
    }

private:
    const Observed& p;
    const std::size_t F;
    std::size_t group = static_cast<std::size_t>(-1);
    Numbers log_det, own, panel, projected;

    template <class Act>
    void buffers(std::size_t o, std::size_t t, Act act) {
        act(means, p.K * o), act(log_weights, p.K), act(log_scale, p.K), act(log_det, F);
        act(whiteners, F * (p.diagonal ? o : o * o));
        if (p.diagonal) return;
        act(own, o * o), act(panel, PANEL * o), act(projected, t * o);
        act(maps, F * t * o), act(left, F * t * t);
    }

    bool along_columns(std::size_t f) {
        log_det[f] = 0.0;
        for (std::size_t j = 0; j < observed.size(); ++j) {
            const double variance = p.covariance[f * p.step + observed[j]];
            if (!(variance > 0.0)) return false;
            whiteners[f * observed.size() + j] = 1.0 / std::sqrt(variance);
            log_det[f] += std::log(variance);
        }
        return true;
    }

    // T = L L', W = L^-1, V = Sigma_to W': the maps are V W and what is left is Sigma_tt - V V'.
    bool in_full(std::size_t f) {
        const std::size_t o = observed.size(), t = following.size();
        const double* sigma = p.covariance + f * p.step;
        for (std::size_t i = 0; i < o; ++i)
            for (std::size_t j = 0; j < o; ++j) {
                const std::size_t at = observed[i] * p.d + observed[j];
                own[i * o + j] = sigma[at] + (p.errors ? p.errors[group * p.d * p.d + at] : 0.0);
            }
        if (!cholesky(own.data(), o, panel.data())) return false;
        log_det[f] = 0.0;
        for (std::size_t i = 0; i < o; ++i) log_det[f] += 2.0 * std::log(own[i * o + i]);
        double* W = whiteners.data() + f * o * o;
        invert_lower(own.data(), o, W);
        double *map = maps.data() + f * t * o, *rest = left.data() + f * t * t;
        for (std::size_t a = 0; a < t; ++a) {
            double* v = projected.data() + a * o;
            for (std::size_t i = 0; i < o; ++i) {
                v[i] = 0.0;
                for (std::size_t j = 0; j <= i; ++j)
                    v[i] += W[i * o + j] * sigma[following[a] * p.d + observed[j]];
            }
            std::fill_n(map + a * o, o, 0.0);
            for (std::size_t i = 0; i < o; ++i)
                for (std::size_t j = 0; j <= i; ++j) map[a * o + j] += v[i] * W[i * o + j];
            for (std::size_t b = 0; b <= a; ++b) {
                const double c = sigma[following[a] * p.d + following[b]] -
                                 inner(v, projected.data() + b * o, o);
                rest[a * t + b] = rest[b * t + a] = c;
            }
        }
        return true;
    }
};

// Full covariances with their factors and inverses, made once for all workers.
struct Whole {
    Numbers whiteners, precisions, log_det; // F x d x d; F x d x d; F
    std::ptrdiff_t singular = -1;

    explicit Whole(const Observed& p) {
        if (p.diagonal || p.errors) return;
        const std::size_t F = p.step ? p.K : 1, d = p.d, size = d * d;
        whiteners.resize(F * size), precisions.resize(F * size), log_det.assign(F, 0.0);
        Numbers factor(size), turned(size);
        for (std::size_t f = 0; f < F; ++f) {
            std::copy_n(p.covariance + f * p.step, size, factor.data());
            if (!cholesky(factor.data(), d)) {
                singular = static_cast<std::ptrdiff_t>(f);
                return;
            }
            for (std::size_t i = 0; i < d; ++i) log_det[f] += 2.0 * std::log(factor[i * d + i]);
            invert_lower(factor.data(), d, &whiteners[f * size]);
            transpose(&whiteners[f * size], d, turned.data());
            multiply(turned.data(), &whiteners[f * size], d, false, &precisions[f * size]);
        }
    }
};

// One row at a time, completed in each component.
class Completed {
public:
    std::vector<std::size_t> observed, missing;
    Numbers y, level, left; // K x d, about the means; K: log joint densities; F x t x t
    Numbers logs, pulls;    // K, of t components: log(1 + D / nu), and u
    TailConstants constants;

    Completed(const Observed& problem, const Whole& all)
        : y(problem.K * problem.d), level(problem.K), logs(problem.K), pulls(problem.K),
          constants(problem), p(problem), whole(all), F(problem.step ? problem.K : 1) {
        observed.reserve(p.d), missing.reserve(p.d);
    }

    // Memory for groups of o observed columns.
    void make_room(std::size_t o) { buffers(o, p.d - o, reserve); }

    void look_at(std::size_t g) {
        if (g == group) return;
        group = g;
        observed.clear(), missing.clear();
        for (std::size_t j = 0; j < p.d; ++j)
            (p.columns[g * p.d + j] ? observed : missing).push_back(j);
        const std::size_t t = missing.size(), o = observed.size(), d = p.d;
        constants.look_at(p, o);
        buffers(o, t, resize);
        for (std::size_t k = 0; k < p.K; ++k) peaks[k] = peak_of(p, k, o);
        for (std::size_t f = 0; f < F; ++f) {
            const double* P = &whole.precisions[f * d * d];
            for (std::size_t a = 0; a < t; ++a)
                for (std::size_t b = 0; b < t; ++b)
                    factor[a * t + b] = P[missing[a] * d + missing[b]];
            log_det[f] = whole.log_det[f];
            cholesky(factor.data(), t, panel.data()); // a block of a positive definite matrix
            for (std::size_t a = 0; a < t; ++a) log_det[f] += 2.0 * std::log(factor[a * t + a]);
            invert_lower(factor.data(), t, inverse.data());
            double *map = maps.data() + f * t * o, *C = left.data() + f * t * t;
            for (std::size_t a = 0; a < t; ++a)
                for (std::size_t b = 0; b < t; ++b) {
                    C[a * t + b] = 0.0;
                    for (std::size_t c = std::max(a, b); c < t; ++c)
                        C[a * t + b] += inverse[c * t + a] * inverse[c * t + b];
                }
            std::fill_n(map, t * o, 0.0);
            for (std::size_t a = 0; a < t; ++a)
                for (std::size_t b = 0; b < t; ++b)
                    for (std::size_t j = 0; j < o; ++j)
                        map[a * o + j] -= C[a * t + b] * P[missing[b] * d + observed[j]];
        }
    }

    void read(std::size_t row) {
        const std::size_t t = missing.size(), o = observed.size(), d = p.d;
        for (std::size_t k = 0; k < p.K; ++k) {
            double* own = y.data() + k * d;
            const double *mean = p.means + k * d, *map = maps.data() + (p.step ? k : 0) * t * o;
            for (const std::size_t j : missing) own[j] = 0.0;
            for (std::size_t j = 0; j < o; ++j) {
                own[observed[j]] = value_at(p, row * d + observed[j]) - mean[observed[j]];
            }
            for (std::size_t a = 0; a < t; ++a) {
                double value = 0.0;
                for (std::size_t j = 0; j < o; ++j) value += map[a * o + j] * own[observed[j]];
                own[missing[a]] = value;
            }
            double distance = 0.0;
            const double* W = &whole.whiteners[(p.step ? k : 0) * d * d];
            for (std::size_t i = 0; i < d; ++i) {
                const double one = inner(W + i * d, own, i + 1);
                distance += one * one;
            }
            level[k] = p.log_weights[k] + (p.log_classes ? p.log_classes[group * p.K + k] : 0.0) +
                       peaks[k] - 0.5 * log_det[p.step ? k : 0];
            if (!p.tails) {
                level[k] -= 0.5 * distance;
                continue;
            }
            const double nu = p.tails[k], all = nu + static_cast<double>(o),
                         squared = std::min(distance, FARTHEST);
            logs[k] = std::log1p(squared / nu);
            pulls[k] = all / (nu + squared);
            level[k] -= 0.5 * all * logs[k];
        }
    }

private:
    const Observed& p;
    const Whole& whole;
    const std::size_t F;
    std::size_t group = static_cast<std::size_t>(-1);
    Numbers maps, log_det, factor, panel, inverse, peaks;

    template <class Act>
    void buffers(std::size_t o, std::size_t t, Act act) {
        act(maps, F * t * o), act(left, F * t * t), act(log_det, F), act(peaks, p.K);
        act(factor, t * t), act(panel, PANEL * t), act(inverse, t * t);
    }
};

// Sums of K and of t components, one after the other in memory.
struct SumSizes {
    std::size_t second, of_gaussians, all;

    explicit SumSizes(const Observed& p)
        : second(second_size(p.diagonal ? Scatter::diagonal : Scatter::dense, p.K, p.d)),
          of_gaussians(p.K + p.K * p.d + second), all(of_gaussians + (p.tails ? 3 * p.K : 0)) {}
};

// What a worker has of its own. All of its memory exists before the first thread starts.
struct Worker {
    const Observed& p;
    Seen seen;
    Completed one;
    Numbers sums, rows, weights, joint, first, second, counts, pulls, falls, mapped;
    std::unique_ptr<Aligned> model, workspace;
    std::size_t model_size = 0, workspace_size = 0;

    Worker(const Observed& problem, const Whole& whole, const Plan& plan)
        : p(problem), seen(problem), one(problem, whole) {
        sums.reserve(SumSizes(p).all);
        for (std::size_t o = 0; o <= p.d; ++o) {
            if (plan.most_small[o]) one.make_room(o);
            if (plan.most[o]) make_room(plan.most[o], o);
        }
    }

    // Memory for pieces of up to m rows and o observed columns.
    void make_room(std::size_t m, std::size_t o) {
        const EStep e = shape_of(m, o);
        seen.make_room(o);
        rows.reserve(m * o), weights.reserve(m), joint.reserve(m * p.K), mapped.reserve(o);
        counts.reserve(p.K), pulls.reserve(p.K), falls.reserve(p.K), first.reserve(p.K * o);
        second.reserve(second_size(e.scatter, p.K, o));
        if (o == 0) return;
        const std::size_t need = kernels().model(e), room = kernels().workspace(e);
        if (need > model_size) model = std::make_unique<Aligned>(model_size = need);
        if (room > workspace_size) workspace = std::make_unique<Aligned>(workspace_size = room);
    }

    // The E-step of m rows and o observed columns, without its numbers.
    EStep shape_of(std::size_t m, std::size_t o) const {
        EStep e{};
        e.n = m, e.d = o, e.K = p.K;
        e.whitener_step = p.step ? (p.diagonal ? o : o * o) : 0;
        e.form = p.diagonal ? Form::diagonal : Form::dense;
        e.scatter = p.diagonal ? Scatter::diagonal : Scatter::dense;
        e.tails = p.tails;
        if (p.log_noise) e.log_noise = 0.0; // some value: a group has its own
        return e;
    }

    // The E-step of a piece on its observed columns, of which there is at least one.
    EStep e_step_of(const Piece& piece) {
        const std::size_t m = piece.rows(), o = seen.observed.size();
        rows.resize(m * o), weights.resize(m);
        for (std::size_t i = 0; i < m; ++i) {
            const auto row = static_cast<std::size_t>(p.order[piece.begin + i]);
            for (std::size_t j = 0; j < o; ++j)
                rows[i * o + j] = value_at(p, row * p.d + seen.observed[j]);
            weights[i] = p.weights ? p.weights[row] : 1.0;
        }
        EStep e = shape_of(m, o);
        e.rows = rows.data(), e.weights = weights.data();
        e.means = seen.means.data(), e.log_scale = seen.log_scale.data();
        e.whitener = seen.whiteners.data();
        if (p.log_noise) e.log_noise = p.log_noise[piece.group];
        kernels().prepare(e, *model);
        return e;
    }

    void add_moments(const Piece& piece, ObservedSums& to) {
        if (is_small(p, piece)) return add_rows(piece, to);
        seen.look_at(piece.group);
        if (seen.singular >= 0) return;
        if (seen.observed.empty()) return add_unseen(piece, to);
        const EStep e = e_step_of(piece);
        counts.assign(p.K, 0.0), first.assign(p.K * e.d, 0.0);
        second.assign(second_size(e.scatter, p.K, e.d), 0.0);
        Sums own{counts.data(), first.data(), second.data(), 0.0, 0.0, 0.0};
        if (p.tails) {
            pulls.assign(p.K, 0.0), falls.assign(p.K, 0.0);
            own.pulls = pulls.data(), own.falls = falls.data();
        }
        kernels().moments(e, *model, 0, e.n, *workspace, own);
        to.log_likelihood += own.log_likelihood;
        to.entropy += own.entropy;
        to.certainty += own.certainty;
        to.noise += own.noise;
        for (std::size_t k = 0; k < p.K; ++k) {
            to.counts[k] += counts[k];
            if (p.tails) {
                to.pulls[k] += pulls[k];
                to.scores[k] += counts[k] * seen.constants.scores[k] - falls[k];
                to.known[k] += counts[k] * seen.constants.known[k];
            }
            p.diagonal ? carry_over_columns(k, to) : carry_over(k, to);
        }
    }

    void add_rows(const Piece& piece, ObservedSums& to) {
        one.look_at(piece.group);
        const std::size_t d = p.d, t = one.missing.size();
        for (std::size_t i = piece.begin; i < piece.end; ++i) {
            const auto row = static_cast<std::size_t>(p.order[i]);
            const double weight = p.weights ? p.weights[row] : 1.0;
            one.read(row);
            const double log_noise = p.log_noise ? p.log_noise[piece.group] : -HUGE_VAL;
            const double highest =
                std::max(log_noise, *std::max_element(one.level.begin(), one.level.end()));
            const bool lost = !(highest > -HUGE_VAL);
            const double noise = lost ? 0.0 : std::exp(log_noise - highest);
            double sum = noise, exponent = noise > 0.0 ? noise * (log_noise - highest) : 0.0;
            for (double& level : one.level) {
                const double apart = lost ? 0.0 : level - highest;
                level = std::exp(apart);
                sum += level;
                if (level > 0.0) exponent += level * apart;
            }
            to.log_likelihood += weight * (highest + std::log(sum));
            to.entropy += weight * (std::log(sum) - exponent / sum);
            to.certainty -= weight * std::log(sum);
            to.noise += weight * noise / sum;
            for (std::size_t k = 0; k < p.K; ++k) {
                const double r = weight * one.level[k] / sum;
                if (!(r > 0.0)) continue;
                const double* y = one.y.data() + k * d;
                double *first = to.first + k * d, *second = to.second + k * d * d;
                const double* left = one.left.data() + (p.step ? k : 0) * t * t;
                to.counts[k] += r;
                double weighed = r;
                if (p.tails) {
                    const double u = one.pulls[k];
                    weighed = r * u;
                    to.pulls[k] += weighed;
                    to.scores[k] += r * (one.constants.scores[k] - one.logs[k] - u);
                    to.known[k] += r * one.constants.known[k];
                }
                for (std::size_t a = 0; a < d; ++a) {
                    const double share = weighed * y[a];
                    first[a] += share;
                    for (std::size_t b = 0; b < d; ++b) second[a * d + b] += share * y[b];
                }
                for (std::size_t a = 0; a < t; ++a)
                    for (std::size_t b = 0; b < t; ++b)
                        second[one.missing[a] * d + one.missing[b]] += r * left[a * t + b];
            }
        }
    }

    // Rows without any value: their posteriors are the weights, their pulls 1, and they know
    // nothing of degrees of freedom. Rows of a class without weight are shared evenly.
    void add_unseen(const Piece& piece, ObservedSums& to) {
        const double log_noise = p.log_noise ? p.log_noise[piece.group] : -HUGE_VAL;
        double rows_here = 0.0, highest = log_noise;
        for (std::size_t i = piece.begin; i < piece.end; ++i)
            rows_here += p.weights ? p.weights[p.order[i]] : 1.0;
        const Numbers& log_weights = seen.log_weights;
        for (const double one : log_weights) highest = std::max(highest, one);
        const bool lost = !(highest > -HUGE_VAL);
        const auto apart = [&](double level) { return lost ? 0.0 : level - highest; };
        const double noise = lost ? -HUGE_VAL : log_noise - highest;
        double sum = std::exp(noise);
        for (const double one : log_weights) sum += std::exp(apart(one));
        to.log_likelihood += rows_here * (highest + std::log(sum));
        to.certainty -= rows_here * std::log(sum);
        const std::size_t d = p.d;
        const auto count_of = [&](double above) {
            const double log_r = above - std::log(sum), r = std::exp(log_r);
            if (r > 0.0) to.entropy -= rows_here * r * log_r;
            return rows_here * r;
        };
        to.noise += count_of(noise);
        for (std::size_t k = 0; k < p.K; ++k) {
            const double count = count_of(apart(log_weights[k]));
            to.counts[k] += count;
            if (p.tails) to.pulls[k] += count;
            const std::size_t size = p.diagonal ? d : d * d;
            const double* sigma = p.covariance + k * p.step;
            for (std::size_t i = 0; i < size; ++i) to.second[k * size + i] += count * sigma[i];
        }
    }

    void carry_over_columns(std::size_t k, ObservedSums& to) {
        const std::size_t o = seen.observed.size(), d = p.d;
        for (std::size_t j = 0; j < o; ++j) {
            to.first[k * d + seen.observed[j]] += first[k * o + j];
            to.second[k * d + seen.observed[j]] += second[k * o + j];
        }
        for (const std::size_t j : seen.following)
            to.second[k * d + j] += counts[k] * p.covariance[k * p.step + j];
    }

    // Moments of completed rows: of observed columns as they are (without errors), of the others
    // through the maps. Kernels fill the lower triangle only.
    void carry_over(std::size_t k, ObservedSums& to) {
        const std::size_t o = seen.observed.size(), t = seen.following.size(), d = p.d;
        double *f = first.data() + k * o, *S = second.data() + k * o * o;
        double *to_first = to.first + k * d, *to_second = to.second + k * d * d;
        for (std::size_t i = 0; i < o; ++i)
            for (std::size_t j = 0; j < i; ++j) S[j * o + i] = S[i * o + j];
        if (!p.errors)
            for (std::size_t i = 0; i < o; ++i) {
                to_first[seen.observed[i]] += f[i];
                for (std::size_t j = 0; j < o; ++j)
                    to_second[seen.observed[i] * d + seen.observed[j]] += S[i * o + j];
            }
        const double *map = seen.map_of(k), *left = seen.left_of(k);
        mapped.resize(o);
        for (std::size_t a = 0; a < t; ++a) {
            const std::size_t row = seen.following[a];
            to_first[row] += inner(map + a * o, f, o);
            for (std::size_t j = 0; j < o; ++j) mapped[j] = 0.0;
            for (std::size_t i = 0; i < o; ++i)
                for (std::size_t j = 0; j < o; ++j) mapped[j] += map[a * o + i] * S[i * o + j];
            if (!p.errors)
                for (std::size_t j = 0; j < o; ++j) {
                    to_second[row * d + seen.observed[j]] += mapped[j];
                    to_second[seen.observed[j] * d + row] += mapped[j];
                }
            for (std::size_t b = 0; b <= a; ++b) {
                const double value =
                    inner(mapped.data(), map + b * o, o) + counts[k] * left[a * t + b];
                to_second[row * d + seen.following[b]] += value;
                if (b < a) to_second[seen.following[b] * d + row] += value;
            }
        }
    }

    void log_joint(const Piece& piece, double* out) {
        if (is_small(p, piece)) {
            one.look_at(piece.group);
            for (std::size_t i = piece.begin; i < piece.end; ++i) {
                one.read(static_cast<std::size_t>(p.order[i]));
                std::copy_n(one.level.data(), p.K, out + p.order[i] * p.K);
            }
            return;
        }
        seen.look_at(piece.group);
        if (seen.singular >= 0) return;
        const std::size_t m = piece.rows();
        joint.resize(m * p.K);
        if (seen.observed.empty())
            for (std::size_t i = 0; i < m; ++i)
                std::copy_n(seen.log_weights.data(), p.K, joint.data() + i * p.K);
        else {
            const EStep e = e_step_of(piece);
            kernels().log_joint(e, *model, 0, m, *workspace, joint.data());
        }
        for (std::size_t i = 0; i < m; ++i)
            std::copy_n(joint.data() + i * p.K, p.K, out + p.order[piece.begin + i] * p.K);
    }

    void complete_rows(const Piece& piece, const double* shares, double* out) {
        one.look_at(piece.group);
        for (std::size_t i = piece.begin; i < piece.end; ++i) {
            const std::int64_t row = p.order[i];
            double* y = out + row * p.d;
            one.read(static_cast<std::size_t>(row));
            std::fill_n(y, p.d, 0.0);
            for (const std::size_t j : one.observed)
                y[j] = value_at(p, static_cast<std::size_t>(row) * p.d + j);
            for (std::size_t k = 0; k < p.K; ++k)
                for (const std::size_t j : one.missing)
                    y[j] += shares[row * p.K + k] * (p.means[k * p.d + j] + one.y[k * p.d + j]);
        }
    }

    void complete(const Piece& piece, const double* shares, double* out) {
        if (is_small(p, piece)) return complete_rows(piece, shares, out);
        seen.look_at(piece.group);
        if (seen.singular >= 0) return;
        const std::size_t o = seen.observed.size(), t = seen.following.size(), d = p.d;
        if (o) e_step_of(piece);
        mapped.resize(o);
        for (std::size_t i = 0; i < piece.rows(); ++i) {
            const std::int64_t row = p.order[piece.begin + i];
            double* y = out + row * d;
            for (std::size_t j = 0; j < o; ++j) y[seen.observed[j]] = rows[i * o + j];
            for (const std::size_t j : seen.following) y[j] = 0.0;
            for (std::size_t k = 0; k < p.K; ++k) {
                const double share = shares[row * p.K + k];
                if (share == 0.0) continue;
                for (std::size_t j = 0; j < o; ++j)
                    mapped[j] = rows[i * o + j] - seen.means[k * o + j];
                for (std::size_t a = 0; a < t; ++a) {
                    double value = p.means[k * d + seen.following[a]];
                    if (!p.diagonal) value += inner(seen.map_of(k) + a * o, mapped.data(), o);
                    y[seen.following[a]] += share * value;
                }
            }
        }
    }
};

// Parts to whichever worker is free. `work(worker, part number, turns, pieces)`.
template <class Work>
std::ptrdiff_t over_parts(const Observed& p, std::size_t threads, Work work) {
    be_able_to_throw();
    const Whole whole(p);
    if (whole.singular >= 0) return whole.singular;
    const Plan plan(p);
    const std::size_t count = std::max<std::size_t>(1, std::min(threads, plan.ends.size()));
    std::vector<std::unique_ptr<Worker>> workers;
    for (std::size_t t = 0; t < count; ++t)
        workers.push_back(std::make_unique<Worker>(p, whole, plan));
    in_parallel(count, plan.ends.size(), [&](std::size_t t, std::size_t part, Turns& turns) {
        work(*workers[t], part, turns, [&](auto each) {
            for (std::size_t i = part ? plan.ends[part - 1] : 0; i < plan.ends[part]; ++i)
                each(plan.pieces[i]);
        });
    });
    std::ptrdiff_t singular = -1;
    for (const auto& worker : workers)
        if (worker->seen.singular >= 0 && (singular < 0 || worker->seen.singular < singular))
            singular = worker->seen.singular;
    return singular;
}

} // namespace

std::ptrdiff_t run_observed_moments(const Observed& p, std::size_t threads, ObservedSums& total) {
    const SumSizes sizes(p);
    return over_parts(p, threads, [&](Worker& worker, std::size_t part, Turns& turns, auto pieces) {
        worker.sums.assign(sizes.all, 0.0);
        double* memory = worker.sums.data();
        ObservedSums mine{{memory, memory + p.K, memory + p.K + p.K * p.d, 0.0, 0.0, 0.0}};
        mine.pulls = memory + sizes.of_gaussians;
        mine.scores = mine.pulls + p.K, mine.known = mine.scores + p.K;
        pieces([&](const Piece& piece) { worker.add_moments(piece, mine); });
        turns.take(part, [&] {
            for (std::size_t i = 0; i < p.K; ++i) total.counts[i] += mine.counts[i];
            for (std::size_t i = 0; i < p.K * p.d; ++i) total.first[i] += mine.first[i];
            for (std::size_t i = 0; i < sizes.second; ++i) total.second[i] += mine.second[i];
            for (std::size_t i = 0; p.tails && i < p.K; ++i) {
                total.pulls[i] += mine.pulls[i];
                total.scores[i] += mine.scores[i];
                total.known[i] += mine.known[i];
            }
            total.log_likelihood += mine.log_likelihood;
            total.entropy += mine.entropy;
            total.certainty += mine.certainty;
            total.noise += mine.noise;
        });
    });
}

std::ptrdiff_t run_observed_log_joint(const Observed& p, std::size_t threads, double* out) {
    return over_parts(p, threads, [&](Worker& worker, std::size_t, Turns&, auto pieces) {
        pieces([&](const Piece& piece) { worker.log_joint(piece, out); });
    });
}

std::ptrdiff_t run_completed(const Observed& p, const double* shares, std::size_t threads,
                             double* out) {
    return over_parts(p, threads, [&](Worker& worker, std::size_t, Turns&, auto pieces) {
        pieces([&](const Piece& piece) { worker.complete(piece, shares, out); });
    });
}

} // namespace mixtura

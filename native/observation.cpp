// Rows are cut into pieces of one group, and pieces are gathered into parts of about equal cost. For
// each piece the mixture of its observed columns is made, the kernels of complete rows do its
// E-step, and the sums are carried over to all columns. Parts are merged in order.

#include "observation.hpp"

#include "dense.hpp"
#include "runtime.hpp"
#include "workers.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>
#include <vector>

namespace mixtura {
namespace {

using Numbers = std::vector<double>;

constexpr std::size_t MOST_ROWS = 4096; // of a piece
constexpr double COST_OF_A_PART = 4e6;  // in products

struct Piece {
    std::size_t group, begin, end; // in the order
};

double cost_of(const Observed& p, std::size_t rows) {
    const double d = static_cast<double>(p.d), K = static_cast<double>(p.K);
    return K * (static_cast<double>(rows) * (d * d + 16.0) + (p.diagonal ? d : d * d * d));
}

// Pieces, and where each part of them ends.
struct Plan {
    std::vector<Piece> pieces;
    std::vector<std::size_t> ends;

    explicit Plan(const Observed& p) {
        double cost = 0.0;
        std::size_t begin = 0;
        for (std::size_t g = 0; g < p.G; ++g) {
            const auto end = static_cast<std::size_t>(p.ends[g]);
            for (; begin < end; begin = pieces.back().end) {
                pieces.push_back({g, begin, std::min(end, begin + MOST_ROWS)});
                cost += cost_of(p, pieces.back().end - begin);
                if (cost < COST_OF_A_PART) continue;
                ends.push_back(pieces.size());
                cost = 0.0;
            }
        }
        if (ends.empty() || ends.back() < pieces.size()) ends.push_back(pieces.size());
    }
};

// The mixture of the observed columns of a group, and how the other columns follow from them. With
// errors all columns follow.
class Seen {
public:
    std::vector<std::size_t> observed, following;
    Numbers means, whiteners, log_scale; // K x o; F x o x o or F x o; K
    Numbers maps, left;                  // F x t x o and F x t x t, where covariances are full
    std::ptrdiff_t singular = -1;

    explicit Seen(const Observed& problem) : p(problem), F(p.step ? p.K : 1) {}

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
        means.resize(p.K * o), log_scale.resize(p.K), log_det.resize(F);
        whiteners.resize(F * (p.diagonal ? o : o * o));
        for (std::size_t f = 0; f < F; ++f)
            if (!(p.diagonal ? along_columns(f) : in_full(f)) && singular < 0)
                singular = static_cast<std::ptrdiff_t>(f);
        constexpr double log_2pi = 1.8378770664093454836;
        for (std::size_t k = 0; k < p.K; ++k) {
            for (std::size_t j = 0; j < o; ++j) means[k * o + j] = p.means[k * p.d + observed[j]];
            const double peak = p.tails ? p.peaks[k * (p.d + 1) + o]
                                        : -0.5 * static_cast<double>(o) * log_2pi;
            log_scale[k] = p.log_weights[k] + peak - 0.5 * log_det[p.step ? k : 0];
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
    Numbers log_det, own, projected;

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
        own.resize(o * o), projected.resize(t * o), maps.resize(F * t * o), left.resize(F * t * t);
        for (std::size_t i = 0; i < o; ++i)
            for (std::size_t j = 0; j < o; ++j) {
                const std::size_t at = observed[i] * p.d + observed[j];
                own[i * o + j] = sigma[at] + (p.errors ? p.errors[group * p.d * p.d + at] : 0.0);
            }
        if (!cholesky(own.data(), o)) return false;
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

// What a worker has of its own.
struct Worker {
    const Observed& p;
    Seen seen;
    Numbers rows, weights, joint, first, second, counts, pulls, falls, mapped;
    std::unique_ptr<Aligned> model, workspace;
    std::size_t model_size = 0, workspace_size = 0;

    explicit Worker(const Observed& problem) : p(problem), seen(problem) {}

    // The E-step of a piece on its observed columns, of which there is at least one.
    EStep e_step_of(const Piece& piece) {
        const std::size_t m = piece.end - piece.begin, o = seen.observed.size();
        rows.resize(m * o), weights.resize(m);
        for (std::size_t i = 0; i < m; ++i) {
            const auto row = static_cast<std::size_t>(p.order[piece.begin + i]);
            for (std::size_t j = 0; j < o; ++j) {
                const std::size_t at = row * p.d + seen.observed[j];
                rows[i * o + j] = p.single
                                      ? static_cast<double>(static_cast<const float*>(p.rows)[at])
                                      : static_cast<const double*>(p.rows)[at];
            }
            weights[i] = p.weights ? p.weights[row] : 1.0;
        }
        EStep e{};
        e.rows = rows.data(), e.weights = weights.data();
        e.n = m, e.d = o, e.K = p.K;
        e.means = seen.means.data(), e.log_scale = seen.log_scale.data();
        e.whitener = seen.whiteners.data();
        e.whitener_step = p.step ? (p.diagonal ? o : o * o) : 0;
        e.form = p.diagonal ? Form::diagonal : Form::dense;
        e.scatter = p.diagonal ? Scatter::diagonal : Scatter::dense;
        e.tails = p.tails;
        const std::size_t need = kernels().model(e), room = kernels().workspace(e);
        if (need > model_size) model = std::make_unique<Aligned>(model_size = need);
        if (room > workspace_size) workspace = std::make_unique<Aligned>(workspace_size = room);
        kernels().prepare(e, *model);
        return e;
    }

    void add_moments(const Piece& piece, ObservedSums& to) {
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
        for (std::size_t k = 0; k < p.K; ++k) {
            to.counts[k] += counts[k];
            if (p.tails) {
                const std::size_t at = k * (p.d + 1) + e.d;
                to.pulls[k] += pulls[k];
                to.scores[k] += counts[k] * p.constants[at] - falls[k];
                to.known[k] += counts[k] * p.information[at];
            }
            p.diagonal ? carry_over_columns(k, to) : carry_over(k, to);
        }
    }

    // Rows without any value: their posteriors are the weights, their pulls 1, and they know
    // nothing of degrees of freedom.
    void add_unseen(const Piece& piece, ObservedSums& to) {
        double rows_here = 0.0, sum = 0.0, highest = -HUGE_VAL;
        for (std::size_t i = piece.begin; i < piece.end; ++i)
            rows_here += p.weights ? p.weights[p.order[i]] : 1.0;
        for (std::size_t k = 0; k < p.K; ++k) highest = std::max(highest, p.log_weights[k]);
        for (std::size_t k = 0; k < p.K; ++k) sum += std::exp(p.log_weights[k] - highest);
        to.log_likelihood += rows_here * (highest + std::log(sum));
        to.certainty -= rows_here * std::log(sum);
        const std::size_t d = p.d;
        for (std::size_t k = 0; k < p.K; ++k) {
            const double log_r = p.log_weights[k] - highest - std::log(sum), r = std::exp(log_r),
                         count = rows_here * r;
            if (r > 0.0) to.entropy -= rows_here * r * log_r;
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
        seen.look_at(piece.group);
        if (seen.singular >= 0) return;
        const std::size_t m = piece.end - piece.begin;
        joint.resize(m * p.K);
        if (seen.observed.empty())
            for (std::size_t i = 0; i < m; ++i)
                std::copy_n(p.log_weights, p.K, joint.data() + i * p.K);
        else {
            const EStep e = e_step_of(piece);
            kernels().log_joint(e, *model, 0, m, *workspace, joint.data());
        }
        for (std::size_t i = 0; i < m; ++i)
            std::copy_n(joint.data() + i * p.K, p.K, out + p.order[piece.begin + i] * p.K);
    }

    void complete(const Piece& piece, const double* shares, double* out) {
        seen.look_at(piece.group);
        if (seen.singular >= 0) return;
        const std::size_t o = seen.observed.size(), t = seen.following.size(), d = p.d;
        if (o) e_step_of(piece);
        mapped.resize(o);
        for (std::size_t i = 0; i < piece.end - piece.begin; ++i) {
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

// Parts to whichever worker is free. `work(worker, part number, pieces)`.
template <class Work>
std::ptrdiff_t over_parts(const Observed& p, std::size_t threads, Work work) {
    const Plan plan(p);
    const std::size_t count = std::max<std::size_t>(1, std::min(threads, plan.ends.size()));
    std::vector<std::unique_ptr<Worker>> workers;
    for (std::size_t t = 0; t < count; ++t) workers.push_back(std::make_unique<Worker>(p));
    std::atomic<std::size_t> next{0};
    in_parallel(count, [&](std::size_t t) {
        for (std::size_t part; (part = next.fetch_add(1)) < plan.ends.size();)
            work(t, *workers[t], part,
                 [&, part](auto each) {
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
    const std::size_t second = second_size(p.diagonal ? Scatter::diagonal : Scatter::dense, p.K, p.d),
                      of_gaussians = p.K + p.K * p.d + second,
                      size = of_gaussians + (p.tails ? 3 * p.K : 0);
    std::vector<Numbers> partial(std::max<std::size_t>(1, threads), Numbers(size));
    Turns turns;
    return over_parts(p, threads, [&](std::size_t t, Worker& worker, std::size_t part, auto pieces) {
        double* memory = partial[t].data();
        std::fill_n(memory, size, 0.0);
        ObservedSums mine{{memory, memory + p.K, memory + p.K + p.K * p.d, 0.0, 0.0, 0.0}};
        mine.pulls = memory + of_gaussians;
        mine.scores = mine.pulls + p.K, mine.known = mine.scores + p.K;
        pieces([&](const Piece& piece) { worker.add_moments(piece, mine); });
        turns.take(part, [&] {
            for (std::size_t i = 0; i < p.K; ++i) total.counts[i] += mine.counts[i];
            for (std::size_t i = 0; i < p.K * p.d; ++i) total.first[i] += mine.first[i];
            for (std::size_t i = 0; i < second; ++i) total.second[i] += mine.second[i];
            for (std::size_t i = 0; p.tails && i < p.K; ++i) {
                total.pulls[i] += mine.pulls[i];
                total.scores[i] += mine.scores[i];
                total.known[i] += mine.known[i];
            }
            total.log_likelihood += mine.log_likelihood;
            total.entropy += mine.entropy;
            total.certainty += mine.certainty;
        });
    });
}

std::ptrdiff_t run_observed_log_joint(const Observed& p, std::size_t threads, double* out) {
    return over_parts(p, threads, [&](std::size_t, Worker& worker, std::size_t, auto pieces) {
        pieces([&](const Piece& piece) { worker.log_joint(piece, out); });
    });
}

std::ptrdiff_t run_completed(const Observed& p, const double* shares, std::size_t threads,
                             double* out) {
    return over_parts(p, threads, [&](std::size_t, Worker& worker, std::size_t, auto pieces) {
        pieces([&](const Piece& piece) { worker.complete(piece, shares, out); });
    });
}

} // namespace mixtura

// The E-step kernels. Compiled once per instruction set, each time with its own flags and its own
// MIXTURA_ISA_NAME.
//
// Points stand in lanes: a block of rows is transposed to columns, and every loop over lanes is a
// whole number of vectors. Distances and moments are taken about the component means (never about
// zero), so an offset of the data costs no digits. Sums inside a block run lane by lane and then
// across lanes in a fixed order: the same bits every time. Responsibilities of a block of rows
// exist while the block is worked on, and nowhere else.

#include "e_step.hpp"

#include "block.hpp"
#include "effective.hpp"
#include "lanes.hpp"
#include "levels.hpp"
#include "model.hpp"
#include "products.hpp"

#include <cmath>

namespace mixtura {
namespace {

// ---- which components reach a block -------------------------------------------------------------

// |W_k (x - mean_k)| for one point.
template <class Real>
double distance(const EStep& p, const double* point, const Real* mean, const double* w) {
    double sum = 0.0;
    for (std::size_t i = 0; i < p.d; ++i) {
        double y = 0.0;
        if (p.form == Form::dense)
            for (std::size_t j = 0; j <= i; ++j)
                y += w[i * p.d + j] * (point[j] - static_cast<double>(mean[j]));
        else y = w[p.form == Form::diagonal ? i : 0] * (point[i] - static_cast<double>(mean[i]));
        sum += y * y;
    }
    return std::sqrt(sum);
}

// The log joint density at a distance.
inline double level_at(const EStep& p, std::size_t k, double distance) {
    const double squared = distance * distance;
    if (!p.tails) return p.log_scale[k] - 0.5 * squared;
    return p.log_scale[k] -
           0.5 * (p.tails[k] + static_cast<double>(p.d)) * std::log1p(squared / p.tails[k]);
}

// All rows x of the block lie in a ball |U^-1 (x - c)| <= R. With D = |W (c - mean)| and S = |W U|
// the triangle inequality gives D - S R <= |W (x - mean)| <= D + S R for each of them, hence bounds
// of every log joint density:
//
//     scale - (D + S R)^2 / 2  <=  log joint  <=  scale - max(0, D - S R)^2 / 2,
//
// and likewise of t components, whose density falls with the distance, too.
// The largest lower bound is one for the largest term of every row. A component whose upper bound
// lies below it by so much that its responsibility is negligible in every row is left out. Nothing
// is left out where a bound is not a number.
template <class Real>
void find_reached(const EStep& p, const Model<Real>& model, Block<Real>& b) {
    b.n_reached = p.K;
    for (std::size_t k = 0; k < p.K; ++k) b.reached[k] = k;
    if (!model.reach.bounded) return;
    Lanes<Real> squared[COLUMN / BYTES] = {};
    for (std::size_t j = 0; j < p.d; ++j) {
        const Real* column = b.turned + j * b.stride;
        Lanes<Real> sum = {};
        for (std::size_t v = 0; v < b.vectors(); ++v) sum += load(column + v * WIDTH<Real>);
        b.centre[j] = static_cast<double>(across<Real>(sum)) / static_cast<double>(b.rows);
        const Lanes<Real> c = fill(static_cast<Real>(b.centre[j])),
                          per_unit = fill(static_cast<Real>(1.0 / model.reach.unit[j]));
        b.centre[j] = static_cast<double>(c[0]);
        for (std::size_t v = 0; v < b.vectors(); ++v) {
            const Lanes<Real> away = (load(column + v * WIDTH<Real>) - c) * per_unit;
            squared[v] += away * away;
        }
    }
    double farthest = 0.0;
    for (std::size_t v = 0; v < b.vectors(); ++v)
        for (std::size_t i = 0; i < WIDTH<Real>; ++i)
            if (!(squared[v][i] <= farthest)) farthest = static_cast<double>(squared[v][i]);
    const double radius = std::sqrt(farthest) * (1.0 + SLACK);
    double certain = p.log_noise;
    for (std::size_t k = 0; k < p.K; ++k) {
        const double D =
            distance(p, b.centre, model.own.place + k * p.d, p.whitener + k * p.whitener_step);
        const double spread = model.reach.stretch[k] * radius + SLACK * D,
                     near = D > spread ? D - spread : 0.0, far = D + spread;
        b.bound[k] = level_at(p, k, near);
        const double least = level_at(p, k, far);
        if (least > certain) certain = least;
    }
    b.n_reached = 0;
    for (std::size_t k = 0; k < p.K; ++k)
        if (!(b.bound[k] < certain + static_cast<double>(model.negligible[k])))
            b.reached[b.n_reached++] = k;
}

// ---- responsibilities ---------------------------------------------------------------------------

// Log joint densities become weighted responsibilities: with the largest term taken out, s = sum_k
// exp(l_k - max), they are exp(l_k - max) / s. A row out of every component's reach is shared
// evenly. A noise term is one more constant term. Returns the weight of the rows in it.
template <class Real, bool noisy>
double soft_max(const Model<Real>& model, Block<Real>& b, double log_noise) {
    constexpr std::size_t S = SIDE_BY_SIDE, width = WIDTH<Real>;
    const std::size_t K = b.n_reached, vectors = b.vectors();
    const Lanes<Real> lowest = fill(Constants<Real>::lowest),
                      noise_level = fill(static_cast<Real>(log_noise));
    Lanes<Real> in_noise = {};
    for (std::size_t t = 0; t < K; ++t) {
        b.counts[t] = 0;
        b.negligible[t] = model.negligible[b.reached[t]];
    }
    for (std::size_t at = 0; at < b.rows; at += S * width) {
        Real* level = b.level + at;
        Lanes<Real> highest[S], top[S], sum[S] = {}, mean_exponent[S] = {}, noise[S] = {};
        each<S>([&](auto s) MIXTURA_INLINE {
            highest[s] = noisy ? noise_level : load(level + s * width);
        });
        for (std::size_t t = noisy ? 0 : 1; t < K; ++t)
            each<S>([&](auto s) MIXTURA_INLINE {
                const Lanes<Real> l = load(level + t * b.stride + s * width);
                highest[s] = l > highest[s] ? l : highest[s];
            });
        each<S>([&](auto s) MIXTURA_INLINE {
            const auto lost = !(highest[s] > fill(-Real(HUGE_VAL)));
            top[s] = lost ? Lanes<Real>{} : highest[s];
            if (any(lost))
                for (Real* l = level + s * width; l < level + K * b.stride; l += b.stride)
                    store(l, lost ? Lanes<Real>{} : load(l));
        });
        if constexpr (noisy) {
            each<S>([&](auto s) MIXTURA_INLINE {
                const Lanes<Real> l = noise_level - top[s];
                noise[s] = mean_exponent[s] = l > lowest ? l : lowest;
            });
            exponentials<Real, S>(noise);
            each<S>([&](auto s) MIXTURA_INLINE {
                noise[s] = mean_exponent[s] > lowest ? noise[s] : Lanes<Real>{};
                sum[s] = noise[s];
                mean_exponent[s] *= noise[s];
            });
        }
        std::size_t near = 0;
        for (std::size_t t = 0; t < K; ++t) {
            Real* out = level + t * b.stride;
            Lanes<Real> l[S], e[S];
            each<S>([&](auto s) MIXTURA_INLINE { l[s] = load(out + s * width) - top[s]; });
            auto counts = l[0] > b.negligible[t];
            each<S - 1>([&](auto s) MIXTURA_INLINE {
                counts |= l[s + 1] > b.negligible[t];
            });
            if (!any(counts)) continue;
            each<S>([&](auto s) MIXTURA_INLINE {
                e[s] = l[s] = l[s] > lowest ? l[s] : lowest;
            });
            exponentials<Real, S>(e);
            each<S>([&](auto s) MIXTURA_INLINE {
                e[s] = l[s] > b.negligible[t] ? e[s] : Lanes<Real>{};
                sum[s] += e[s];
                mean_exponent[s] += e[s] * l[s];
                store(out + s * width, e[s]);
                b.present[t * vectors + b.counts[t] + s] =
                    static_cast<std::uint16_t>(at + s * width);
            });
            b.counts[t] += S;
            b.near[near++] = t;
        }
        each<S>([&](auto s) MIXTURA_INLINE {
            const std::size_t here = at + s * width;
            const Lanes<Real> inverse = Real(1) / sum[s];
            store(b.highest + here, highest[s]);
            store(b.sum + here, sum[s]);
            store(b.exponent + here, mean_exponent[s] * inverse);
            top[s] = load(b.weight + here) * inverse;
            if constexpr (noisy) {
                const Lanes<Real> own = top[s] * noise[s];
                in_noise += own;
                store(b.kept + here, load(b.weight + here) - own);
            }
        });
        for (std::size_t i = 0; i < near; ++i) {
            Real* r = level + b.near[i] * b.stride;
            each<S>([&](auto s) MIXTURA_INLINE {
                store(r + s * width, load(r + s * width) * top[s]);
            });
        }
    }
    return static_cast<double>(across<Real>(in_noise));
}

// Of all rows, by weight: the log density max + log s, the entropy log s - sum_k exp(l_k - max)
// (l_k - max) / s, and the logarithm of the largest responsibility, -log s.
template <class Real>
void likelihoods(Block<Real>& b, Sums& sums) {
    constexpr std::size_t width = WIDTH<Real>;
    Lanes<Real> entropy = {}, certainty = {};
    for (std::size_t at = 0; at < b.rows; at += width) {
        const Lanes<Real> weight = load(b.weight + at), log_sum = logarithm<Real>(load(b.sum + at));
        store(b.highest + at,
              weight > Lanes<Real>{} ? weight * (load(b.highest + at) + log_sum) : Lanes<Real>{});
        entropy += weight * (log_sum - load(b.exponent + at));
        certainty -= weight * log_sum;
    }
    double partial[8] = {};
    for (std::size_t i = 0; i < b.rows; i += 8)
        for (std::size_t j = 0; j < 8; ++j) partial[j] += static_cast<double>(b.highest[i + j]);
    sums.log_likelihood += ((partial[0] + partial[4]) + (partial[2] + partial[6])) +
                           ((partial[1] + partial[5]) + (partial[3] + partial[7]));
    sums.entropy += static_cast<double>(across<Real>(entropy));
    sums.certainty += static_cast<double>(across<Real>(certainty));
}

// ---- moments ------------------------------------------------------------------------------------

// The sums of one component over the vectors in which it has weight.
template <class Real>
void scatter(const EStep& p, std::size_t k, Columns<Real> x, Present present, const Real* r,
             const Real* mean, Real* weighted, Sums& sums) {
    Target to{(p.tails ? sums.pulls : sums.counts) + k, sums.first + k * p.d, sums.second};
    if (p.pooled) return weighted_sums<Real>(x, present, r, mean, p.d, to);
    if (p.scatter == Scatter::dense) to.second += k * p.d * p.d;
    if (p.scatter == Scatter::diagonal) to.second += k * p.d;
    if (p.scatter == Scatter::trace) to.second += k;
    const bool matrix = p.scatter == Scatter::dense || p.scatter == Scatter::total;
    if (matrix)
        with_columns(
            p.d, [&](auto D) { dense_scatter<Real, D>(x, present, r, mean, p.d, weighted, to); });
    else axis_scatter<Real>(x, present, r, mean, p.d, p.scatter == Scatter::trace, to);
}

// The same in double, for a component of which single products would leave too little.
template <class Real>
void exact_scatter(const EStep& p, const Model<Real>& model, std::size_t k, Present present,
                   const Real* r, Block<Real>& b, Sums& sums) {
    std::size_t count = 0;
    for (std::size_t t = 0; t < present.count; ++t)
        for (std::size_t i = 0; i < WIDTH<Real>; i += WIDTH<double>) {
            const std::size_t at = present.at[t] + i;
            for (std::size_t lane = 0; lane < WIDTH<double>; ++lane)
                b.exact_level[at + lane] = static_cast<double>(r[at + lane]);
            b.exact_present[count++] = static_cast<std::uint16_t>(at);
        }
    scatter<double>(p, k, {b.exact, b.stride}, {b.exact_present, count}, b.exact_level,
                    model.exact.mean + k * p.d, b.exact_weighted, sums);
}

// The count and the falls of a t component; its responsibilities are then times its pulls.
inline void weigh_by_pulls(std::size_t k, Present present, double* r, const double* pull,
                           const double* fall, Sums& sums) {
    Lanes<double> count = {}, falls = {};
    for (std::size_t t = 0; t < present.count; ++t) {
        const std::size_t at = present.at[t];
        const Lanes<double> weight = load(r + at);
        count += weight;
        falls += weight * load(fall + at);
        store(r + at, weight * load(pull + at));
    }
    sums.counts[k] += across<double>(count);
    sums.falls[k] += across<double>(falls);
}

template <class Real>
void accumulate(const EStep& p, const Model<Real>& model, Block<Real>& b, Sums& sums) {
    const Columns<Real> x{b.x, b.stride};
    for (std::size_t t = 0; t < b.n_reached; ++t) {
        const std::size_t k = b.reached[t];
        const Present present{b.present + t * b.vectors(), b.counts[t]};
        if (present.count == 0) continue;
        Real* r = b.level + t * b.stride;
        if constexpr (!Model<Real>::single)
            if (p.tails)
                weigh_by_pulls(k, present, r, b.pull + t * b.stride, b.fall + t * b.stride, sums);
        if (model.beside && ill(p, k)) exact_scatter(p, model, k, present, r, b, sums);
        else scatter<Real>(p, k, x, present, r, model.own.mean + k * p.d, b.weighted, sums);
    }
    if (!p.pooled) return;
    for (std::size_t v = 0; v < b.vectors(); ++v)
        b.everywhere[v] = static_cast<std::uint16_t>(v * WIDTH<Real>);
    const Target to{b.nowhere, b.nowhere + 1, sums.second};
    with_columns(p.d, [&](auto D) {
        dense_scatter<Real, D>(x, {b.everywhere, b.vectors()}, b.kept, model.origin, p.d,
                               b.weighted, to);
    });
}

// Single means are rounded, and the sums are about what they are rounded to: exact algebra takes
// them to the given means.
void take_about_means(const EStep& p, const Model<float>& model, double* drift, Sums& sums) {
    const std::size_t d = p.d;
    for (std::size_t k = 0; k < p.K; ++k) {
        if (ill(p, k)) continue;
        const double n = sums.counts[k];
        double* first = sums.first + k * d;
        for (std::size_t j = 0; j < d; ++j)
            drift[j] =
                p.origin[j] + static_cast<double>(model.own.mean[k * d + j]) - p.means[k * d + j];
        if (!p.pooled)
            for (std::size_t i = 0; i < d; ++i) {
                const double own = 2.0 * first[i] * drift[i] + n * drift[i] * drift[i];
                if (p.scatter == Scatter::trace) sums.second[k] += own;
                else if (p.scatter == Scatter::diagonal) sums.second[k * d + i] += own;
                else {
                    double* second = sums.second + (p.scatter == Scatter::dense ? k * d * d : 0);
                    for (std::size_t j = 0; j <= i; ++j)
                        second[i * d + j] +=
                            first[i] * drift[j] + drift[i] * first[j] + n * drift[i] * drift[j];
                }
            }
        for (std::size_t j = 0; j < d; ++j) first[j] += n * drift[j];
    }
}

// ---- the entries --------------------------------------------------------------------------------

template <class Real>
void moments_of(const EStep& p, const void* memory, std::size_t begin, std::size_t end,
                void* workspace, Sums& sums) {
    const Model<Real> model(p, memory);
    Block<Real> b(p, model, workspace);
    const std::size_t most = block_rows<Real>(p);
    for (std::size_t at = begin; at < end; at += most) {
        load_block(p, model, at, end - at < most ? end - at : most, b);
        find_reached(p, model, b);
        levels(p, model, b);
        sums.noise += p.noisy() ? soft_max<Real, true>(model, b, p.log_noise)
                                : soft_max<Real, false>(model, b, 0.0);
        likelihoods(b, sums);
        accumulate(p, model, b, sums);
    }
    if constexpr (Model<Real>::single) take_about_means(p, model, b.centre, sums);
}

template <class Real>
std::size_t workspace_of(const EStep& p) {
    return Block<Real>(p, Model<Real>(p, nullptr), nullptr).size;
}

std::size_t model(const EStep& p) {
    return p.single_products ? Model<float>(p, nullptr).size : Model<double>(p, nullptr).size;
}

void prepare(const EStep& p, void* memory) {
    p.single_products ? Model<float>(p, memory).prepare(p) : Model<double>(p, memory).prepare(p);
}

std::size_t workspace(const EStep& p) {
    return p.single_products ? workspace_of<float>(p) : workspace_of<double>(p);
}

void moments(const EStep& p, const void* model, std::size_t begin, std::size_t end, void* workspace,
             Sums& sums) {
    p.single_products ? moments_of<float>(p, model, begin, end, workspace, sums)
                      : moments_of<double>(p, model, begin, end, workspace, sums);
}

void log_joint(const EStep& p, const void* memory, std::size_t begin, std::size_t end,
               void* workspace, double* out) {
    const Model<double> model(p, memory);
    Block<double> b(p, model, workspace);
    const std::size_t most = block_rows<double>(p);
    for (std::size_t at = begin; at < end; at += most) {
        const std::size_t m = end - at < most ? end - at : most;
        load_block(p, model, at, m, b);
        find_reached(p, model, b); // all of them: nothing is negligible here
        levels(p, model, b);
        for (std::size_t i = 0; i < m; ++i)
            for (std::size_t k = 0; k < p.K; ++k)
                out[(at + i) * p.K + k] = b.level[k * b.stride + i];
    }
}

template <class Real, Lanes<Real> function(Lanes<Real>)>
void of_all(const Real* x, std::size_t n, Real* out) {
    for (std::size_t i = 0; i + WIDTH<Real> <= n; i += WIDTH<Real>) {
        Lanes<Real> v;
        std::memcpy(&v, x + i, sizeof v);
        v = function(v);
        std::memcpy(out + i, &v, sizeof v);
    }
}

#define MIXTURA_QUOTED_(name) #name
#define MIXTURA_QUOTED(name) MIXTURA_QUOTED_(name)

} // namespace

extern const Kernels MIXTURA_OF_ISA(kernels);
const Kernels MIXTURA_OF_ISA(kernels) = {MIXTURA_QUOTED(MIXTURA_ISA_NAME),
                                         model,
                                         prepare,
                                         workspace,
                                         moments,
                                         log_joint,
                                         &MIXTURA_OF_ISA(without_rows),
                                         of_all<double, exponential<double>>,
                                         of_all<double, logarithm<double>>,
                                         of_all<float, exponential<float>>,
                                         of_all<float, logarithm<float>>};

} // namespace mixtura

// One pass over the rows: log densities with every row, and with it taken out of every component.
// Compiled once per instruction set, like e_step.cpp. A block of rows stands in lanes, and a
// component is worked on only in vectors of which some row touches it.

#include "effective.hpp"

#include "block.hpp"
#include "lanes.hpp"
#include "levels.hpp"
#include "model.hpp"
#include "products.hpp"

#include <algorithm>
#include <cmath>

namespace mixtura {
namespace {

constexpr double TINY = 0x1p-1022; // the smallest normal number
// Factors of which one logarithm is taken: each may be as small as `held_up`, and their product is
// still a normal number.
constexpr std::size_t FACTORS = 16;

using V = Lanes<double>;
constexpr std::size_t W = WIDTH<double>;

// ---- numbers in lanes ---------------------------------------------------------------------------

inline V smaller(V a, V b) { return a < b ? a : b; }
inline V larger(V a, V b) { return a > b ? a : b; }

inline V log_of(V x) { return x >= TINY ? logarithm<double>(x) : fill(-HUGE_VAL); }
inline V sqrt_of(V x) {
    for (std::size_t i = 0; i < W; ++i) x[i] = std::sqrt(x[i]);
    return x;
}
// x <= 0
inline V exp_of(V x) { return exponential<double>(larger(x, fill(Constants<double>::lowest))); }

// log(1 - q) for small q too: the rounding of 1 - q is divided out again.
inline V log_without(V q) {
    const V rest = 1.0 - q, taken = 1.0 - rest;
    return taken > 0.0 ? logarithm<double>(rest) * (q / (taken > 0.0 ? taken : fill(1.0))) : -q;
}

// ---- a component without one row ----------------------------------------------------------------

struct Scratch {
    Block<double> b;
    double *share, *loss;  // K x stride; per row
    double *centred, *z;   // d vectors
    double *square, *pole; // d vectors; d: of axes that rows turn
    // K x d: axes of each component, those of the largest spread first; d.
    std::size_t *order, *place;
    std::size_t size;

    Scratch(const EStep& p, const Model<double>& model, void* memory) : b(p, model, memory) {
        Pieces pieces{static_cast<char*>(memory), b.size};
        share = pieces.take<double>(p.K * b.stride);
        loss = pieces.take<double>(b.stride);
        centred = pieces.take<double>(p.d * W);
        z = pieces.take<double>(p.d * W);
        square = pieces.take<double>(p.d * W);
        pole = pieces.take<double>(p.d);
        order = pieces.take<std::size_t>(p.K * p.d);
        place = pieces.take<std::size_t>(p.d);
        size = pieces.used;
    }
};

// One component and one vector of rows; `square` is v' Sigma^-1 v of what the rows are about the
// mean.
struct Removal {
    const EStep& p;
    const OwnParts& own;
    Scratch& s;
    std::size_t k;
    V growth, lost, square;
    decltype(V{} > V{}) touched;

    const bool* free() const { return own.free + k * p.d; }
    double d() const { return static_cast<double>(p.d); }
    // Nothing is left where a row held the component up.
    V kept(V part) const { return part < 1.0 - own.limits.held_up ? 1.0 - part : V{}; }
    V z2(std::size_t j) const {
        const V z = load(s.z + j * W);
        return z * z;
    }
};

// v' Sigma^-1 v, and the change of log det Sigma, with the covariance of what is left.
struct Left {
    V distance, log_det;
};

bool all_free(const EStep& p, const OwnParts& own, std::size_t k) {
    for (std::size_t j = 0; j < p.d; ++j)
        if (!own.free[k * p.d + j]) return false;
    return true;
}

// Whether all that is asked of a row is how far it is from the mean.
bool by_distance(const EStep& p, const OwnParts& own, std::size_t k) {
    switch (own.kind) {
        case Own::nothing:
        case Own::volume:
        case Own::matrix_of_one_volume: return true;
        case Own::matrix: return all_free(p, own, k);
        default: return false;
    }
}

Left without_volume(const Removal& r) {
    const V part = r.growth * r.kept(r.lost * r.square / r.d());
    return {r.square / part, r.d() * log_of(part)};
}

Left without_axes(const Removal& r) {
    Left left{};
    for (std::size_t begin = 0; begin < r.p.d; begin += FACTORS) {
        V product = fill(1.0);
        for (std::size_t j = begin; j < r.p.d && j < begin + FACTORS; ++j) {
            const V part = r.free()[j] ? r.growth * r.kept(r.lost * r.z2(j)) : fill(1.0);
            left.distance += r.z2(j) / part;
            product *= part;
        }
        left.log_det += log_of(product);
    }
    return left;
}

Left without_shape(const Removal& r) {
    const V lost = r.lost / r.own.ratios[r.k];
    V distance = {}, log_parts = {};
    for (std::size_t begin = 0; begin < r.p.d; begin += FACTORS) {
        V product = fill(1.0);
        for (std::size_t j = begin; j < r.p.d && j < begin + FACTORS; ++j) {
            const V part = r.kept(lost * r.z2(j));
            distance += r.z2(j) / part;
            product *= part;
        }
        log_parts += log_of(product);
    }
    return {exp_of(log_parts / r.d()) * distance, V{}};
}

Left without_matrix(const Removal& r) {
    V free = r.square;
    double directions = r.d();
    for (std::size_t j = 0; j < r.p.d; ++j)
        if (!r.free()[j]) {
            free -= r.z2(j);
            directions -= 1.0;
        }
    const V part = r.kept(r.lost * free);
    return {free / (r.growth * part) + (r.square - free),
            directions * log_of(r.growth) + log_of(part)};
}

Left without_matrix_of_one_volume(const Removal& r) {
    const V part = r.kept(r.lost * r.square / r.own.ratios[r.k]);
    return {r.square / exp_of((1.0 - 1.0 / r.d()) * logarithm<double>(larger(part, fill(TINY)))),
            V{}};
}

// Of rows that turn the axes far: the distance after the turn, and the sum of spreads over
// variances that are left.
//
// With y = sqrt(sigma) z the scatter that is left is diag(omega) - lost y y'. Its eigenvalues lie
// one below each omega, where
//
//     1 / lost = sum_j y_j^2 / (omega_j - lambda),
//
// and the part of y along the eigenvector of each is 1 / (lost sqrt(sum_j y_j^2 / (omega_j -
// lambda)^2)): no matrix is ever made. Each root is taken about the nearer of its two poles, and
// found by steps that are exact for two of them (Li 1994, LAPACK working note 89).
struct Turn {
    const Removal& r;
    std::size_t m;            // axes along which the component has rows
    const std::size_t* place; // m: their places among all, the longest first
    const double* pole;       // m: omega, no two of them alike
    const V* square;          // m: of y

    // 1/lost - sum_j y_j^2 / (omega_j - shift - tau), and both parts of the sum with their
    // derivatives: poles above, poles below.
    struct Level {
        V value, above, steep_above, below, steep_below;
        V scale(V inverse) const { return inverse + above - below; }
    };

    Level level(std::size_t root, V shift, V tau, V inverse) const {
        Level f{};
        for (std::size_t j = 0; j < m; ++j) {
            const V one = 1.0 / ((pole[j] - shift) - tau), part = square[j] * one;
            V& sum = j <= root ? f.above : f.below;
            V& steep = j <= root ? f.steep_above : f.steep_below;
            sum += part;
            steep += part * one;
        }
        f.value = inverse - f.above - f.below;
        return f;
    }

    // How far on the root of the two poles' model is, whose parts agree with f and its derivatives
    // here.
    static V step(const Level& f, V upper, V lower, V inverse, bool last) {
        const V s = f.steep_above * upper * upper, a = f.above - f.steep_above * upper;
        if (last) return upper - s / (inverse - a);
        const V t = f.steep_below * lower * lower, b = f.below - f.steep_below * lower,
                c = inverse - a - b;
        const V half = c * (upper + lower) - s - t, product = upper * lower * f.value;
        const V root = sqrt_of(larger(half * half - 4.0 * c * product, V{}));
        return half > 0.0 ? (half + root) / (2.0 * c) : 2.0 * product / (half - root);
    }

    void go(V& distance, V& trace) const {
        constexpr int MOST_STEPS = 60;
        constexpr double ROUNDING = 0x1p-50;
        const V inverse = 1.0 / r.lost;
        V total = {};
        for (std::size_t j = 0; j < m; ++j) total += square[j];
        for (std::size_t root = 0; root < m; ++root) {
            const bool last = root + 1 == m;
            const V upper = fill(pole[root]),
                    lower = last ? upper - r.lost * total : fill(pole[root + 1]);
            V tau = 0.5 * (lower - upper);
            const V shift = last                                           ? upper
                            : level(root, upper, tau, inverse).value > 0.0 ? upper
                                                                           : lower;
            V low = lower - shift, high = upper - shift;
            tau = 0.5 * (low + high);
            Level f = level(root, shift, tau, inverse);
            for (int steps = 0; steps < MOST_STEPS; ++steps) {
                const V off = f.value < 0.0 ? -f.value : f.value;
                if (!any((off > ROUNDING * f.scale(inverse)) & r.touched)) break;
                low = f.value > 0.0 ? tau : low;
                high = f.value > 0.0 ? high : tau;
                const V next =
                    tau + step(f, (upper - shift) - tau, (lower - shift) - tau, inverse, last);
                const V before = tau;
                tau = (next > low) & (next < high) ? next : 0.5 * (low + high);
                if (!any((tau - before != 0.0) & r.touched)) break;
                f = level(root, shift, tau, inverse);
            }
            const double variance = r.own.variances[r.k * r.p.d + place[root]];
            const V left = shift + tau;
            distance += inverse * inverse / (f.steep_above + f.steep_below) / variance;
            trace += larger(left, V{}) / variance;
        }
    }
};

void turn_far(const Removal& r, decltype(V{} > V{}) far, V& distance, V& trace) {
    constexpr double APART = 0x1p-50, LEAST = 1e-30;
    const std::size_t d = r.p.d, *order = r.s.order + r.k * d;
    const double *sigma = r.own.variances + r.k * d, *omega = r.own.spreads + r.k * d;
    V all = {}, turned_distance = {}, turned_trace = {};
    for (std::size_t j = 0; j < d; ++j) all += sigma[j] * r.z2(j);
    std::size_t m = 0;
    // Along the others the component has no rows, and this one does not lie there.
    for (std::size_t i = 0; i < d; ++i) {
        const std::size_t j = order[i];
        if (!(omega[j] > r.own.limits.no_rows * sigma[j])) continue;
        r.s.place[m] = i, r.s.pole[m] = omega[j];
        store(r.s.square + m * W, larger(sigma[j] * r.z2(j), LEAST * all));
        ++m;
    }
    for (std::size_t i = m; i-- > 1;) // poles that are alike are moved apart by their rounding
        r.s.pole[i - 1] = std::fmax(r.s.pole[i - 1], r.s.pole[i] * (1.0 + APART));
    Removal here = r;
    here.touched = far;
    Turn{here, m, r.s.place, r.s.pole, reinterpret_cast<const V*>(r.s.square)}.go(turned_distance,
                                                                                  turned_trace);
    distance = far ? turned_distance : distance;
    trace = far ? turned_trace : trace;
}

Left without_orientation(const Removal& r) {
    const std::size_t d = r.p.d;
    const double *sigma = r.own.variances + r.k * d, *slope = r.own.slopes + r.k * d * d;
    V turned = {};
    for (std::size_t j = 1; j < d; ++j) { // slopes are symmetric, and of an axis with itself none
        V sum = {};
        for (std::size_t l = 0; l < j; ++l) sum += slope[j * d + l] * (sigma[l] * r.z2(l));
        turned += sigma[j] * r.z2(j) * sum;
    }
    const double ratio = r.own.ratios[r.k];
    V distance = r.square + 2.0 * r.lost * turned, trace = ratio * r.d() - r.lost * r.square;
    const auto far = (r.lost * r.square > r.own.limits.leverage * ratio) & r.touched;
    if (any(far)) turn_far(r, far, distance, trace);
    if (r.own.kind == Own::orientation) return {distance, V{}};
    const V part = r.growth * trace / (ratio * r.d());
    return {distance / part, r.d() * log_of(part)};
}

Left without(const Removal& r) {
    switch (r.own.kind) {
        case Own::volume:
            return all_free(r.p, r.own, r.k) ? without_volume(r) : Left{r.square, V{}};
        case Own::axes: return without_axes(r);
        case Own::shape: return without_shape(r);
        case Own::matrix: return without_matrix(r);
        case Own::matrix_of_one_volume: return without_matrix_of_one_volume(r);
        case Own::orientation:
        case Own::orientation_and_volume: return without_orientation(r);
        default: return {r.square, V{}};
    }
}

// z = frame (x - mean) for a vector of rows, with frames along the columns or with any; its squared
// length.
V along_columns(const double* frame, Columns<double> x, std::size_t at, std::size_t d,
                const double* mean, double* z) {
    V square = {};
    for (std::size_t j = 0; j < d; ++j) {
        const V one = (load(x[j] + at) - mean[j]) * frame[j];
        store(z + j * W, one);
        square += one * one;
    }
    return square;
}

template <std::size_t D>
V in_frame(const double* frame, Columns<double> x, std::size_t at, std::size_t d,
           const double* mean, double* centred, double* z) {
    V square = {};
    if constexpr (D > 0) { // in registers
        V c[D];
        each<D>([&](auto j) MIXTURA_INLINE { c[j] = load(x[j] + at) - mean[j]; });
        for (std::size_t i = 0; i < D; ++i) {
            V one = {};
            each<D>([&](auto j) MIXTURA_INLINE { one += frame[i * D + j] * c[j]; });
            store(z + i * W, one);
            square += one * one;
        }
        return square;
    }
    for (std::size_t j = 0; j < d; ++j) store(centred + j * W, load(x[j] + at) - mean[j]);
    for (std::size_t i = 0; i < d; ++i) {
        V one = {};
        for (std::size_t j = 0; j < d; ++j) one += frame[i * d + j] * load(centred + j * W);
        store(z + i * W, one);
        square += one * one;
    }
    return square;
}

V seen_in_frame(const EStep& p, const OwnParts& own, std::size_t k, std::size_t at, Scratch& s) {
    const double *mean = p.means + k * p.d, *frame = own.frames + k * own.frame_step;
    const Columns<double> x{s.b.x, s.b.stride};
    if (own.along_columns) return along_columns(frame, x, at, p.d, mean, s.z);
    V square = {};
    with_columns(p.d,
                 [&](auto D) { square = in_frame<D>(frame, x, at, p.d, mean, s.centred, s.z); });
    return square;
}

// Rows of a block by weight, the part of each that is left out at most being one.
inline V row_weight(const EStep& p, const OwnParts& own, const Block<double>& b, std::size_t at) {
    const V weight = load(b.weight + at);
    return p.weights ? weight / own.unit : weight;
}

// Log joint densities of one component become those without what it has of each row.
void take_out(const EStep& p, const OwnParts& own, std::size_t k, Scratch& s) {
    const bool simple = by_distance(p, own, k);
    const double count = own.counts[k], pulled = own.pulled[k], rows = own.rows[k];
    for (std::size_t at = 0; at < s.b.rows; at += W) {
        const V share = load(s.share + k * s.b.stride + at);
        const auto touched = share > own.limits.touched;
        if (!any(touched)) continue;
        const V level = load(s.b.level + k * s.b.stride + at);
        const V r = share * smaller(row_weight(p, own, s.b, at), fill(1.0)), left = count - r,
                stretch = pulled / (pulled - r);
        const V square = simple ? 2.0 * (p.log_scale[k] - level) : seen_in_frame(p, own, k, at, s);
        const Removal removal{p, own, s, k, rows / (rows - r), r * stretch / rows, square, touched};
        const Left now = without(removal);
        V change = -0.5 * (now.log_det + stretch * stretch * now.distance - square);
        if (own.own_weights) change += log_of(left / count);
        const auto stands = (left > own.limits.held_up * count) & (change - change == 0.0);
        change = stands ? change : fill(-HUGE_VAL);
        store(s.b.level + k * s.b.stride + at, touched ? level + change : level);
    }
}

// ---- log densities ------------------------------------------------------------------------------

// The logarithm of a sum over the components for a vector of rows, of log joint densities `stride`
// apart; -infinity where there is none. With `share`, also each one's part of the sum: even where
// there is none, as in an E-step. A `noise` level is one more term, where there is one.
V log_sum(std::size_t K, const double* level, double* share, std::size_t stride,
          const V* noise = nullptr) {
    V top = load(level), sum = {};
    for (std::size_t k = 1; k < K; ++k) top = larger(top, load(level + k * stride));
    if (noise) top = larger(top, *noise);
    const auto none = !(top > -HUGE_VAL);
    const V safe = none ? V{} : top;
    for (std::size_t k = 0; k < K; ++k) {
        const V e = none ? fill(1.0) : exp_of(load(level + k * stride) - safe);
        if (share) store(share + k * stride, e);
        sum += e;
    }
    if (noise) sum += exp_of(*noise - safe);
    const V inverse = 1.0 / sum;
    for (std::size_t k = 0; share && k < K; ++k)
        store(share + k * stride, load(share + k * stride) * inverse);
    return none ? top : top + logarithm<double>(sum);
}

// What each row of a block loses, by weight.
void losses_of_rows(const EStep& p, const OwnParts& own, Scratch& s) {
    const V level = fill(p.log_noise), *noise = p.noisy() ? &level : nullptr;
    for (std::size_t at = 0; at < s.b.rows; at += W)
        store(s.loss + at, log_sum(p.K, s.b.level + at, s.share + at, s.b.stride, noise));
    for (std::size_t k = 0; k < p.K; ++k) take_out(p, own, k, s);
    for (std::size_t at = 0; at < s.b.rows; at += W) {
        const V weight = row_weight(p, own, s.b, at), out = smaller(weight, fill(1.0));
        V own_noise = level; // the weight of the noise term without the row
        if (noise && own.own_weights) {
            const V share = exp_of(level - load(s.loss + at));
            own_noise += log_without(
                smaller(share * out / own.in_noise, fill(1.0 - own.limits.held_up)));
        }
        V left =
            log_sum(p.K, s.b.level + at, nullptr, s.b.stride, noise ? &own_noise : nullptr);
        if (own.own_weights)
            left -= log_without(smaller(out / own.total, fill(1.0 - own.limits.held_up)));
        const V gap = load(s.loss + at) - left;
        // Also where it is not a number.
        store(s.loss + at,
              weight * (gap < own.limits.largest_gap ? gap : fill(own.limits.largest_gap)));
    }
}

// ---- the entries --------------------------------------------------------------------------------

void losses(const EStep& p, const OwnParts& own, const void* memory, std::size_t begin,
            std::size_t end, void* workspace, double* out) {
    const Model<double> model(p, memory);
    Scratch s(p, model, workspace);
    const std::size_t most = block_rows<double>(p);
    for (std::size_t k = 0; own.spreads && k < p.K; ++k) {
        std::size_t* order = s.order + k * p.d;
        for (std::size_t j = 0; j < p.d; ++j) order[j] = j;
        std::stable_sort(order, order + p.d, [&](std::size_t a, std::size_t b) {
            return own.spreads[k * p.d + a] > own.spreads[k * p.d + b];
        });
    }
    s.b.n_reached = p.K;
    for (std::size_t k = 0; k < p.K; ++k) s.b.reached[k] = k;
    for (std::size_t at = begin; at < end; at += most) {
        load_block(p, model, at, end - at < most ? end - at : most, s.b);
        levels(p, model, s.b);
        losses_of_rows(p, own, s);
        for (std::size_t k = 0; k < p.K; ++k) {
            V sum = {};
            for (std::size_t i = 0; i < s.b.rows; i += W)
                sum += load(s.loss + i) * load(s.share + k * s.b.stride + i);
            out[k] += across<double>(sum);
        }
    }
}

std::size_t workspace(const EStep& p) {
    return Scratch(p, Model<double>(p, nullptr), nullptr).size;
}

} // namespace

const WithoutRows MIXTURA_OF_ISA(without_rows) = {workspace, losses};

} // namespace mixtura

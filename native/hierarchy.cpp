// Every live cluster has a slot, in the order of creation, and owns its pairs with the clusters
// created before it. Of those it remembers a lower bound of the cheapest cost (`bound`), the
// partner, and a lower bound of the second (`second`). A merge appends one slot and scans one row.
// The bounds of the other rows stay valid: their pairs only become fewer, and for EEE, where every
// merge changes every cost, costs can only rise (the adjugate of a growing pooled scatter grows,
// being similar to a compound matrix of it). So a row is scanned again only when its bound is the
// smallest. Memory is O(m d^2), not O(m^2).
//
// Ties: costs closer than rounding are equal; of equal pairs the one with the largest higher item
// goes first, then the one with the largest lower item. This file is built once, without fused
// operations, so that ties fall alike everywhere.

#include "hierarchy.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <new>
#include <utility>
#include <vector>

namespace mixtura {

namespace {

constexpr std::size_t LANES = 16; // clusters whose costs are computed side by side
constexpr double NONE = std::numeric_limits<double>::infinity();

// Lanes are independent and nothing is fused, so the width of the vectors changes the time and not
// one bit. Where the linker can choose between clones of a function, wide ones are made.
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#define MIXTURA_WIDE __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define MIXTURA_WIDE
#endif

// Determinants of LANES symmetric d x d matrices, lower triangles row by row, destroyed; `whole` is
// d x LANES of workspace. 0 where a pivot is no more than rounding. Columns are eliminated some at
// a time, so that what is right of them is read and written once for all of these, in the same
// order.
MIXTURA_WIDE void determinants(double* S, std::size_t d, double flat, double* whole, double* dets) {
    constexpr std::size_t AT_ONCE = 4;
    double diagonal[LANES], inverse[AT_ONCE][LANES], factor[AT_ONCE][LANES];
    const auto entry = [S](std::size_t a, std::size_t b) {
        return S + (a * (a + 1) / 2 + b) * LANES;
    };
    for (std::size_t l = 0; l < LANES; ++l) dets[l] = 1.0;
    for (std::size_t a = 0; a < d; ++a)
        for (std::size_t l = 0; l < LANES; ++l) whole[a * LANES + l] = entry(a, a)[l];
    for (std::size_t begin = 0; begin < d; begin += AT_ONCE) {
        const std::size_t end = std::min(begin + AT_ONCE, d);
        for (std::size_t k = begin; k < end; ++k) {
            const double* pivot = entry(k, k);
            double* own = inverse[k - begin];
            for (std::size_t l = 0; l < LANES; ++l) {
                diagonal[l] = pivot[l] > flat * whole[k * LANES + l] ? pivot[l] : 0.0;
                own[l] = diagonal[l] > 0.0 ? 1.0 / diagonal[l] : 0.0;
                dets[l] *= diagonal[l];
            }
            for (std::size_t a = k + 1; a < d; ++a) {
                for (std::size_t l = 0; l < LANES; ++l) factor[0][l] = entry(a, k)[l] * own[l];
                for (std::size_t b = k + 1; b <= a && b < end; ++b) {
                    const double* column = entry(b, k);
                    double* target = entry(a, b);
                    for (std::size_t l = 0; l < LANES; ++l) target[l] -= factor[0][l] * column[l];
                }
            }
        }
        for (std::size_t a = end; a < d; ++a) { // only after whole panels
            for (std::size_t c = 0; c < AT_ONCE; ++c)
                for (std::size_t l = 0; l < LANES; ++l)
                    factor[c][l] = entry(a, begin + c)[l] * inverse[c][l];
            for (std::size_t b = end; b <= a; ++b) {
                const double* columns = entry(b, begin);
                double* target = entry(a, b);
                for (std::size_t l = 0; l < LANES; ++l) {
                    double left = target[l];
                    for (std::size_t c = 0; c < AT_ONCE; ++c)
                        left -= factor[c][l] * columns[c * LANES + l];
                    target[l] = left;
                }
            }
        }
    }
}

// v' M v for LANES vectors, d x LANES.
MIXTURA_WIDE void forms(const double* M, const double* v, std::size_t d, double* out) {
    for (std::size_t l = 0; l < LANES; ++l) out[l] = 0.0;
    for (std::size_t a = 0; a < d; ++a) {
        const double* va = v + a * LANES;
        double inner[LANES];
        for (std::size_t l = 0; l < LANES; ++l) inner[l] = 0.5 * M[a * d + a] * va[l];
        for (std::size_t b = 0; b < a; ++b) {
            const double m = M[a * d + b], *vb = v + b * LANES;
            for (std::size_t l = 0; l < LANES; ++l) inner[l] += m * vb[l];
        }
        for (std::size_t l = 0; l < LANES; ++l) out[l] += 2.0 * inner[l] * va[l];
    }
}

// Eigenvalues and eigenvectors of a growing d x d matrix, by cyclic Jacobi rotations from where
// they last were.
class Pooled {
public:
    explicit Pooled(std::size_t d) : d(d), A(d * d), V(d * d), u(d), rest(d) {
        for (std::size_t a = 0; a < d; ++a) V[a * d + a] = 1.0;
    }

    void add(const double* S) { // a symmetric matrix, before any rotation
        for (std::size_t i = 0; i < d * d; ++i) A[i] += S[i];
    }

    void add(double factor, const double* v) {
        for (std::size_t a = 0; a < d; ++a) {
            u[a] = 0.0;
            for (std::size_t b = 0; b < d; ++b) u[a] += V[b * d + a] * v[b];
        }
        for (std::size_t a = 0; a < d; ++a)
            for (std::size_t b = 0; b < d; ++b) A[a * d + b] += factor * u[a] * u[b];
    }

    void diagonalise() {
        for (int sweep = 0; sweep < 60; ++sweep) {
            bool rotated = false;
            for (std::size_t p = 0; p < d; ++p)
                for (std::size_t q = p + 1; q < d; ++q) rotated |= rotate(p, q);
            if (!rotated) return;
        }
    }

    void adjugate(double* out) { // V diag(product of the other eigenvalues) V'
        for (std::size_t a = 0; a < d; ++a) {
            rest[a] = 1.0;
            for (std::size_t b = 0; b < d; ++b)
                if (b != a) rest[a] *= std::max(A[b * d + b], 0.0);
        }
        for (std::size_t a = 0; a < d; ++a)
            for (std::size_t b = 0; b < d; ++b) {
                double sum = 0.0;
                for (std::size_t c = 0; c < d; ++c) sum += V[a * d + c] * rest[c] * V[b * d + c];
                out[a * d + b] = sum;
            }
    }

private:
    bool rotate(std::size_t p, std::size_t q) {
        const double off = A[p * d + q], x = A[p * d + p], y = A[q * d + q];
        if (std::abs(off) <= 1e-16 * (std::abs(x) + std::abs(y)) || off == 0.0) return false;
        const double theta = (y - x) / (2.0 * off);
        const double t =
            (theta >= 0 ? 1.0 : -1.0) / (std::abs(theta) + std::sqrt(theta * theta + 1.0));
        const double c = 1.0 / std::sqrt(t * t + 1.0), s = t * c;
        for (std::size_t k = 0; k < d; ++k) {
            const double kp = A[k * d + p], kq = A[k * d + q];
            A[k * d + p] = c * kp - s * kq, A[k * d + q] = s * kp + c * kq;
        }
        for (std::size_t k = 0; k < d; ++k) {
            const double pk = A[p * d + k], qk = A[q * d + k];
            A[p * d + k] = c * pk - s * qk, A[q * d + k] = s * pk + c * qk;
        }
        A[p * d + q] = A[q * d + p] = 0.0;
        for (std::size_t k = 0; k < d; ++k) {
            const double kp = V[k * d + p], kq = V[k * d + q];
            V[k * d + p] = c * kp - s * kq, V[k * d + q] = s * kp + c * kq;
        }
        return true;
    }

    std::size_t d;
    std::vector<double> A, V, u, rest;
};

class Agglomeration {
public:
    explicit Agglomeration(const Items& items)
        : d(items.d), entries(items.criterion == Criterion::VVV ? d * (d + 1) / 2 : 0),
          capacity(items.m + items.m / 2 + LANES), criterion(items.criterion), shrink(items.shrink),
          units(items.units), rounding(items.rounding), counts(capacity), traces(capacity),
          terms(capacity), means(d * capacity), scatters(entries * capacity), lowest(capacity),
          ranks(capacity), alive(capacity + 1), bound(capacity), second(capacity),
          partner(capacity), fresh(capacity), row(capacity), apart(d * LANES),
          sums(entries * LANES), metric(d * d), diagonals(d * LANES), moved(capacity),
          pooled(criterion == Criterion::EEE ? d : 0) {
        for (std::size_t i = 0; i < items.m; ++i) enter(items, i);
        if (criterion == Criterion::EEE) measure();
    }

    void run(std::int64_t* merges, double* costs) {
        for (std::size_t r = 0; r < size; ++r) scan(r);
        for (std::size_t left = size; left > 1; --left, ++stage) {
            const auto [cost, i, j] = cheapest();
            *merges++ = std::min(lowest[i], lowest[j]), *merges++ = std::max(lowest[i], lowest[j]);
            *costs++ = cost;
            merge(i, j);
        }
    }

private:
    struct Pair {
        double cost;
        std::size_t i, j;
    };

    // ---- what a cluster is ----------------------------------------------------------------------

    void enter(const Items& items, std::size_t i) {
        const double* S = items.scatters ? items.scatters + i * d * d : nullptr;
        const std::size_t s = size++;
        counts[s] = items.counts[i], lowest[s] = static_cast<std::int64_t>(i), alive[s] = 1,
        ranks[s] = S ? d : 0;
        total += counts[s];
        for (std::size_t a = 0; a < d; ++a) means[a * capacity + s] = items.means[i * d + a];
        if (S) {
            for (std::size_t a = 0, e = 0; a < d; ++a) {
                traces[s] += S[a * d + a];
                if (entries)
                    for (std::size_t b = 0; b <= a; ++b)
                        scatters[e++ * capacity + s] = S[a * d + b];
            }
            if (criterion == Criterion::EEE) pooled.add(S);
        }
        terms[s] = term(s);
    }

    double term(std::size_t s) { // the cluster's part of the criterion
        if (criterion == Criterion::EII || criterion == Criterion::EEE) return 0.0;
        double det = 0.0;
        if (criterion == Criterion::VVV && ranks[s] >= d) {
            for (std::size_t e = 0; e < entries; ++e) {
                for (std::size_t l = 0; l < LANES; ++l) sums[e * LANES + l] = 0.0;
                sums[e * LANES] = scatters[e * capacity + s] / counts[s];
            }
            double dets[LANES];
            determinants(sums.data(), d, rounding.flat_pivot, diagonals.data(), dets);
            det = dets[0];
        }
        return counts[s] * std::log(units * det + (traces[s] + shrink) / counts[s]);
    }

    // ---- costs ----------------------------------------------------------------------------------

    // Costs of merging slot r with slots begin .. begin+LANES-1 (below r), into row[begin ...];
    // infinite for dead ones.
    void block_costs(std::size_t r, std::size_t begin) {
        const std::size_t width = std::min(LANES, r - begin);
        double square[LANES], f[LANES], n[LANES];
        for (std::size_t l = 0; l < LANES; ++l) {
            const std::size_t j = l < width ? begin + l : begin;
            n[l] = counts[r] + counts[j], f[l] = counts[r] * counts[j] / n[l], square[l] = 0.0;
        }
        for (std::size_t a = 0; a < d; ++a) {
            double* v = apart.data() + a * LANES;
            const double* from = means.data() + a * capacity;
            for (std::size_t l = 0; l < LANES; ++l)
                v[l] = from[l < width ? begin + l : begin] - from[r];
            for (std::size_t l = 0; l < LANES; ++l) square[l] += v[l] * v[l];
        }
        double out[LANES];
        if (criterion == Criterion::EII) {
            for (std::size_t l = 0; l < LANES; ++l) out[l] = f[l] * square[l];
        } else if (criterion == Criterion::EEE) {
            forms(metric.data(), apart.data(), d, out);
            for (std::size_t l = 0; l < LANES; ++l) out[l] = f[l] * (out[l] + square[l]) / total;
        } else {
            double dets[LANES] = {};
            if (criterion == Criterion::VVV && volume_matters(r, begin, width, n, f, square)) {
                for (std::size_t a = 0, e = 0; a < d; ++a)
                    for (std::size_t b = 0; b <= a; ++b, ++e) {
                        const double *from = scatters.data() + e * capacity,
                                     *va = apart.data() + a * LANES, *vb = apart.data() + b * LANES;
                        const double mine = from[r];
                        double* S = sums.data() + e * LANES;
                        for (std::size_t l = 0; l < LANES; ++l)
                            S[l] = (mine + from[l < width ? begin + l : begin] +
                                    f[l] * va[l] * vb[l]) /
                                   n[l];
                    }
                determinants(sums.data(), d, rounding.flat_pivot, diagonals.data(), dets);
            }
            for (std::size_t l = 0; l < width; ++l) {
                const std::size_t j = begin + l;
                if (!alive[j]) continue;
                const double det = ranks[r] + ranks[j] + 1 < d ? 0.0 : dets[l];
                out[l] =
                    n[l] * std::log(units * det +
                                    (traces[r] + traces[j] + f[l] * square[l] + shrink) / n[l]) -
                    terms[r] - terms[j];
            }
        }
        for (std::size_t l = 0; l < width; ++l) row[begin + l] = alive[begin + l] ? out[l] : NONE;
    }

    // Whether some determinant of the block is not 0 and, being at most (tr / d)^d, may be more
    // than rounding beside the trace.
    bool volume_matters(std::size_t r, std::size_t begin, std::size_t width, const double* n,
                        const double* f, const double* square) const {
        for (std::size_t l = 0; l < width; ++l) {
            const std::size_t j = begin + l;
            if (!alive[j] || ranks[r] + ranks[j] + 1 < d) continue;
            const double variance = (traces[r] + traces[j] + f[l] * square[l]) / n[l];
            double most = units;
            for (std::size_t a = 0; a < d; ++a) most *= variance / static_cast<double>(d);
            if (most > 1e-17 * (variance + shrink / n[l])) return true;
        }
        return false;
    }

    void measure() { // the derivative of units * det(P / N) by P / N
        pooled.diagonalise();
        pooled.adjugate(metric.data());
        const double scale = units * std::pow(1.0 / total, static_cast<double>(d) - 1.0);
        for (double& entry : metric) entry *= scale;
    }

    // ---- the cheapest pair ----------------------------------------------------------------------

    void costs_of(std::size_t r) {
        for (std::size_t begin = 0; begin < r; begin += LANES) block_costs(r, begin);
    }

    void scan(std::size_t r) {
        costs_of(r);
        bound[r] = second[r] = NONE;
        for (std::size_t j = 0; j < r; ++j) {
            if (row[j] < bound[r]) second[r] = bound[r], bound[r] = row[j], partner[r] = j;
            else if (row[j] < second[r]) second[r] = row[j];
        }
        fresh[r] = stage;
    }

    bool is_fresh(std::size_t r) const {
        return bound[r] == NONE ||
               (criterion == Criterion::EEE ? fresh[r] == stage : alive[partner[r]] != 0);
    }

    double resolution(std::size_t r) const { // what the arithmetic of the cheapest cost leaves open
        if (criterion == Criterion::EII || criterion == Criterion::EEE)
            return rounding.tie * bound[r];
        const std::size_t j = partner[r];
        return rounding.tie_of_logs * (std::abs(bound[r]) + 2.0 * std::abs(terms[r]) +
                                       2.0 * std::abs(terms[j]) + counts[r] + counts[j]);
    }

    std::pair<std::int64_t, std::int64_t> names(std::size_t i, std::size_t j) const {
        return {std::max(lowest[i], lowest[j]), std::min(lowest[i], lowest[j])};
    }

    Pair cheapest() {
        std::size_t best = first_row();
        while (!is_fresh(best)) {
            scan(best);
            best = first_row();
        }
        const double limit = bound[best] + resolution(best);
        Pair chosen{bound[best], best, partner[best]};
        for (std::size_t r = 0; r < size; ++r) {
            if (!alive[r] || bound[r] > limit) continue;
            if (!is_fresh(r)) scan(r);
            if (bound[r] > limit) continue;
            if (second[r] > limit) {
                consider(r, partner[r], bound[r], chosen);
                continue;
            }
            costs_of(r);
            for (std::size_t j = 0; j < r; ++j)
                if (row[j] <= limit) consider(r, j, row[j], chosen);
        }
        return chosen;
    }

    void consider(std::size_t i, std::size_t j, double cost, Pair& chosen) const {
        if (names(i, j) > names(chosen.i, chosen.j)) chosen = {cost, i, j};
    }

    std::size_t first_row() const {
        std::size_t best = 0;
        double least = NONE;
        for (std::size_t r = 0; r < size; ++r)
            if (alive[r] && (bound[r] < least || least == NONE)) least = bound[r], best = r;
        return best;
    }

    // ---- a merge --------------------------------------------------------------------------------

    void merge(std::size_t i, std::size_t j) {
        if (size == capacity) compact(i, j);
        const std::size_t s = size++;
        const double n = counts[i] + counts[j], f = counts[i] * counts[j] / n;
        double square = 0.0;
        for (std::size_t a = 0; a < d; ++a) {
            double* mean = means.data() + a * capacity;
            apart[a] = mean[j] - mean[i];
            square += apart[a] * apart[a];
            mean[s] = (counts[i] * mean[i] + counts[j] * mean[j]) / n;
        }
        for (std::size_t a = 0, e = 0; a < d && entries; ++a)
            for (std::size_t b = 0; b <= a; ++b, ++e) {
                double* S = scatters.data() + e * capacity;
                S[s] = S[i] + S[j] + f * apart[a] * apart[b];
            }
        counts[s] = n, traces[s] = traces[i] + traces[j] + f * square;
        lowest[s] = std::min(lowest[i], lowest[j]), ranks[s] = std::min(d, ranks[i] + ranks[j] + 1);
        alive[s] = 1, alive[i] = alive[j] = 0;
        if (criterion == Criterion::EEE) {
            pooled.add(f, apart.data());
            measure();
        }
        terms[s] = term(s);
        scan(s);
        fresh[s] = stage + 1; // `scan` ran before the stage was counted
    }

    void compact(std::size_t& i, std::size_t& j) { // live slots move together, in order
        std::size_t to = 0;
        for (std::size_t s = 0; s < size; ++s) {
            moved[s] = to;
            if (!alive[s]) continue;
            for (std::size_t a = 0; a < d; ++a) means[a * capacity + to] = means[a * capacity + s];
            for (std::size_t e = 0; e < entries; ++e)
                scatters[e * capacity + to] = scatters[e * capacity + s];
            counts[to] = counts[s], traces[to] = traces[s], terms[to] = terms[s],
            lowest[to] = lowest[s], ranks[to] = ranks[s];
            bound[to] = bound[s], second[to] = second[s], fresh[to] = fresh[s];
            // No slot has the number `capacity`: it is never alive.
            partner[to] = bound[s] == NONE ? 0 : alive[partner[s]] ? moved[partner[s]] : capacity;
            ++to;
        }
        for (std::size_t s = 0; s < capacity; ++s) alive[s] = s < to;
        i = moved[i], j = moved[j], size = to;
    }

    std::size_t d, entries, capacity, size = 0, stage = 0;
    Criterion criterion;
    double shrink, units, total = 0.0;
    Rounding rounding;
    std::vector<double> counts, traces, terms, means, scatters;
    std::vector<std::int64_t> lowest;
    std::vector<std::size_t> ranks;
    std::vector<char> alive;
    std::vector<double> bound, second;
    std::vector<std::size_t> partner, fresh;
    std::vector<double> row, apart, sums, metric, diagonals;
    std::vector<std::size_t> moved;
    Pooled pooled;
};

} // namespace

Outcome agglomerate(const Items& items, std::int64_t* merges, double* costs) noexcept {
    try {
        Agglomeration(items).run(merges, costs);
        return Outcome::done;
    } catch (const std::bad_alloc&) {
        return Outcome::out_of_memory;
    } catch (...) { // nothing else throws
        return Outcome::out_of_memory;
    }
}

} // namespace mixtura

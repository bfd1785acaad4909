// The E-step kernels. Compiled once per instruction set, each time with its own flags and its own MIXTURA_ISA_NAME.
//
// Points stand in lanes: a block of rows is transposed to columns, and every loop over lanes is a whole number of vectors.
// Distances and moments are taken about the component means (never about zero), so an offset of the data costs no digits.
// Sums inside a block run lane by lane and then across lanes in a fixed order: the same bits every time. Memberships of a
// block of rows exist while the block is worked on, and nowhere else.

#include "e_step.hpp"

#include "lanes.hpp"
#include "products.hpp"

#include <cmath>

namespace mixtura {
namespace {

// ---- sizes ---------------------------------------------------------------------------------------------------------

// Bytes of a column of a block: with 16 columns a block stays near the first-level cache. A constant of the problem, never read
// from the machine. Columns stand one vector further apart, so that they do not compete for the same lines of the cache.
constexpr std::size_t COLUMN = 2048, SHORT_COLUMN = 512, APART = 64;
constexpr std::size_t MANY = 256, WIDE = 64; // components, columns: from here on blocks are short

template <class Real>
std::size_t block_rows(const Problem& p) {
    return (p.K > MANY || p.d > WIDE ? SHORT_COLUMN : COLUMN) / sizeof(Real);
}

constexpr std::size_t GROUP = 4; // vectors: a last block is padded to a multiple of these, which every loop over lanes divides

constexpr std::size_t SIDE_BY_SIDE = 2; // vectors whose memberships are computed at once

constexpr std::size_t BOUNDED = 16; // components: from here on whole blocks are asked which components reach them
constexpr double SLACK = 1e-6;     // what rounding may do to a bound, as a part of it

// Memory handed out in pieces that begin at multiples of 64 bytes. Without memory it measures.
struct Pieces {
    char* memory;
    std::size_t used = 0;
    template <class T>
    T* take(std::size_t count) {
        T* piece = reinterpret_cast<T*>(memory + used);
        used += (count * sizeof(T) + 63) / 64 * 64;
        return piece;
    }
};

// ---- the model: what all rows are held against ---------------------------------------------------------------------

// In the precision of the products. Means are about the origin where products are single.
template <class Real>
struct Parameters {
    Real *mean, *place, *whitener, *scale; // K x d; K x d, where distances are taken; K x size; K
    std::size_t size;                      // of a whitener

    void lay_out(const Problem& p, Pieces& pieces) {
        size = p.form == Form::dense ? packed_size(p.d) : p.form == Form::diagonal ? p.d : 1;
        mean = pieces.take<Real>(p.K * p.d);
        place = p.turn ? pieces.take<Real>(p.K * p.d) : mean;
        whitener = pieces.take<Real>((p.whitener_step ? p.K : 1) * size);
        scale = pieces.take<Real>(p.K);
    }

    void prepare(const Problem& p, const double* origin) {
        constexpr double root_half = 0x1.6a09e667f3bcdp-1; // distances are halved squares
        for (std::size_t k = 0; k < p.K; ++k) {
            scale[k] = static_cast<Real>(p.log_scale[k]);
            for (std::size_t j = 0; j < p.d; ++j) {
                mean[k * p.d + j] = static_cast<Real>(p.means[k * p.d + j] - (origin ? origin[j] : 0.0));
                if (p.turn) place[k * p.d + j] = static_cast<Real>(p.turned_means[k * p.d + j]);
            }
        }
        for (std::size_t k = 0; k < (p.whitener_step ? p.K : 1); ++k) {
            const double* from = p.whitener + k * p.whitener_step;
            if (p.form == Form::dense) pack<Real>(from, p.d, whitener + k * size);
            else
                for (std::size_t j = 0; j < size; ++j) whitener[k * size + j] = static_cast<Real>(root_half * from[j]);
        }
    }

    const Real* whitener_of(const Problem& p, std::size_t k) const { return whitener + (p.whitener_step ? k * size : 0); }
};

// An upper bound of the largest singular value of W diag(unit), at most d^(1/32) times too large: the trace of the 16th power of
// its square, B = (W U)'(W U), is at least the 16th power of the largest eigenvalue of B and at most d times it.
double largest_stretch(const double* whitener, const double* unit, std::size_t d, double* B, double* squared) {
    for (std::size_t i = 0; i < d; ++i)
        for (std::size_t j = 0; j < d; ++j) {
            double sum = 0.0;
            for (std::size_t r = i > j ? i : j; r < d; ++r) sum += whitener[r * d + i] * whitener[r * d + j];
            B[i * d + j] = sum * unit[i] * unit[j];
        }
    double log_scale = 0.0, power = 1.0, norm = 0.0;
    for (int round = 0;; ++round) {
        norm = 0.0;
        for (std::size_t i = 0; i < d * d; ++i) norm += B[i] * B[i];
        if (!(norm > 0.0) || round == 3) break;
        norm = std::sqrt(norm);
        for (std::size_t i = 0; i < d * d; ++i) B[i] /= norm;
        log_scale += std::log(norm) / power;
        for (std::size_t i = 0; i < d; ++i)
            for (std::size_t j = 0; j < d; ++j) {
                double sum = 0.0;
                for (std::size_t r = 0; r < d; ++r) sum += B[i * d + r] * B[r * d + j];
                squared[i * d + j] = sum;
            }
        std::memcpy(B, squared, d * d * sizeof(double));
        power *= 2.0;
    }
    return norm > 0.0 ? std::exp(0.5 * (log_scale + 0.5 * std::log(norm) / power)) : 0.0;
}

// How far a component reaches, for the bounds on whole blocks; in double, about the given means.
struct Reach {
    double *unit, *stretch, *scratch; // d: what a column is measured in; K: |W U|
    bool bounded = false;

    void lay_out(const Problem& p, Pieces& pieces) {
        bounded = p.shares && p.K >= BOUNDED;
        if (!bounded) return;
        unit = pieces.take<double>(p.d);
        stretch = pieces.take<double>(p.K);
        scratch = pieces.take<double>(p.form == Form::dense ? 2 * p.d * p.d : 0);
    }

    void prepare(const Problem& p) {
        if (!bounded) return;
        const std::size_t d = p.d, forms = p.whitener_step ? p.K : 1;
        for (std::size_t j = 0; j < d; ++j) {
            double sum = 0.0; // mean squared length of what a step along the column becomes
            for (std::size_t k = 0; k < forms; ++k) {
                const double* w = p.whitener + k * p.whitener_step;
                if (p.form == Form::dense)
                    for (std::size_t i = j; i < d; ++i) sum += w[i * d + j] * w[i * d + j];
                else sum += p.form == Form::diagonal ? w[j] * w[j] : w[0] * w[0];
            }
            unit[j] = 1.0 / std::sqrt(sum / static_cast<double>(forms));
        }
        for (std::size_t k = 0; k < p.K; ++k) {
            const double* w = p.whitener + k * p.whitener_step;
            if (k > 0 && !p.whitener_step) stretch[k] = stretch[0];
            else if (p.form == Form::dense) stretch[k] = largest_stretch(w, unit, d, scratch, scratch + d * d);
            else {
                stretch[k] = 0.0;
                for (std::size_t j = 0; j < d; ++j) {
                    const double one = (p.form == Form::diagonal ? w[j] : w[0]) * unit[j];
                    if (one > stretch[k]) stretch[k] = one;
                }
            }
        }
    }
};

// Both precisions of a pass: `Real` is that of the products; double stands beside it for what float32 cannot hold.
template <class Real>
struct Model {
    static constexpr bool single = sizeof(Real) == sizeof(float);
    Parameters<Real> own;
    Parameters<double> exact;
    Reach reach;
    double* nothing;                   // d zeros, where some components are computed in double
    Real *negligible, *shift, *origin; // K; d: what columns are taken about; d: where the origin is in them
    bool beside = false;
    std::size_t size;

    Model(const Problem& p, const void* memory) {
        Pieces pieces{static_cast<char*>(const_cast<void*>(memory))};
        own.lay_out(p, pieces);
        for (std::size_t k = 0; single && k < p.K; ++k) beside |= p.ill_conditioned && p.ill_conditioned[k];
        if (beside) exact.lay_out(p, pieces);
        nothing = pieces.take<double>(beside ? p.d : 0);
        reach.lay_out(p, pieces);
        negligible = pieces.take<Real>(p.K);
        shift = pieces.take<Real>(p.d);
        origin = pieces.take<Real>(p.d);
        size = pieces.used;
    }

    void prepare(const Problem& p) {
        own.prepare(p, single ? p.origin : nullptr);
        if (beside) exact.prepare(p, nullptr);
        for (std::size_t j = 0; beside && j < p.d; ++j) nothing[j] = 0.0;
        reach.prepare(p);
        for (std::size_t k = 0; k < p.K; ++k) {
            const Real least = p.shares ? static_cast<Real>(std::log(LEFT_OUT * p.shares[k])) : Constants<Real>::lowest;
            negligible[k] = least > Constants<Real>::lowest ? least : Constants<Real>::lowest;
        }
        for (std::size_t j = 0; j < p.d; ++j) {
            const Real at = p.origin ? static_cast<Real>(p.origin[j]) : Real(0);
            shift[j] = single ? at : Real(0);
            origin[j] = single ? Real(0) : at;
        }
    }
};

// ---- a block of rows -----------------------------------------------------------------------------------------------

template <class Real>
struct Block {
    std::size_t stride, columns; // of a column in numbers; columns a block has room for
    Real *x, *turned;            // d x stride: the rows, transposed; the rows, turned
    Real *level;                 // K x stride: log joint densities, then responsibilities times weights, by place in `reached`
    Real *weight, *likelihood;   // per row; a weight is 0 past the last row
    Real *weighted;              // TILE x stride, for the scatter
    double *exact, *exact_level, *exact_weighted; // the same in double, where some components need it
    std::size_t *reached;        // K: components that reach the block
    Real *negligible;            // K: log of the smallest responsibility of each that counts
    std::uint16_t *present;      // K x vectors: where they have weight
    std::size_t *counts;         // K: in how many vectors
    std::uint16_t *everywhere, *exact_present; // all vectors; those of one component in double
    std::size_t *near;           // K: places of components that have weight in one vector
    double *centre, *highest;    // d; K: the bounds
    double *nowhere;             // 1 + d: a count and first moments that nobody reads
    std::size_t size, n_reached = 0, rows = 0;

    Block(const Problem& p, const Model<Real>& model, void* memory) {
        Pieces pieces{static_cast<char*>(memory)};
        const std::size_t most = block_rows<Real>(p), vectors = most / WIDTH<Real>;
        stride = most + APART / sizeof(Real);
        x = pieces.take<Real>(p.d * stride);
        turned = p.turn ? pieces.take<Real>(p.d * stride) : x;
        level = pieces.take<Real>(p.K * stride);
        weight = pieces.take<Real>(most);
        likelihood = pieces.take<Real>(most);
        weighted = pieces.take<Real>(TILE * stride);
        exact = pieces.take<double>(model.beside ? p.d * stride : 0);
        exact_level = pieces.take<double>(model.beside ? stride : 0);
        exact_weighted = pieces.take<double>(model.beside ? TILE * stride : 0);
        reached = pieces.take<std::size_t>(p.K);
        negligible = pieces.take<Real>(p.K);
        present = pieces.take<std::uint16_t>(p.K * vectors);
        counts = pieces.take<std::size_t>(p.K);
        everywhere = pieces.take<std::uint16_t>(vectors);
        exact_present = pieces.take<std::uint16_t>(model.beside ? most / WIDTH<double> : 0);
        near = pieces.take<std::size_t>(p.K);
        centre = pieces.take<double>(p.d);
        highest = pieces.take<double>(p.K);
        nowhere = pieces.take<double>(1 + p.d);
        size = pieces.used;
    }

    std::size_t vectors() const { return rows / WIDTH<Real>; }
};

// Columns from rows, about a point; rows past the last one are harmless copies of it. Squares of as many rows and columns as a
// vector has lanes are turned in registers; one that hangs over the end of a row reads into the next and keeps what is its own.
template <class Number, class Real>
void transpose(const Problem& p, std::size_t begin, std::size_t m, std::size_t rows, const Real* about, Real* out, std::size_t stride) {
    constexpr std::size_t width = WIDTH<Real>;
    typedef Number Piece __attribute__((vector_size(width * sizeof(Number))));
    const Number* from = static_cast<const Number*>(p.rows) + begin * p.d;
    const std::size_t readable = (p.n - begin) * p.d;
    for (std::size_t j = 0; j < p.d; j += width) {
        const std::size_t columns = p.d - j < width ? p.d - j : width;
        std::size_t i = 0;
        for (; i + width <= m && (i + width - 1) * p.d + j + width <= readable; i += width) {
            Lanes<Real> v[width];
            each<width>([&](auto r) MIXTURA_INLINE {
                Piece piece;
                std::memcpy(&piece, from + (i + r) * p.d + j, sizeof piece);
                v[r] = __builtin_convertvector(piece, Lanes<Real>);
            });
            turn_square<Real, 1>(v);
            each<width>([&](auto c) MIXTURA_INLINE { if (c < columns) store(out + (j + c) * stride + i, v[c] - about[j + c]); });
        }
        for (; i < rows; ++i)
            for (std::size_t c = j; c < j + columns; ++c)
                out[c * stride + i] = static_cast<Real>(from[(i < m ? i : m - 1) * p.d + c]) - about[c];
    }
}

// y = turn (x - origin).
template <class Real>
void turn(const Problem& p, const Model<Real>& model, Block<Real>& b) {
    for (std::size_t at = 0; at < b.rows; at += GROUP * WIDTH<Real>)
        for (std::size_t i = 0; i < p.d; ++i) {
            Lanes<Real> y[GROUP] = {};
            for (std::size_t j = 0; j < p.d; ++j) {
                const Lanes<Real> a = fill(static_cast<Real>(p.turn[i * p.d + j]));
                each<GROUP>([&](auto s) MIXTURA_INLINE {
                    y[s] += (load(b.x + j * b.stride + at + s * WIDTH<Real>) - model.origin[j]) * a;
                });
            }
            each<GROUP>([&](auto s) MIXTURA_INLINE { store(b.turned + i * b.stride + at + s * WIDTH<Real>, y[s]); });
        }
}

template <class Real>
void load_block(const Problem& p, const Model<Real>& model, std::size_t begin, std::size_t m, Block<Real>& b) {
    constexpr std::size_t group = GROUP * WIDTH<Real>;
    b.rows = (m + group - 1) / group * group;
    if (p.single) transpose<float>(p, begin, m, b.rows, model.shift, b.x, b.stride);
    else transpose<double>(p, begin, m, b.rows, model.shift, b.x, b.stride);
    if (model.beside) transpose<float>(p, begin, m, b.rows, model.nothing, b.exact, b.stride);
    for (std::size_t i = 0; i < m; ++i) b.weight[i] = p.weights ? static_cast<Real>(p.weights[begin + i]) : Real(1);
    for (std::size_t i = m; i < b.rows; ++i) b.weight[i] = Real(0);
    if (p.turn) turn(p, model, b);
}

// ---- which components reach a block ---------------------------------------------------------------------------------

// |W_k (x - mean_k)| for one point.
template <class Real>
double distance(const Problem& p, const double* point, const Real* mean, const double* w) {
    double sum = 0.0;
    for (std::size_t i = 0; i < p.d; ++i) {
        double y = 0.0;
        if (p.form == Form::dense)
            for (std::size_t j = 0; j <= i; ++j) y += w[i * p.d + j] * (point[j] - static_cast<double>(mean[j]));
        else y = w[p.form == Form::diagonal ? i : 0] * (point[i] - static_cast<double>(mean[i]));
        sum += y * y;
    }
    return std::sqrt(sum);
}

// All rows x of the block lie in a ball |U^-1 (x - c)| <= R. With D = |W (c - mean)| and S = |W U| the triangle inequality gives
// D - S R <= |W (x - mean)| <= D + S R for each of them, hence bounds of every log joint density:
//
//     scale - (D + S R)^2 / 2  <=  log joint  <=  scale - max(0, D - S R)^2 / 2.
//
// The largest lower bound is one for the largest term of every row. A component whose upper bound lies below it by so much that its
// responsibility is negligible in every row is left out. Nothing is left out where a bound is not a number.
template <class Real>
void find_reached(const Problem& p, const Model<Real>& model, Block<Real>& b) {
    b.n_reached = p.K;
    for (std::size_t k = 0; k < p.K; ++k) b.reached[k] = k;
    if (!model.reach.bounded) return;
    Lanes<Real> squared[COLUMN / BYTES] = {};
    for (std::size_t j = 0; j < p.d; ++j) {
        const Real* column = b.turned + j * b.stride;
        Lanes<Real> sum = {};
        for (std::size_t v = 0; v < b.vectors(); ++v) sum += load(column + v * WIDTH<Real>);
        b.centre[j] = static_cast<double>(across<Real>(sum)) / static_cast<double>(b.rows);
        const Lanes<Real> c = fill(static_cast<Real>(b.centre[j])), per_unit = fill(static_cast<Real>(1.0 / model.reach.unit[j]));
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
    double certain = -HUGE_VAL;
    for (std::size_t k = 0; k < p.K; ++k) {
        const double D = distance(p, b.centre, model.own.place + k * p.d, p.whitener + k * p.whitener_step);
        const double spread = model.reach.stretch[k] * radius + SLACK * D, near = D > spread ? D - spread : 0.0, far = D + spread;
        b.highest[k] = p.log_scale[k] - 0.5 * near * near;
        const double least = p.log_scale[k] - 0.5 * far * far;
        if (least > certain) certain = least;
    }
    b.n_reached = 0;
    for (std::size_t k = 0; k < p.K; ++k)
        if (!(b.highest[k] < certain + static_cast<double>(model.negligible[k]))) b.reached[b.n_reached++] = k;
}

// ---- log joint densities --------------------------------------------------------------------------------------------

template <class Real>
void dense_levels_of(Columns<Real> x, std::size_t rows, std::size_t d, const Real* mean, const Real* packed, Real scale, Real* out) {
    switch (d) {
        case 1: return dense_levels<Real, 1>(x, rows, d, mean, packed, scale, out);
        case 2: return dense_levels<Real, 2>(x, rows, d, mean, packed, scale, out);
        case 3: return dense_levels<Real, 3>(x, rows, d, mean, packed, scale, out);
        case 4: return dense_levels<Real, 4>(x, rows, d, mean, packed, scale, out);
        case 5: return dense_levels<Real, 5>(x, rows, d, mean, packed, scale, out);
        case 6: return dense_levels<Real, 6>(x, rows, d, mean, packed, scale, out);
        case 7: return dense_levels<Real, 7>(x, rows, d, mean, packed, scale, out);
        case 8: return dense_levels<Real, 8>(x, rows, d, mean, packed, scale, out);
        default: return dense_levels<Real, 0>(x, rows, d, mean, packed, scale, out);
    }
}

template <class Real>
void levels_of(const Problem& p, const Parameters<Real>& own, std::size_t k, Columns<Real> x, std::size_t rows, Real* out) {
    const Real *mean = own.place + k * p.d, *whitener = own.whitener_of(p, k);
    if (p.form == Form::dense) dense_levels_of<Real>(x, rows, p.d, mean, whitener, own.scale[k], out);
    else axis_levels<Real>(x, rows, p.d, mean, whitener, p.form == Form::diagonal, own.scale[k], out);
}

inline bool ill(const Problem& p, std::size_t k) { return p.ill_conditioned && p.ill_conditioned[k]; }

// level[t] = log weight_k + log N(x | k) with k = reached[t], for all rows.
template <class Real>
void levels(const Problem& p, const Model<Real>& model, Block<Real>& b) {
    for (std::size_t t = 0; t < b.n_reached; ++t) {
        const std::size_t k = b.reached[t];
        Real* out = b.level + t * b.stride;
        if (model.beside && ill(p, k)) {
            levels_of<double>(p, model.exact, k, {b.exact, b.stride}, b.rows, b.exact_level);
            for (std::size_t i = 0; i < b.rows; ++i) out[i] = static_cast<Real>(b.exact_level[i]);
        } else levels_of<Real>(p, model.own, k, {b.turned, b.stride}, b.rows, out);
    }
}

// ---- responsibilities -----------------------------------------------------------------------------------------------

// Log joint densities become weighted responsibilities. With the largest term taken out, s = sum_k exp(l_k - max):
// the log density is max + log s, the largest responsibility 1 / s, and the entropy of the row
// log s - sum_k exp(l_k - max) (l_k - max) / s. A row out of every component's reach is shared evenly.
template <class Real>
void soft_max(const Model<Real>& model, Block<Real>& b, Sums& sums) {
    constexpr std::size_t S = SIDE_BY_SIDE, width = WIDTH<Real>;
    const std::size_t K = b.n_reached, vectors = b.vectors();
    const Lanes<Real> lowest = fill(Constants<Real>::lowest);
    Lanes<Real> entropy = {}, certainty = {};
    for (std::size_t t = 0; t < K; ++t) {
        b.counts[t] = 0;
        b.negligible[t] = model.negligible[b.reached[t]];
    }
    for (std::size_t at = 0; at < b.rows; at += S * width) {
        Real* level = b.level + at;
        Lanes<Real> highest[S], top[S], sum[S] = {}, mean_exponent[S] = {};
        each<S>([&](auto s) MIXTURA_INLINE { highest[s] = load(level + s * width); });
        for (std::size_t t = 1; t < K; ++t)
            each<S>([&](auto s) MIXTURA_INLINE {
                const Lanes<Real> l = load(level + t * b.stride + s * width);
                highest[s] = l > highest[s] ? l : highest[s];
            });
        each<S>([&](auto s) MIXTURA_INLINE {
            const auto lost = !(highest[s] > fill(-Real(HUGE_VAL)));
            top[s] = lost ? Lanes<Real>{} : highest[s];
            if (any(lost))
                for (Real* l = level + s * width; l < level + K * b.stride; l += b.stride) store(l, lost ? Lanes<Real>{} : load(l));
        });
        std::size_t near = 0;
        for (std::size_t t = 0; t < K; ++t) {
            Real* out = level + t * b.stride;
            Lanes<Real> l[S], e[S];
            each<S>([&](auto s) MIXTURA_INLINE { l[s] = load(out + s * width) - top[s]; });
            auto counts = l[0] > b.negligible[t];
            each<S - 1>([&](auto s) MIXTURA_INLINE { counts |= l[s + 1] > b.negligible[t]; });
            if (!any(counts)) continue;
            each<S>([&](auto s) MIXTURA_INLINE { e[s] = l[s] = l[s] > lowest ? l[s] : lowest; });
            exponentials<Real, S>(e);
            each<S>([&](auto s) MIXTURA_INLINE {
                e[s] = l[s] > b.negligible[t] ? e[s] : Lanes<Real>{};
                sum[s] += e[s];
                mean_exponent[s] += e[s] * l[s];
                store(out + s * width, e[s]);
                b.present[t * vectors + b.counts[t] + s] = static_cast<std::uint16_t>(at + s * width);
            });
            b.counts[t] += S;
            b.near[near++] = t;
        }
        each<S>([&](auto s) MIXTURA_INLINE {
            const Lanes<Real> inverse = Real(1) / sum[s], weight = load(b.weight + at + s * width), log_s = logarithm<Real>(sum[s]);
            store(b.likelihood + at + s * width, weight > Lanes<Real>{} ? weight * (highest[s] + log_s) : Lanes<Real>{});
            entropy += weight * (log_s - mean_exponent[s] * inverse);
            certainty -= weight * log_s;
            top[s] = weight * inverse;
        });
        for (std::size_t i = 0; i < near; ++i) {
            Real* r = level + b.near[i] * b.stride;
            each<S>([&](auto s) MIXTURA_INLINE { store(r + s * width, load(r + s * width) * top[s]); });
        }
    }
    double partial[8] = {};
    for (std::size_t i = 0; i < b.rows; i += 8)
        for (std::size_t j = 0; j < 8; ++j) partial[j] += static_cast<double>(b.likelihood[i + j]);
    sums.log_likelihood += ((partial[0] + partial[4]) + (partial[2] + partial[6])) + ((partial[1] + partial[5]) + (partial[3] + partial[7]));
    sums.entropy += static_cast<double>(across<Real>(entropy));
    sums.certainty += static_cast<double>(across<Real>(certainty));
}

// ---- moments -------------------------------------------------------------------------------------------------------

template <class Real>
void dense_scatter_of(Columns<Real> x, Present present, const Real* r, const Real* mean, std::size_t d, Real* weighted, Target to) {
    switch (d) {
        case 1: return dense_scatter<Real, 1>(x, present, r, mean, d, weighted, to);
        case 2: return dense_scatter<Real, 2>(x, present, r, mean, d, weighted, to);
        case 3: return dense_scatter<Real, 3>(x, present, r, mean, d, weighted, to);
        case 4: return dense_scatter<Real, 4>(x, present, r, mean, d, weighted, to);
        case 5: return dense_scatter<Real, 5>(x, present, r, mean, d, weighted, to);
        case 6: return dense_scatter<Real, 6>(x, present, r, mean, d, weighted, to);
        case 7: return dense_scatter<Real, 7>(x, present, r, mean, d, weighted, to);
        case 8: return dense_scatter<Real, 8>(x, present, r, mean, d, weighted, to);
        default: return dense_scatter<Real, 0>(x, present, r, mean, d, weighted, to);
    }
}

// The sums of one component over the vectors in which it has weight.
template <class Real>
void scatter(const Problem& p, std::size_t k, Columns<Real> x, Present present, const Real* r, const Real* mean, Real* weighted, Sums& sums) {
    Target to{sums.counts + k, sums.first + k * p.d, sums.second};
    if (p.pooled) return weighted_sums<Real>(x, present, r, mean, p.d, to);
    if (p.scatter == Scatter::dense) to.second += k * p.d * p.d;
    if (p.scatter == Scatter::diagonal) to.second += k * p.d;
    if (p.scatter == Scatter::trace) to.second += k;
    const bool matrix = p.scatter == Scatter::dense || p.scatter == Scatter::total;
    if (matrix) dense_scatter_of<Real>(x, present, r, mean, p.d, weighted, to);
    else axis_scatter<Real>(x, present, r, mean, p.d, p.scatter == Scatter::trace, to);
}

// The same in double, for a component of which single products would leave too little.
template <class Real>
void exact_scatter(const Problem& p, const Model<Real>& model, std::size_t k, Present present, const Real* r, Block<Real>& b, Sums& sums) {
    std::size_t count = 0;
    for (std::size_t t = 0; t < present.count; ++t)
        for (std::size_t i = 0; i < WIDTH<Real>; i += WIDTH<double>) {
            const std::size_t at = present.at[t] + i;
            for (std::size_t lane = 0; lane < WIDTH<double>; ++lane) b.exact_level[at + lane] = static_cast<double>(r[at + lane]);
            b.exact_present[count++] = static_cast<std::uint16_t>(at);
        }
    scatter<double>(p, k, {b.exact, b.stride}, {b.exact_present, count}, b.exact_level, model.exact.mean + k * p.d, b.exact_weighted, sums);
}

template <class Real>
void accumulate(const Problem& p, const Model<Real>& model, Block<Real>& b, Sums& sums) {
    const Columns<Real> x{b.x, b.stride};
    for (std::size_t t = 0; t < b.n_reached; ++t) {
        const std::size_t k = b.reached[t];
        const Present present{b.present + t * b.vectors(), b.counts[t]};
        if (present.count == 0) continue;
        const Real* r = b.level + t * b.stride;
        if (model.beside && ill(p, k)) exact_scatter(p, model, k, present, r, b, sums);
        else scatter<Real>(p, k, x, present, r, model.own.mean + k * p.d, b.weighted, sums);
    }
    if (!p.pooled) return;
    for (std::size_t v = 0; v < b.vectors(); ++v) b.everywhere[v] = static_cast<std::uint16_t>(v * WIDTH<Real>);
    dense_scatter_of<Real>(x, {b.everywhere, b.vectors()}, b.weight, model.origin, p.d, b.weighted, {b.nowhere, b.nowhere + 1, sums.second});
}

// Single means are rounded, and the sums are about what they are rounded to: exact algebra takes them to the given means.
void take_about_means(const Problem& p, const Model<float>& model, double* drift, Sums& sums) {
    const std::size_t d = p.d;
    for (std::size_t k = 0; k < p.K; ++k) {
        if (ill(p, k)) continue;
        const double n = sums.counts[k];
        double* first = sums.first + k * d;
        for (std::size_t j = 0; j < d; ++j)
            drift[j] = p.origin[j] + static_cast<double>(model.own.mean[k * d + j]) - p.means[k * d + j];
        if (!p.pooled)
            for (std::size_t i = 0; i < d; ++i) {
                const double own = 2.0 * first[i] * drift[i] + n * drift[i] * drift[i];
                if (p.scatter == Scatter::trace) sums.second[k] += own;
                else if (p.scatter == Scatter::diagonal) sums.second[k * d + i] += own;
                else {
                    double* second = sums.second + (p.scatter == Scatter::dense ? k * d * d : 0);
                    for (std::size_t j = 0; j <= i; ++j)
                        second[i * d + j] += first[i] * drift[j] + drift[i] * first[j] + n * drift[i] * drift[j];
                }
            }
        for (std::size_t j = 0; j < d; ++j) first[j] += n * drift[j];
    }
}

// ---- the entries ---------------------------------------------------------------------------------------------------

template <class Real>
void moments_of(const Problem& p, const void* memory, std::size_t begin, std::size_t end, void* workspace, Sums& sums) {
    const Model<Real> model(p, memory);
    Block<Real> b(p, model, workspace);
    const std::size_t most = block_rows<Real>(p);
    for (std::size_t at = begin; at < end; at += most) {
        load_block(p, model, at, end - at < most ? end - at : most, b);
        find_reached(p, model, b);
        levels(p, model, b);
        soft_max(model, b, sums);
        accumulate(p, model, b, sums);
    }
    if constexpr (Model<Real>::single) take_about_means(p, model, b.centre, sums);
}

template <class Real>
std::size_t workspace_of(const Problem& p) {
    return Block<Real>(p, Model<Real>(p, nullptr), nullptr).size;
}

std::size_t model(const Problem& p) { return p.single_products ? Model<float>(p, nullptr).size : Model<double>(p, nullptr).size; }

void prepare(const Problem& p, void* memory) {
    p.single_products ? Model<float>(p, memory).prepare(p) : Model<double>(p, memory).prepare(p);
}

std::size_t workspace(const Problem& p) { return p.single_products ? workspace_of<float>(p) : workspace_of<double>(p); }

void moments(const Problem& p, const void* model, std::size_t begin, std::size_t end, void* workspace, Sums& sums) {
    p.single_products ? moments_of<float>(p, model, begin, end, workspace, sums) : moments_of<double>(p, model, begin, end, workspace, sums);
}

void log_joint(const Problem& p, const void* memory, std::size_t begin, std::size_t end, void* workspace, double* out) {
    const Model<double> model(p, memory);
    Block<double> b(p, model, workspace);
    const std::size_t most = block_rows<double>(p);
    for (std::size_t at = begin; at < end; at += most) {
        const std::size_t m = end - at < most ? end - at : most;
        load_block(p, model, at, m, b);
        find_reached(p, model, b); // all of them: nothing is negligible here
        levels(p, model, b);
        for (std::size_t i = 0; i < m; ++i)
            for (std::size_t k = 0; k < p.K; ++k) out[(at + i) * p.K + k] = b.level[k * b.stride + i];
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
#define MIXTURA_JOINED_(a, b) a##b
#define MIXTURA_JOINED(a, b) MIXTURA_JOINED_(a, b)

} // namespace

extern const Kernels MIXTURA_JOINED(kernels_, MIXTURA_ISA_NAME);
const Kernels MIXTURA_JOINED(kernels_, MIXTURA_ISA_NAME) = {
    MIXTURA_QUOTED(MIXTURA_ISA_NAME), model, prepare, workspace, moments, log_joint,
    of_all<double, exponential<double>>, of_all<double, logarithm<double>>, of_all<float, exponential<float>>, of_all<float, logarithm<float>>};

} // namespace mixtura

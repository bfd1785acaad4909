// The E-step kernels. Compiled once per instruction set, each time with its own flags and its own MIXTURA_ISA_NAME.
//
// Points stand in lanes: a block of ROWS rows is transposed to d x ROWS, and every loop over lanes is a whole number of
// vectors. Distances and moments are taken about the component means (never about zero), so an offset of the data costs
// no digits. Sums inside a block run lane by lane and then across lanes in a fixed order: the same bits every time.
//
// Everything lives in an unnamed namespace and no standard template is used: a weak symbol that was compiled for
// AVX-512 must never be linked into the path of a machine without it.

#include "e_step.hpp"

#include <cmath>
#include <cstdint>
#include <cstring>

namespace mixtura {
namespace {

// A vector is one register of the instruction set: GCC lowers wider ones through memory.
#if defined(__AVX512F__)
constexpr std::size_t WIDTH = 8;
#elif defined(__AVX__)
constexpr std::size_t WIDTH = 4;
#else
constexpr std::size_t WIDTH = 2;
#endif
typedef double Lanes __attribute__((vector_size(8 * WIDTH)));
typedef std::int64_t Bits __attribute__((vector_size(8 * WIDTH)));

constexpr std::size_t ROWS = 128;              // rows in a block: x of 16 columns fits the first-level cache
constexpr std::size_t VECTORS = ROWS / WIDTH;
constexpr std::size_t STRIP = 4;               // vectors kept in registers by the triangular product

inline Lanes fill(double value) { return Lanes{} + value; }

inline double across(Lanes v) { // pairwise, always in the same order
    double part[WIDTH];
    std::memcpy(part, &v, sizeof part);
    for (std::size_t half = WIDTH / 2; half > 0; half /= 2)
        for (std::size_t i = 0; i < half; ++i) part[i] += part[i + half];
    return part[0];
}

// exp(x) for x <= 0: 0 below -708, else within 2 units in the last place (tests/test_native.py measures it).
// x = n log 2 + r with |r| <= log(2)/2, Taylor to r^13 (remainder below 2^-57), 2^n into the exponent bits.
constexpr double LOWEST = -708.0;

inline Lanes exponential(Lanes x) {
    const Lanes lowest = fill(LOWEST);
    const Bits gone = x < lowest;
    x = gone ? lowest : x;
    const Lanes magic = fill(0x1.8p52);
    const Lanes shifted = x * 0x1.71547652b82fep+0 + magic;
    const Lanes n = shifted - magic;
    Lanes r = x - n * 0x1.62e42feep-1; // log 2 in two parts, the first short enough that n times it is exact
    r = r - n * 0x1.a39ef35793c76p-33;
    Lanes p = fill(1.0 / 6227020800.0);
    p = p * r + 1.0 / 479001600.0;
    p = p * r + 1.0 / 39916800.0;
    p = p * r + 1.0 / 3628800.0;
    p = p * r + 1.0 / 362880.0;
    p = p * r + 1.0 / 40320.0;
    p = p * r + 1.0 / 5040.0;
    p = p * r + 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    p = p * r + 1.0;
    p = p * r + 1.0;
    Bits bits, exponent;
    std::memcpy(&bits, &p, sizeof bits);
    std::memcpy(&exponent, &shifted, sizeof exponent);
    bits += exponent << 52;
    std::memcpy(&p, &bits, sizeof p);
    return gone ? Lanes{} : p;
}

// The parts of a workspace.
struct Workspace {
    Lanes* x;       // d x VECTORS: the block, transposed
    Lanes* centred; // d x VECTORS: about one mean
    Lanes* joint;   // K x VECTORS: log joint densities, then responsibilities times weights
    Lanes* weight;  // VECTORS: 0 in the lanes past the last row

    Workspace(double* memory, const Problem& p) {
        x = reinterpret_cast<Lanes*>(memory);
        centred = x + p.d * VECTORS;
        joint = centred + p.d * VECTORS;
        weight = joint + p.K * VECTORS;
    }
};

std::size_t workspace(const Problem& p) { return (2 * p.d + p.K + 1) * ROWS; }

template <class Real>
void transpose(const Problem& p, std::size_t begin, std::size_t m, Lanes* x) {
    const Real* rows = static_cast<const Real*>(p.rows) + begin * p.d;
    double* out = reinterpret_cast<double*>(x);
    for (std::size_t j = 0; j < p.d; ++j) {
        for (std::size_t i = 0; i < m; ++i) out[j * ROWS + i] = static_cast<double>(rows[i * p.d + j]);
        for (std::size_t i = m; i < ROWS; ++i) out[j * ROWS + i] = static_cast<double>(rows[j]); // a harmless copy
    }
}

void load(const Problem& p, std::size_t begin, std::size_t m, Workspace& w) {
    p.single ? transpose<float>(p, begin, m, w.x) : transpose<double>(p, begin, m, w.x);
    double* weight = reinterpret_cast<double*>(w.weight);
    for (std::size_t i = 0; i < ROWS; ++i) weight[i] = i < m ? (p.weights ? p.weights[begin + i] : 1.0) : 0.0;
}

void centre(const Problem& p, std::size_t k, Workspace& w) {
    const double* mean = p.means + k * p.d;
    for (std::size_t j = 0; j < p.d; ++j)
        for (std::size_t v = 0; v < VECTORS; ++v) w.centred[j * VECTORS + v] = w.x[j * VECTORS + v] - mean[j];
}

// squared += |W (x - mu)|^2, one strip of lanes at a time so that the product stays in registers.
void dense_distances(const Problem& p, const double* whitener, const Lanes* centred, Lanes* squared) {
    for (std::size_t s = 0; s < VECTORS; s += STRIP) {
        Lanes sum[STRIP] = {};
        for (std::size_t i = 0; i < p.d; ++i) {
            const double* row = whitener + i * p.d;
            Lanes y[STRIP] = {};
            for (std::size_t j = 0; j <= i; ++j)
                for (std::size_t v = 0; v < STRIP; ++v) y[v] += row[j] * centred[j * VECTORS + s + v];
            for (std::size_t v = 0; v < STRIP; ++v) sum[v] += y[v] * y[v];
        }
        for (std::size_t v = 0; v < STRIP; ++v) squared[s + v] = sum[v];
    }
}

// squared += sum_j (w_j (x_j - mu_j))^2; a spherical whitener is one number for all columns.
void diagonal_distances(const Problem& p, const double* whitener, const Lanes* centred, Lanes* squared) {
    const std::size_t step = p.form == Form::diagonal;
    for (std::size_t v = 0; v < VECTORS; ++v) squared[v] = Lanes{};
    for (std::size_t j = 0; j < p.d; ++j)
        for (std::size_t v = 0; v < VECTORS; ++v) {
            const Lanes y = centred[j * VECTORS + v] * whitener[j * step];
            squared[v] += y * y;
        }
}

// joint[k] = log weight_k + log N(x | k) for all lanes.
void joint_densities(const Problem& p, Workspace& w) {
    for (std::size_t k = 0; k < p.K; ++k) {
        centre(p, k, w);
        Lanes* joint = w.joint + k * VECTORS;
        const double* whitener = p.whitener + k * p.whitener_step;
        if (p.form == Form::dense) dense_distances(p, whitener, w.centred, joint);
        else diagonal_distances(p, whitener, w.centred, joint);
        for (std::size_t v = 0; v < VECTORS; ++v) joint[v] = p.log_scale[k] - 0.5 * joint[v];
    }
}

// Log joint densities become weighted responsibilities. With the largest term taken out, s = sum_k exp(l_k - max):
// the log density is max + log s, the largest responsibility 1 / s, and the entropy of the row
// log s - sum_k exp(l_k - max) (l_k - max) / s. A row out of every component's reach is shared evenly.
void soft_max(const Problem& p, Workspace& w, Sums& sums) {
    for (std::size_t v = 0; v < VECTORS; ++v) {
        Lanes highest = w.joint[v];
        for (std::size_t k = 1; k < p.K; ++k) {
            const Lanes l = w.joint[k * VECTORS + v];
            highest = l > highest ? l : highest;
        }
        const Bits lost = !(highest > fill(-__builtin_inf()));
        const Lanes top = lost ? Lanes{} : highest;
        Lanes s = {}, mean_exponent = {};
        for (std::size_t k = 0; k < p.K; ++k) {
            Lanes l = w.joint[k * VECTORS + v] - top;
            l = lost ? Lanes{} : (l > fill(LOWEST) ? l : fill(2 * LOWEST));
            const Lanes e = exponential(l);
            s += e;
            mean_exponent += e * l;
            w.joint[k * VECTORS + v] = e;
        }
        Lanes log_s;
        for (std::size_t i = 0; i < WIDTH; ++i) log_s[i] = std::log(s[i]);
        const Lanes weight = w.weight[v];
        const Bits counts = weight > Lanes{};
        const Lanes share = weight / s;
        for (std::size_t k = 0; k < p.K; ++k) w.joint[k * VECTORS + v] *= share;
        sums.log_likelihood += across(counts ? weight * (highest + log_s) : Lanes{});
        sums.entropy += across(weight * (log_s - mean_exponent / s));
        sums.certainty -= across(weight * log_s);
    }
}

inline double inner(const Lanes* a, const Lanes* b) {
    Lanes sum = {};
    for (std::size_t v = 0; v < VECTORS; ++v) sum += a[v] * b[v];
    return across(sum);
}

// second += sum over lanes of r (x_i - mu_i)(x_j - mu_j) for j <= i; four columns share the loads of one.
void dense_scatter(std::size_t d, const Lanes* r, const Lanes* centred, double* second) {
    for (std::size_t i = 0; i < d; ++i) {
        Lanes weighted[VECTORS];
        for (std::size_t v = 0; v < VECTORS; ++v) weighted[v] = r[v] * centred[i * VECTORS + v];
        std::size_t j = 0;
        for (; j + 3 <= i; j += 4) {
            const Lanes* c = centred + j * VECTORS;
            Lanes a = {}, b = {}, e = {}, f = {};
            for (std::size_t v = 0; v < VECTORS; ++v) {
                a += weighted[v] * c[v];
                b += weighted[v] * c[VECTORS + v];
                e += weighted[v] * c[2 * VECTORS + v];
                f += weighted[v] * c[3 * VECTORS + v];
            }
            double* out = second + i * d + j;
            out[0] += across(a);
            out[1] += across(b);
            out[2] += across(e);
            out[3] += across(f);
        }
        for (; j <= i; ++j) second[i * d + j] += inner(weighted, centred + j * VECTORS);
    }
}

void accumulate(const Problem& p, Workspace& w, Sums& sums) {
    for (std::size_t k = 0; k < p.K; ++k) {
        const Lanes* r = w.joint + k * VECTORS;
        Lanes count = {};
        for (std::size_t v = 0; v < VECTORS; ++v) count += r[v];
        sums.counts[k] += across(count);
        centre(p, k, w);
        for (std::size_t j = 0; j < p.d; ++j) {
            const Lanes* centred = w.centred + j * VECTORS;
            Lanes first = {}, second = {};
            for (std::size_t v = 0; v < VECTORS; ++v) {
                const Lanes weighted = r[v] * centred[v];
                first += weighted;
                second += weighted * centred[v];
            }
            sums.first[k * p.d + j] += across(first);
            if (p.scatter == Scatter::trace) sums.second[k] += across(second);
            if (p.scatter == Scatter::diagonal) sums.second[k * p.d + j] += across(second);
        }
        if (p.scatter == Scatter::total) dense_scatter(p.d, r, w.centred, sums.second);
        if (p.scatter == Scatter::dense) dense_scatter(p.d, r, w.centred, sums.second + k * p.d * p.d);
    }
}

void moments(const Problem& p, std::size_t begin, std::size_t end, double* memory, Sums& sums) {
    Workspace w(memory, p);
    for (std::size_t at = begin; at < end; at += ROWS) {
        load(p, at, end - at < ROWS ? end - at : ROWS, w);
        joint_densities(p, w);
        soft_max(p, w, sums);
        accumulate(p, w, sums);
    }
}

void log_joint(const Problem& p, std::size_t begin, std::size_t end, double* memory, double* out) {
    Workspace w(memory, p);
    for (std::size_t at = begin; at < end; at += ROWS) {
        const std::size_t m = end - at < ROWS ? end - at : ROWS;
        load(p, at, m, w);
        joint_densities(p, w);
        const double* joint = reinterpret_cast<const double*>(w.joint);
        for (std::size_t i = 0; i < m; ++i)
            for (std::size_t k = 0; k < p.K; ++k) out[(at + i) * p.K + k] = joint[k * ROWS + i];
    }
}

void exponential_of(const double* x, std::size_t n, double* out) {
    for (std::size_t i = 0; i + WIDTH <= n; i += WIDTH) {
        Lanes v;
        std::memcpy(&v, x + i, sizeof v);
        v = exponential(v);
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
    MIXTURA_QUOTED(MIXTURA_ISA_NAME), workspace, moments, log_joint, exponential_of};

} // namespace mixtura

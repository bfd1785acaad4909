// The Python module: check shapes, release the GIL, call.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include "axes.hpp"
#include "dense.hpp"
#include "hierarchy.hpp"
#include "runtime.hpp"
#include "volumes.hpp"

namespace nb = nanobind;
using namespace nb::literals;
using namespace mixtura;

using Rows = nb::ndarray<nb::ro, nb::numpy, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Vector = nb::ndarray<const double, nb::numpy, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Matrix = nb::ndarray<const double, nb::numpy, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using VectorOut = nb::ndarray<double, nb::numpy, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Cube = nb::ndarray<const double, nb::numpy, nb::ndim<3>, nb::c_contig, nb::device::cpu>;
using MatrixOut = nb::ndarray<double, nb::numpy, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using CubeOut = nb::ndarray<double, nb::numpy, nb::ndim<3>, nb::c_contig, nb::device::cpu>;
using Flags = nb::ndarray<const bool, nb::numpy, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using PairsOut = nb::ndarray<std::int64_t, nb::numpy, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

namespace {

void demand(bool held, const char* what) {
    if (!held) throw std::invalid_argument(what);
}

Scatter scatter_named(const std::string& name) {
    if (name == "trace") return Scatter::trace;
    if (name == "diagonal") return Scatter::diagonal;
    if (name == "total") return Scatter::total;
    if (name == "dense") return Scatter::dense;
    throw std::invalid_argument("scatter must be trace, diagonal, total or dense");
}

Problem problem(const Rows& rows, const Matrix& means, const Vector& log_scale, const Matrix& whitener) {
    Problem p{};
    p.rows = rows.data();
    p.single = rows.dtype() == nb::dtype<float>();
    demand(p.single || rows.dtype() == nb::dtype<double>(), "rows must be float64 or float32");
    p.n = rows.shape(0), p.d = rows.shape(1), p.K = means.shape(0);
    demand(p.d > 0 && p.K > 0, "rows need a column and means a row");
    demand(means.shape(1) == p.d, "means must have as many columns as rows");
    demand(log_scale.shape(0) == p.K, "log_scale must have one value per component");
    demand(whitener.shape(0) == p.K || whitener.shape(0) == 1, "whitener must have K rows or one");
    const std::size_t width = whitener.shape(1);
    demand(width == 1 || width == p.d || width == p.d * p.d, "whitener must be 1, d or d*d wide");
    p.form = width == 1 ? Form::spherical : width == p.d ? Form::diagonal : Form::dense;
    p.whitener_step = whitener.shape(0) == 1 ? 0 : width;
    p.means = means.data(), p.log_scale = log_scale.data(), p.whitener = whitener.data();
    return p;
}

// What shortens a pass; see Problem. All of it changes results by rounding only.
struct Shortcuts {
    std::optional<Vector> shares, origin;
    std::optional<Matrix> turn, turned_means;
    std::optional<Flags> ill_conditioned;
    bool pooled, single_products;

    void into(Problem& p) const {
        const auto vector = [&](const std::optional<Vector>& v, std::size_t size) -> const double* {
            demand(!v || v->shape(0) == size, "shares must have one value per component, the origin one per column");
            return v ? v->data() : nullptr;
        };
        p.shares = vector(shares, p.K), p.origin = vector(origin, p.d);
        demand(!turn == !turned_means, "turn and turned_means come together");
        if (turn) {
            demand(turn->shape(0) == p.d && turn->shape(1) == p.d && turned_means->shape(0) == p.K && turned_means->shape(1) == p.d,
                   "turn must be d x d and turned_means K x d");
            demand(p.form != Form::dense, "turned rows have spherical or diagonal whiteners");
            p.turn = turn->data(), p.turned_means = turned_means->data();
        }
        demand(!ill_conditioned || ill_conditioned->shape(0) == p.K, "ill_conditioned must have one value per component");
        p.ill_conditioned = ill_conditioned ? ill_conditioned->data() : nullptr;
        demand(!single_products || p.single, "single products are for float32 rows");
        demand(!pooled || p.scatter == Scatter::total, "only the total scatter can be pooled");
        demand((!turn && !pooled && !single_products) || p.origin, "turned rows, a pooled scatter and single products need an origin");
        p.pooled = pooled, p.single_products = single_products;
    }
};

void e_step(const Rows& rows, std::optional<Vector> weights, const Matrix& means, const Vector& log_scale, const Matrix& whitener,
            const std::string& scatter, VectorOut counts, MatrixOut first, VectorOut second, VectorOut likelihoods, std::size_t threads,
            std::optional<Vector> shares, std::optional<Vector> origin, std::optional<Matrix> turn, std::optional<Matrix> turned_means,
            bool pooled, bool single_products, std::optional<Flags> ill_conditioned) {
    Problem p = problem(rows, means, log_scale, whitener);
    p.scatter = scatter_named(scatter);
    demand(!weights || weights->shape(0) == p.n, "weights must have one value per row");
    p.weights = weights ? weights->data() : nullptr;
    Shortcuts{shares, origin, turn, turned_means, ill_conditioned, pooled, single_products}.into(p);
    const std::size_t size = p.scatter == Scatter::trace ? p.K : p.scatter == Scatter::diagonal ? p.K * p.d
                             : p.scatter == Scatter::total ? p.d * p.d : p.K * p.d * p.d;
    demand(counts.shape(0) == p.K && first.shape(0) == p.K && first.shape(1) == p.d && second.shape(0) == size &&
               likelihoods.shape(0) == 3, "outputs have the wrong shape");
    Sums total{counts.data(), first.data(), second.data(), 0.0, 0.0, 0.0};
    {
        nb::gil_scoped_release released;
        run_moments(p, threads, total);
    }
    double* out = likelihoods.data();
    out[0] = total.log_likelihood, out[1] = total.entropy, out[2] = total.certainty;
}

void log_joint(const Rows& rows, const Matrix& means, const Vector& log_scale, const Matrix& whitener, MatrixOut out,
               std::size_t threads) {
    const Problem p = problem(rows, means, log_scale, whitener);
    demand(out.shape(0) == p.n && out.shape(1) == p.K, "out must be n x K");
    nb::gil_scoped_release released;
    run_log_joint(p, threads, out.data());
}

// The elementary functions as the kernels compute them, element by element.
template <class Real>
using Numbers = nb::ndarray<const Real, nb::numpy, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
template <class Real>
using NumbersOut = nb::ndarray<Real, nb::numpy, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

template <class Real, void (*Kernels::*function)(const Real*, std::size_t, Real*)>
void elementwise(const Numbers<Real>& x, NumbersOut<Real> out) {
    demand(x.shape(0) == out.shape(0) && x.shape(0) % 16 == 0, "x and out must be of one length, a multiple of 16");
    (kernels().*function)(x.data(), x.shape(0), out.data());
}

double sweep(CubeOut turned, const Vector& counts, MatrixOut axes, bool equal_volumes, std::size_t turns, double negligible) {
    const std::size_t d = axes.shape(0), K = counts.shape(0);
    demand(turned.shape(0) == d && turned.shape(1) == d && turned.shape(2) == K && axes.shape(1) == d, "turned must be d x d x K, axes d x d");
    nb::gil_scoped_release released;
    return sweep_axes(turned.data(), counts.data(), axes.data(), d, K, equal_volumes, turns, negligible);
}

bool shared_volumes(const Rows& S, const Vector& counts, VectorOut lambdas, std::size_t d, std::size_t most_steps, double settled) {
    const std::size_t K = counts.shape(0), width = S.shape(1);
    demand(S.dtype() == nb::dtype<double>() && S.shape(0) == K && (width == d || width == d * d), "S must be K x d or K x d*d");
    demand(lambdas.shape(0) == K, "lambdas must have one value per component");
    nb::gil_scoped_release released;
    return volumes(static_cast<const double*>(S.data()), counts.data(), K, d, width != d, most_steps, settled, lambdas.data());
}

Criterion criterion_named(const std::string& name) {
    if (name == "EII") return Criterion::EII;
    if (name == "VII") return Criterion::VII;
    if (name == "EEE") return Criterion::EEE;
    if (name == "VVV") return Criterion::VVV;
    throw std::invalid_argument("criterion must be EII, VII, EEE or VVV");
}

void agglomerate_items(const Vector& counts, const Matrix& means, std::optional<Cube> scatters, const std::string& criterion, double shrink,
                       double units, PairsOut merges, VectorOut costs) {
    const std::size_t m = counts.shape(0), d = means.shape(1);
    demand(m > 0 && d > 0 && means.shape(0) == m, "means must have one row per count and a column");
    demand(!scatters || (scatters->shape(0) == m && scatters->shape(1) == d && scatters->shape(2) == d), "scatters must be m x d x d");
    demand(merges.shape(0) == m - 1 && merges.shape(1) == 2 && costs.shape(0) == m - 1, "outputs have the wrong shape");
    const Items items{counts.data(), means.data(), scatters ? scatters->data() : nullptr, m, d, criterion_named(criterion), shrink, units};
    Outcome outcome;
    {
        nb::gil_scoped_release released;
        outcome = agglomerate(items, merges.data(), costs.data());
    }
    if (outcome == Outcome::out_of_memory) throw std::bad_alloc();
}

// Inverse Cholesky factors; the index of the first matrix that is not positive definite, or -1.
std::ptrdiff_t whiteners(const Cube& matrices, CubeOut out) {
    const std::size_t F = matrices.shape(0), d = matrices.shape(1), size = d * d;
    demand(matrices.shape(2) == d && out.shape(0) == F && out.shape(1) == d && out.shape(2) == d, "shapes differ");
    nb::gil_scoped_release released;
    std::vector<double> factor(size);
    for (std::size_t k = 0; k < F; ++k) {
        std::copy_n(matrices.data() + k * size, size, factor.data());
        if (!cholesky(factor.data(), d)) return static_cast<std::ptrdiff_t>(k);
        invert_lower(factor.data(), d, out.data() + k * size);
    }
    return -1;
}

// Whether all eigenvalues of every matrix, in units of `scale`, are above its bound; the first that fails, or -1.
std::ptrdiff_t first_below(const Cube& matrices, const Vector& scale, const Vector& bounds) {
    const std::size_t F = matrices.shape(0), d = matrices.shape(1), size = d * d;
    demand(matrices.shape(2) == d && scale.shape(0) == d && bounds.shape(0) == F, "shapes differ");
    nb::gil_scoped_release released;
    std::vector<double> shifted(size);
    for (std::size_t k = 0; k < F; ++k) {
        std::copy_n(matrices.data() + k * size, size, shifted.data());
        for (std::size_t j = 0; j < d; ++j) shifted[j * d + j] -= bounds.data()[k] * scale.data()[j];
        if (!cholesky(shifted.data(), d)) return static_cast<std::ptrdiff_t>(k);
    }
    return -1;
}

std::map<std::string, std::string> build_info() {
    std::string names;
    for (const std::string& name : built()) names += (names.empty() ? "" : ", ") + name;
    return {{"isa", kernels().name}, {"built", names}, {"compiler", MIXTURA_COMPILER}};
}

} // namespace

NB_MODULE(_native, m) {
    m.doc() = "C++ kernels of mixtura; use mixtura.backends.NativeBackend.";
    kernels(); // a wrong MIXTURA_ISA is said at import, not in the middle of a fit
    m.def("e_step", &e_step, "rows"_a.noconvert(), "weights"_a.none().noconvert(), "means"_a.noconvert(), "log_scale"_a.noconvert(),
          "whitener"_a.noconvert(), "scatter"_a, "counts"_a.noconvert(), "first"_a.noconvert(), "second"_a.noconvert(),
          "likelihoods"_a.noconvert(), "threads"_a, "shares"_a.none().noconvert() = nb::none(), "origin"_a.none().noconvert() = nb::none(),
          "turn"_a.none().noconvert() = nb::none(), "turned_means"_a.none().noconvert() = nb::none(), "pooled"_a = false,
          "single_products"_a = false, "ill_conditioned"_a.none().noconvert() = nb::none(),
          "The moments of the rows under a mixture.");
    m.def("log_joint", &log_joint, "rows"_a.noconvert(), "means"_a.noconvert(), "log_scale"_a.noconvert(), "whitener"_a.noconvert(),
          "out"_a.noconvert(), "threads"_a, "Log joint densities of rows and components.");
    m.def("agglomerate", &agglomerate_items, "counts"_a.noconvert(), "means"_a.noconvert(), "scatters"_a.none().noconvert(),
          "criterion"_a, "shrink"_a, "units"_a, "merges"_a.noconvert(), "costs"_a.noconvert(),
          "Merge items, cheapest pair first; a cluster is named by its lowest item.");
    m.def("exponential", &elementwise<double, &Kernels::exponential>, "x"_a.noconvert(), "out"_a.noconvert(), "exp(x) for -708 <= x <= 0.");
    m.def("exponential", &elementwise<float, &Kernels::exponential_single>, "x"_a.noconvert(), "out"_a.noconvert());
    m.def("logarithm", &elementwise<double, &Kernels::logarithm>, "x"_a.noconvert(), "out"_a.noconvert(), "log(x) for normal x > 0.");
    m.def("logarithm", &elementwise<float, &Kernels::logarithm_single>, "x"_a.noconvert(), "out"_a.noconvert());
    m.def("sweep_axes", &sweep, "turned"_a.noconvert(), "counts"_a.noconvert(), "axes"_a.noconvert(), "equal_volumes"_a, "turns"_a,
          "negligible"_a, "Turn every plane of two common axes once, in place; the largest turn in radians.");
    m.def("volumes", &shared_volumes, "S"_a.noconvert(), "counts"_a.noconvert(), "lambdas"_a.noconvert(), "d"_a, "most_steps"_a,
          "settled"_a, "Volumes of components that share shape and orientation; False where the evidence is singular.");
    m.def("whiteners", &whiteners, "matrices"_a.noconvert(), "out"_a.noconvert(),
          "Inverse Cholesky factors; the first singular matrix, or -1.");
    m.def("first_below", &first_below, "matrices"_a.noconvert(), "scale"_a.noconvert(), "bounds"_a.noconvert(),
          "The first matrix with an eigenvalue, in units of scale, at most its bound; or -1.");
    m.def("build_info", &build_info, "Instruction set in use, those compiled in, and the compiler.");
}

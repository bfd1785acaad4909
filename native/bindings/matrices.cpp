// Factors and eigenvalues of small matrices.

#include <algorithm>
#include <vector>

#include "../convergence_rate.hpp"
#include "../dense.hpp"
#include "arrays.hpp"

namespace mixtura {
namespace {

// Inverse Cholesky factors; the index of the first matrix that is not positive definite, or -1.
std::ptrdiff_t whiteners(const Cube& matrices, CubeOut out) {
    const std::size_t F = matrices.shape(0), d = matrices.shape(1), size = d * d;
    demand(matrices.shape(2) == d && out.shape(0) == F && out.shape(1) == d && out.shape(2) == d,
           "shapes differ");
    nb::gil_scoped_release released;
    std::vector<double> factor(size);
    for (std::size_t k = 0; k < F; ++k) {
        std::copy_n(matrices.data() + k * size, size, factor.data());
        if (!cholesky(factor.data(), d)) return static_cast<std::ptrdiff_t>(k);
        invert_lower(factor.data(), d, out.data() + k * size);
    }
    return -1;
}

// Whether all eigenvalues of every matrix, in units of `scale`, are above its bound; the first that
// fails, or -1.
std::ptrdiff_t first_below(const Cube& matrices, const Vector& scale, const Vector& bounds) {
    const std::size_t F = matrices.shape(0), d = matrices.shape(1), size = d * d;
    demand(matrices.shape(2) == d && scale.shape(0) == d && bounds.shape(0) == F, "shapes differ");
    nb::gil_scoped_release released;
    std::vector<double> shifted(size);
    for (std::size_t k = 0; k < F; ++k) {
        std::copy_n(matrices.data() + k * size, size, shifted.data());
        for (std::size_t j = 0; j < d; ++j)
            shifted[j * d + j] -= bounds.data()[k] * scale.data()[j];
        if (!cholesky(shifted.data(), d)) return static_cast<std::ptrdiff_t>(k);
    }
    return -1;
}

double largest_real(const Matrix& hessenberg) {
    demand(hessenberg.shape(0) == hessenberg.shape(1), "the matrix must be square");
    Numbers used(hessenberg.data(), hessenberg.data() + hessenberg.size());
    return largest_real_part(used.data(), hessenberg.shape(0));
}

} // namespace

void bind_matrices(nb::module_& m) {
    m.def("whiteners", &whiteners, array("matrices"), array("out"),
          "Inverse Cholesky factors; the first singular matrix, or -1.");
    m.def("first_below", &first_below, array("matrices"), array("scale"), array("bounds"),
          "The first matrix with an eigenvalue, in units of scale, at most its bound; or -1.");
    m.def("largest_real_part", &largest_real, array("hessenberg"),
          "The largest real part of a Hessenberg matrix's eigenvalues.");
}

} // namespace mixtura

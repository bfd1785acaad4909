// Common axes and volumes: the iterations inside the M-step of some families.

#include "../axes.hpp"
#include "../volumes.hpp"
#include "arrays.hpp"

namespace mixtura {
namespace {

double sweep(CubeOut turned, const Vector& counts, MatrixOut axes, bool equal_volumes,
             std::size_t turns, double negligible) {
    const std::size_t d = axes.shape(0), K = counts.shape(0);
    demand(turned.shape(0) == d && turned.shape(1) == d && turned.shape(2) == K &&
               axes.shape(1) == d,
           "turned must be d x d x K, axes d x d");
    nb::gil_scoped_release released;
    return sweep_axes(turned.data(), counts.data(), axes.data(), d, K, equal_volumes, turns,
                      negligible);
}

double newton(CubeOut turned, const Vector& counts, MatrixOut axes, bool equal_volumes,
              double farthest, double trusted) {
    const std::size_t d = axes.shape(0), K = counts.shape(0);
    demand(turned.shape(0) == d && turned.shape(1) == d && turned.shape(2) == K &&
               axes.shape(1) == d,
           "turned must be d x d x K, axes d x d");
    nb::gil_scoped_release released;
    return newton_axes(turned.data(), counts.data(), axes.data(), d, K, equal_volumes, farthest,
                       trusted);
}

bool shared_volumes(const Matrix& S, const Vector& counts, VectorOut lambdas, std::size_t d,
                    std::size_t most_steps, double settled, double near) {
    const std::size_t K = counts.shape(0), width = S.shape(1);
    demand(S.shape(0) == K && (width == d || width == d * d), "S must be K x d or K x d*d");
    demand(lambdas.shape(0) == K, "lambdas must have one value per component");
    nb::gil_scoped_release released;
    return volumes(S.data(), counts.data(), K, d, width != d,
                   VolumeSearch{most_steps, settled, near}, lambdas.data());
}

} // namespace

void bind_families(nb::module_& m) {
    m.def("sweep_axes", &sweep, array("turned"), array("counts"), array("axes"), "equal_volumes"_a,
          "turns"_a, "negligible"_a,
          "Turn every plane of two common axes once, in place; the largest turn in radians.");
    m.def("newton_axes", &newton, array("turned"), array("counts"), array("axes"),
          "equal_volumes"_a, "farthest"_a, "trusted"_a,
          "One step of Newton's method for common axes, in place; the largest turn in radians, or "
          "infinity where it is not taken.");
    m.def("volumes", &shared_volumes, array("S"), array("counts"), array("lambdas"), "d"_a,
          "most_steps"_a, "settled"_a, "near"_a,
          "Volumes of components that share shape and orientation; False where the evidence is "
          "singular.");
}

} // namespace mixtura

// Model-based agglomeration.

#include <new>

#include "../hierarchy.hpp"
#include "arrays.hpp"

namespace mixtura {
namespace {

using Merges = Taken<std::int64_t, nb::ndim<2>>;

Criterion criterion_named(const std::string& name) {
    if (name == "EII") return Criterion::EII;
    if (name == "VII") return Criterion::VII;
    if (name == "EEE") return Criterion::EEE;
    if (name == "VVV") return Criterion::VVV;
    throw std::invalid_argument("criterion must be EII, VII, EEE or VVV");
}

void agglomerate_items(const Vector& counts, const Matrix& means, std::optional<Cube> scatters,
                       const std::string& criterion, double shrink, double units, double flat_pivot,
                       double tie, double tie_of_logs, Merges merges, VectorOut costs) {
    const std::size_t m = counts.shape(0), d = means.shape(1);
    demand(m > 0 && d > 0 && means.shape(0) == m, "means must have one row per count and a column");
    demand(!scatters ||
               (scatters->shape(0) == m && scatters->shape(1) == d && scatters->shape(2) == d),
           "scatters must be m x d x d");
    demand(merges.shape(0) == m - 1 && merges.shape(1) == 2 && costs.shape(0) == m - 1,
           "outputs have the wrong shape");
    const Items items{counts.data(),
                      means.data(),
                      scatters ? scatters->data() : nullptr,
                      m,
                      d,
                      criterion_named(criterion),
                      shrink,
                      units,
                      {flat_pivot, tie, tie_of_logs}};
    Outcome outcome;
    {
        nb::gil_scoped_release released;
        outcome = agglomerate(items, merges.data(), costs.data());
    }
    if (outcome == Outcome::out_of_memory) throw std::bad_alloc();
}

} // namespace

void bind_agglomeration(nb::module_& m) {
    m.def("agglomerate", &agglomerate_items, array("counts"), array("means"),
          array_or_none("scatters"), "criterion"_a, "shrink"_a, "units"_a, "flat_pivot"_a, "tie"_a,
          "tie_of_logs"_a, array("merges"), array("costs"),
          "Merge items, cheapest pair first; a cluster is named by its lowest item.");
}

} // namespace mixtura

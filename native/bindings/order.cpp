// An order of rows.

#include "../order.hpp"

#include "arrays.hpp"

namespace mixtura {
namespace {

void order_rows(const Rows& rows, const Vector& scale, std::size_t together,
                Taken<std::int64_t, nb::ndim<1>> order) {
    const std::size_t n = rows.shape(0), d = rows.shape(1);
    demand(scale.shape(0) == d && order.shape(0) == n && together > 0,
           "scale must have one value per column, order one per row");
    const bool single = is_single(rows);
    nb::gil_scoped_release released;
    if (single)
        compact_order(static_cast<const float*>(rows.data()), n, d, scale.data(), together,
                      order.data());
    else
        compact_order(static_cast<const double*>(rows.data()), n, d, scale.data(), together,
                      order.data());
}

} // namespace

void bind_order(nb::module_& m) {
    m.def("compact_order", &order_rows, array("rows"), array("scale"), "together"_a, array("order"),
          "A permutation in which rows that are near each other stand together.");
}

} // namespace mixtura

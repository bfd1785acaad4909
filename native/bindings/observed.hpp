// Incomplete rows as the bindings take them.
#pragma once

#include "../observation.hpp"
#include "arrays.hpp"

namespace mixtura {

using Whole = Taken<const std::int64_t, nb::ndim<1>>;

// The rows and how they were observed, checked; the mixture is not set. `log_noise` has a value for
// each group.
Observed rows_of(const Rows&, const std::optional<Vector>& weights, const Whole& order,
                 const Whole& ends, const Flags& columns, const std::optional<Cube>& errors,
                 const std::optional<Matrix>& log_classes, const std::optional<Vector>& log_noise);

} // namespace mixtura

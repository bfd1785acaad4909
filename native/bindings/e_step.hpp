// The E-step of NumPy arrays.
#pragma once

#include "../e_step.hpp"
#include "arrays.hpp"

namespace mixtura {

EStep e_step_of(const Rows& rows, const Matrix& means, const Vector& log_scale,
                const Matrix& whitener);

} // namespace mixtura

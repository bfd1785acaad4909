// Moments and mixtures between NumPy and C++.
#pragma once

#include <optional>
#include <tuple>
#include <variant>
#include <vector>

#include <nanobind/stl/tuple.h>

#include "../m_step.hpp"
#include "arrays.hpp"

namespace mixtura {

using Array = nb::ndarray<double, nb::numpy>;

// Weights, means, values, whiteners, and the common axes, one per row, or None.
using Components = std::tuple<Array, Array, Array, Array, std::optional<Array>>;

Array array_of(const Numbers&, const std::vector<std::size_t>& shape); // an array of its own

template <class Taken>
Numbers numbers_of(const Taken& array) {
    return Numbers(array.data(), array.data() + array.size());
}

Moments moments_of(const Law&, const Matrix& about, const Vector& counts, const Matrix& first,
                   const Vector& second);
Mixture mixture_of(const Law&, const Vector& weights, const Matrix& means, const Vector& values,
                   const std::optional<Matrix>& axes);
Components components_of(const Mixture&);

} // namespace mixtura

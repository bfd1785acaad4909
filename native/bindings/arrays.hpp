// NumPy arrays as the bindings take them: as they are, without a copy.
#pragma once

#include <cstdint>
#include <stdexcept>

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

namespace mixtura {

namespace nb = nanobind;
using namespace nb::literals;

template <class... What>
using Taken = nb::ndarray<nb::numpy, nb::c_contig, nb::device::cpu, What...>;

using Rows = Taken<nb::ro, nb::ndim<2>>; // float64 or float32
using Vector = Taken<const double, nb::ndim<1>>;
using Matrix = Taken<const double, nb::ndim<2>>;
using Cube = Taken<const double, nb::ndim<3>>;
using Flags = Taken<const bool, nb::ndim<2>>;
using VectorOut = Taken<double, nb::ndim<1>>;
using MatrixOut = Taken<double, nb::ndim<2>>;
using CubeOut = Taken<double, nb::ndim<3>>;

inline auto array(const char* name) { return nb::arg(name).noconvert(); }
inline auto array_or_none(const char* name) { return nb::arg(name).none().noconvert(); }

inline void demand(bool held, const char* what) {
    if (!held) throw std::invalid_argument(what);
}

inline bool is_single(const Rows& rows) {
    const bool single = rows.dtype() == nb::dtype<float>();
    demand(single || rows.dtype() == nb::dtype<double>(), "rows must be float64 or float32");
    return single;
}

} // namespace mixtura

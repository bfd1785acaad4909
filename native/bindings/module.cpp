// The Python module. Its functions check shapes, release the GIL, and call.

#include <map>
#include <string>

#include <nanobind/nanobind.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/string.h>

#include "../runtime.hpp"

namespace nb = nanobind;

namespace mixtura {

void bind_e_step(nb::module_&);
void bind_observation(nb::module_&);
void bind_effective_parameters(nb::module_&);
void bind_families(nb::module_&);
void bind_matrices(nb::module_&);
void bind_m_step(nb::module_&);
void bind_loop(nb::module_&);
void bind_agglomeration(nb::module_&);
void bind_order(nb::module_&);

namespace {

std::map<std::string, std::string> build_info() {
    std::string names;
    for (const std::string& name : built()) names += (names.empty() ? "" : ", ") + name;
    return {{"isa", kernels().name}, {"built", names}, {"compiler", MIXTURA_COMPILER}};
}

} // namespace

NB_MODULE(_native, m) {
    m.doc() = "C++ kernels of mixtura; use mixtura.backends.NativeBackend.";
    kernels(); // a wrong MIXTURA_ISA is said at import, not in the middle of a fit
    bind_e_step(m);
    bind_observation(m);
    bind_effective_parameters(m);
    bind_families(m);
    bind_matrices(m);
    bind_m_step(m);
    bind_loop(m);
    bind_agglomeration(m);
    bind_order(m);
    m.def("build_info", &build_info,
          "Instruction set in use, those compiled in, and the compiler.");
}

} // namespace mixtura

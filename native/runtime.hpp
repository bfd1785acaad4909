// Chooses the kernels, cuts rows into slabs, runs threads, merges in order.
#pragma once

#include <string>
#include <vector>

#include "e_step.hpp"
#include "effective.hpp"

namespace mixtura {

const Kernels& kernels();                 // chosen once: MIXTURA_ISA, or the best that this processor runs
std::vector<std::string> built();         // names of the instruction sets compiled in
void run_moments(const Problem&, std::size_t threads, Sums& total); // with the short cuts that the problem allows
void run_log_joint(const Problem&, std::size_t threads, double* out);
void run_effective(const Problem&, const OwnParts&, std::size_t threads, double* out); // adds to p_k (K)

} // namespace mixtura

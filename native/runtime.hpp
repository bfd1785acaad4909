// Chooses the kernels, cuts rows into slabs, runs threads, merges in order.
#pragma once

#include <string>
#include <vector>

#include "e_step.hpp"
#include "effective.hpp"

namespace mixtura {

// Chosen once: MIXTURA_ISA, or the best that this processor runs.
const Kernels& kernels();
std::vector<std::string> built(); // names of the instruction sets compiled in
// With the short cuts that the E-step allows.
void run_moments(const EStep&, std::size_t threads, Sums& total);
void run_log_joint(const EStep&, std::size_t threads, double* out);
// Adds to p_k (K).
void run_effective(const EStep&, const OwnParts&, std::size_t threads, double* out);

} // namespace mixtura

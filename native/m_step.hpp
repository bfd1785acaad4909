// The M-step of the families: from moments to a mixture.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>

#include "axes.hpp"
#include "moments.hpp"
#include "tails.hpp"
#include "volumes.hpp"

namespace mixtura {

// What an M-step estimates F free covariances from; the same as Evidence in
// src/mixtura/model/regularisation.py.
struct Evidence {
    Form form;
    std::size_t F, K, d, size;
    Numbers counts, average;
    bool lifted = false;
};

// How far the iterations inside an M-step go.
struct Searches {
    VolumeSearch volumes;
    AxisSearch axes;
};

// A family: what its name says, and its law. `estimate` writes values (and common axes) into the
// mixture; false where what the components share is singular. The laws with their sources are in
// src/mixtura/families.
struct Law {
    const char* name;
    Form form;
    Scatter needs;
    bool shares_all, shares_some;
    bool (*estimate)(const Evidence&, const Searches&, const Mixture* previous, Mixture& out);
};

// The law of that name, or null for a family that has none here.
const Law* law_named(const std::string& name);

// Rows that every free covariance has seen before, with independent columns; `scatter` (d) is empty
// where there are none (src/mixtura/model/priors.py).
struct PseudoRows {
    double rows = 0.0, best = 0.0;
    Numbers scatter;
};

// What every M-step of a fit respects (src/mixtura/model/regularisation.py).
struct Setting {
    const Law* law;
    // Variances of the columns below which no covariance falls in any direction; 0 for none.
    Numbers floor;
    bool equal_weights;
    PseudoRows prior;
    Searches searches;
    double unresolved;     // an eigenvalue below this, in a component's own units, is rounding
    double floor_rounding; // what rounding may take off an eigenvalue that is held at the floor
    std::optional<TailRule> tails = std::nullopt; // of t components

    bool has_floor() const {
        return std::all_of(floor.begin(), floor.end(), [](double lowest) { return lowest > 0.0; });
    }
};

// The mixture of these moments into `out`, which must be neither of the others; -1, or the
// component that collapsed.
std::ptrdiff_t m_step(const Setting&, const Moments&, const Mixture* previous, Mixture& out);

// What a prior adds to the log-likelihood.
double penalty(const PseudoRows&, const Mixture&);

// Whiteners and log densities from weights and values, in place; -1, or the component whose
// covariance is singular.
std::ptrdiff_t complete(Mixture&);

} // namespace mixtura

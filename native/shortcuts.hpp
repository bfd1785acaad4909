// Which short cuts of an E-step a mixture's numbers allow.
#pragma once

#include <memory>
#include <vector>

#include "e_step.hpp"

namespace mixtura {

// An E-step with its short cuts, and the memory that they point to. Each short cut costs digits
// with distance, so each is taken where at most three of sixteen go (of float32's seven, where
// products are single), and left where more would:
//
//     turn     rows are whitened, or turned to common axes, once for all components, before they
//     are centred and not after
//     pooled   the total scatter is that of the rows about one point, less that of the means
//     single   products in float32 where they were asked for, but for the components that these do
//     not carry.
class Shortcuts {
public:
    explicit Shortcuts(const EStep& plain);
    const EStep& e_step() const { return p; }

private:
    void turn(const EStep& plain);
    void single(const EStep& plain);

    EStep p;
    std::vector<double> origin, turned, means, whitener;
    std::unique_ptr<bool[]> ill;
    // The largest distance of a mean from the origin, in standard deviations of its component.
    double farthest = 0.0;
};

} // namespace mixtura

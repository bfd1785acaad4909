#include "order.hpp"

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

namespace mixtura {
namespace {

template <class Real>
struct Cutter {
    const Real* rows;
    std::size_t d;
    const double* scale;
    std::size_t together;
    // The value in the column of the cut, and the row.
    std::vector<std::pair<Real, std::int64_t>> items;
    std::vector<Real> low, high;

    // The column in which some rows extend furthest.
    std::size_t widest(const std::int64_t* order, std::size_t m) {
        std::fill(low.begin(), low.end(), std::numeric_limits<Real>::infinity());
        std::fill(high.begin(), high.end(), -std::numeric_limits<Real>::infinity());
        for (std::size_t i = 0; i < m; ++i) {
            const Real* row = rows + static_cast<std::size_t>(order[i]) * d;
            for (std::size_t j = 0; j < d; ++j) {
                low[j] = std::min(low[j], row[j]);
                high[j] = std::max(high[j], row[j]);
            }
        }
        std::size_t best = 0;
        double most = -1.0;
        for (std::size_t j = 0; j < d; ++j) {
            const double width =
                (static_cast<double>(high[j]) - static_cast<double>(low[j])) / scale[j];
            if (width > most) most = width, best = j;
        }
        return best;
    }

    // The left part is a whole number of leaves, so that blocks of rows begin where leaves do.
    void cut(std::int64_t* order, std::size_t m) {
        if (m <= together) return;
        const std::size_t column = widest(order, m), middle = (m / together + 1) / 2 * together;
        if (middle == 0 || middle >= m) return;
        for (std::size_t i = 0; i < m; ++i)
            items[i] = {rows[static_cast<std::size_t>(order[i]) * d + column], order[i]};
        std::nth_element(items.begin(), items.begin() + middle, items.begin() + m);
        for (std::size_t i = 0; i < m; ++i) order[i] = items[i].second;
        cut(order, middle);
        cut(order + middle, m - middle);
    }
};

} // namespace

template <class Real>
void compact_order(const Real* rows, std::size_t n, std::size_t d, const double* scale,
                   std::size_t together, std::int64_t* order) {
    for (std::size_t i = 0; i < n; ++i) order[i] = static_cast<std::int64_t>(i);
    Cutter<Real> cutter{rows,
                        d,
                        scale,
                        together,
                        std::vector<std::pair<Real, std::int64_t>>(n),
                        std::vector<Real>(d),
                        std::vector<Real>(d)};
    cutter.cut(order, n);
}

template void compact_order(const double*, std::size_t, std::size_t, const double*, std::size_t,
                            std::int64_t*);
template void compact_order(const float*, std::size_t, std::size_t, const double*, std::size_t,
                            std::int64_t*);

} // namespace mixtura

// An order of rows in which neighbours in space are neighbours in memory.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mixtura {

// `order` becomes a permutation of 0 .. n-1. The rows are cut in two at the median of their widest
// column, in units of `scale` (standard deviations), again and again, until at most `together` of
// them are left: a k-d tree, read from left to right. Rows of one value keep their order. Memory: n
// indices and n numbers.
template <class Real>
void compact_order(const Real* rows, std::size_t n, std::size_t d, const double* scale,
                   std::size_t together, std::int64_t* order);

} // namespace mixtura

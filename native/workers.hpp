// Threads that share the parts of one computation, and merge them in order, so that the number of
// threads never changes a bit.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

namespace mixtura {

class Aligned {
public:
    explicit Aligned(std::size_t bytes) : memory(::operator new(bytes, std::align_val_t{64})) {}
    ~Aligned() { ::operator delete(memory, std::align_val_t{64}); }
    operator void*() const { return memory; }
    Aligned(const Aligned&) = delete;
    Aligned& operator=(const Aligned&) = delete;

private:
    void* memory;
};

// Workers 0 .. count-1 run `work(worker)`; all memory exists before the first thread starts, so
// none can fail inside.
template <class Work>
void in_parallel(std::size_t count, Work work) {
    std::vector<std::thread> others;
    others.reserve(count);
    try {
        for (std::size_t t = 1; t < count; ++t) others.emplace_back(work, t);
    } catch (const std::system_error&) { // fewer threads than wished for: the answer is the same
    }
    work(0);
    for (std::thread& thread : others) thread.join();
}

// Who may merge: the worker of the next slab in order.
class Turns {
public:
    template <class Merge>
    void take(std::size_t slab, Merge merge) {
        std::unique_lock<std::mutex> lock(turn);
        moved.wait(lock, [&] { return merged == slab; });
        merge();
        ++merged;
        moved.notify_all();
    }

private:
    std::size_t merged = 0;
    std::mutex turn;
    std::condition_variable moved;
};

} // namespace mixtura

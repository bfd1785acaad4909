// Threads that share the parts of one computation, and merge them in order, so that the number of
// threads never changes a bit.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <utility>
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

// Who may merge: the worker of the next part in order. Once a part has failed nobody merges, and
// nobody waits.
class Turns {
public:
    template <class Merge>
    void take(std::size_t part, Merge merge) {
        std::unique_lock<std::mutex> lock(turn);
        moved.wait(lock, [&] { return merged == part || failure; });
        if (failure) return;
        merge();
        ++merged;
        moved.notify_all();
    }

    void fail(std::exception_ptr why) {
        const std::lock_guard<std::mutex> lock(turn);
        if (!failure) failure = std::move(why);
        moved.notify_all();
    }

    // After the workers have ended.
    void check() const {
        if (failure) std::rethrow_exception(failure);
    }

private:
    std::size_t merged = 0;
    std::exception_ptr failure;
    std::mutex turn;
    std::condition_variable moved;
};

// The first exception of a thread takes memory of the C library, which ends the process where there
// is none. So a thread takes it before memory is short.
inline void be_able_to_throw() {
    [[maybe_unused]] const volatile int uncaught = std::uncaught_exceptions();
}

// Parts 0 .. parts-1 to whichever of the workers is free: `work(worker, part, turns)`. A worker's
// memory should exist before, see `be_able_to_throw`. What the first one throws all the same stops
// all, and is thrown here after they have ended.
template <class Work>
void in_parallel(std::size_t workers, std::size_t parts, Work work) {
    Turns turns;
    std::atomic<std::size_t> next{0};
    const auto run = [&](std::size_t worker) noexcept {
        try {
            for (std::size_t part; (part = next.fetch_add(1)) < parts;) work(worker, part, turns);
        } catch (...) {
            next = parts;
            turns.fail(std::current_exception());
        }
    };
    std::vector<std::thread> others;
    others.reserve(workers);
    try {
        for (std::size_t t = 1; t < workers; ++t) others.emplace_back(run, t);
    } catch (const std::system_error&) { // fewer threads than wished for: the answer is the same
    } catch (const std::bad_alloc&) {    // likewise
    }
    run(0);
    for (std::thread& thread : others) thread.join();
    turns.check();
}

} // namespace mixtura

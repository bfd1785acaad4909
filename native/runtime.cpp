// Rows are cut into slabs of a fixed number of rows. A worker takes the next slab, sums it into its own memory, waits
// until all earlier slabs have been merged, and merges. So the order of additions depends on the number of rows alone:
// the thread count never changes a bit. Memory: one set of sums and one workspace per worker.

#include "runtime.hpp"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <stdexcept>
#include <thread>

namespace mixtura {

#define MIXTURA_DECLARE(name) extern const Kernels kernels_##name;
MIXTURA_DECLARE(baseline)
#ifdef MIXTURA_X86_LEVELS
MIXTURA_DECLARE(avx2)
MIXTURA_DECLARE(avx512)
#endif

namespace {

constexpr std::size_t SLAB = 4096; // rows; a constant, never read from the machine

struct Level {
    const Kernels* kernels;
    bool runs_here;
};

std::vector<Level> levels() { // from the plainest to the widest
    std::vector<Level> all{{&kernels_baseline, true}};
#ifdef MIXTURA_X86_LEVELS
    __builtin_cpu_init();
    all.push_back({&kernels_avx2, __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")});
    all.push_back({&kernels_avx512, __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                                        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw")});
#endif
    return all;
}

const Kernels* choose() {
    const char* wanted = std::getenv("MIXTURA_ISA");
    const Kernels* best = nullptr;
    for (const Level& level : levels()) {
        if (wanted && *wanted && std::strcmp(wanted, level.kernels->name) == 0) {
            if (!level.runs_here) throw std::runtime_error(std::string("MIXTURA_ISA=") + wanted + " does not run on this processor");
            return level.kernels;
        }
        if (level.runs_here) best = level.kernels;
    }
    if (wanted && *wanted) {
        std::string names;
        for (const std::string& name : built()) names += (names.empty() ? "" : ", ") + name;
        throw std::runtime_error(std::string("MIXTURA_ISA=") + wanted + " is not an instruction set of this build; it has: " + names);
    }
    return best;
}

struct Aligned {
    double* at;
    explicit Aligned(std::size_t doubles) : at(static_cast<double*>(::operator new(doubles * sizeof(double), std::align_val_t{64}))) {}
    ~Aligned() { ::operator delete(at, std::align_val_t{64}); }
    Aligned(const Aligned&) = delete;
    Aligned& operator=(const Aligned&) = delete;
};

std::size_t second_size(const Problem& p) {
    switch (p.scatter) {
        case Scatter::trace: return p.K;
        case Scatter::diagonal: return p.K * p.d;
        case Scatter::total: return p.d * p.d;
        default: return p.K * p.d * p.d;
    }
}

void add(double* to, const double* from, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) to[i] += from[i];
}

void mirror(double* matrix, std::size_t d) { // upper from lower
    for (std::size_t i = 0; i < d; ++i)
        for (std::size_t j = 0; j < i; ++j) matrix[j * d + i] = matrix[i * d + j];
}

// Workers 0 .. count-1 run `work(worker)`; all memory exists before the first thread starts, so none can fail inside.
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

} // namespace

const Kernels& kernels() {
    static const Kernels* chosen = choose();
    return *chosen;
}

std::vector<std::string> built() {
    std::vector<std::string> names;
    for (const Level& level : levels()) names.emplace_back(level.kernels->name);
    return names;
}

void run_moments(const Problem& p, std::size_t threads, Sums& total) {
    const Kernels& kernel = kernels();
    const std::size_t slabs = (p.n + SLAB - 1) / SLAB, second = second_size(p), sums = p.K + p.K * p.d + second;
    const std::size_t workers = std::max<std::size_t>(1, std::min(threads, slabs));
    std::vector<std::unique_ptr<Aligned>> workspaces, partial;
    for (std::size_t t = 0; t < workers; ++t) {
        workspaces.push_back(std::make_unique<Aligned>(kernel.workspace(p)));
        partial.push_back(std::make_unique<Aligned>(sums));
    }
    std::atomic<std::size_t> next{0};
    std::size_t merged = 0;
    std::mutex turn;
    std::condition_variable moved;
    in_parallel(workers, [&](std::size_t t) {
        for (std::size_t slab; (slab = next.fetch_add(1)) < slabs;) {
            double* memory = partial[t]->at;
            std::memset(memory, 0, sums * sizeof(double));
            Sums mine{memory, memory + p.K, memory + p.K + p.K * p.d, 0.0, 0.0, 0.0};
            kernel.moments(p, slab * SLAB, std::min(p.n, (slab + 1) * SLAB), workspaces[t]->at, mine);
            std::unique_lock<std::mutex> lock(turn);
            moved.wait(lock, [&] { return merged == slab; });
            add(total.counts, mine.counts, p.K);
            add(total.first, mine.first, p.K * p.d);
            add(total.second, mine.second, second);
            total.log_likelihood += mine.log_likelihood;
            total.entropy += mine.entropy;
            total.certainty += mine.certainty;
            ++merged;
            moved.notify_all();
        }
    });
    if (p.scatter == Scatter::total) mirror(total.second, p.d);
    if (p.scatter == Scatter::dense)
        for (std::size_t k = 0; k < p.K; ++k) mirror(total.second + k * p.d * p.d, p.d);
}

void run_log_joint(const Problem& p, std::size_t threads, double* out) {
    const Kernels& kernel = kernels();
    const std::size_t slabs = (p.n + SLAB - 1) / SLAB;
    const std::size_t workers = std::max<std::size_t>(1, std::min(threads, slabs));
    std::vector<std::unique_ptr<Aligned>> workspaces;
    for (std::size_t t = 0; t < workers; ++t) workspaces.push_back(std::make_unique<Aligned>(kernel.workspace(p)));
    std::atomic<std::size_t> next{0};
    in_parallel(workers, [&](std::size_t t) {
        for (std::size_t slab; (slab = next.fetch_add(1)) < slabs;)
            kernel.log_joint(p, slab * SLAB, std::min(p.n, (slab + 1) * SLAB), workspaces[t]->at, out);
    });
}

} // namespace mixtura

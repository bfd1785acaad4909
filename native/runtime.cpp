// Rows are cut into slabs of a fixed number of rows. A worker takes the next slab, sums it into its
// own memory, waits until all earlier slabs have been merged, and merges. So the order of additions
// depends on the number of rows alone: the thread count never changes a bit. Memory: one set of
// sums and one workspace per worker.

#include "runtime.hpp"

#include "shortcuts.hpp"
#include "workers.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <stdexcept>

namespace mixtura {

#define MIXTURA_KERNELS_(name) kernels_##name
#define MIXTURA_KERNELS(name) MIXTURA_KERNELS_(name)
#define MIXTURA_DECLARE(name) extern const Kernels MIXTURA_KERNELS(name);
MIXTURA_DECLARE(MIXTURA_PLAINEST) // what every processor of the kind runs
#ifdef MIXTURA_X86_LEVELS
MIXTURA_DECLARE(avx2)
MIXTURA_DECLARE(avx512)
#endif

namespace {

// Rows of a slab: whole blocks, so few that threads end together, and so many that a slab of few
// columns outlasts the wait for its turn to be merged. A constant of the E-step, never read from
// the machine.
constexpr std::size_t LEAST_SLAB = 1024, MOST_SLAB = 65536, PRODUCTS_OF_A_SLAB = 4'000'000,
                      PRODUCTS_OF_AN_EXPONENTIAL = 16;

std::size_t products_per_row(const EStep& p) {
    return p.K * (p.d * (p.d + 1) + PRODUCTS_OF_AN_EXPONENTIAL);
}

std::size_t slab_rows(const EStep& p) {
    return std::clamp(PRODUCTS_OF_A_SLAB / products_per_row(p) / LEAST_SLAB * LEAST_SLAB,
                      LEAST_SLAB, MOST_SLAB);
}

std::size_t slabs_of(const EStep& p) { return (p.n + slab_rows(p) - 1) / slab_rows(p); }

struct Level {
    const Kernels* kernels;
    bool runs_here;
};

std::vector<Level> levels() { // from the plainest to the widest
    std::vector<Level> all{{&MIXTURA_KERNELS(MIXTURA_PLAINEST), true}};
#ifdef MIXTURA_X86_LEVELS
    __builtin_cpu_init();
    all.push_back({&kernels_avx2, __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")});
    all.push_back({&kernels_avx512,
                   __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                       __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw")});
#endif
    return all;
}

const Kernels* choose() {
    const char* wanted = std::getenv("MIXTURA_ISA");
    const Kernels* best = nullptr;
    for (const Level& level : levels()) {
        if (wanted && *wanted && std::strcmp(wanted, level.kernels->name) == 0) {
            if (!level.runs_here)
                throw std::runtime_error(std::string("MIXTURA_ISA=") + wanted +
                                         " does not run on this processor");
            return level.kernels;
        }
        if (level.runs_here) best = level.kernels;
    }
    if (wanted && *wanted) {
        std::string names;
        for (const std::string& name : built()) names += (names.empty() ? "" : ", ") + name;
        throw std::runtime_error(std::string("MIXTURA_ISA=") + wanted +
                                 " is not an instruction set of this build; it has: " + names);
    }
    return best;
}

using Pieces = std::vector<std::unique_ptr<Aligned>>;

void add(double* to, const double* from, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) to[i] += from[i];
}

void mirror(double* matrix, std::size_t d) { // upper from lower
    for (std::size_t i = 0; i < d; ++i)
        for (std::size_t j = 0; j < i; ++j) matrix[j * d + i] = matrix[i * d + j];
}

// Scatter of the rows about the origin becomes that about the means: sum r (x - a)(x - a)' = sum r
// (x - o)(x - o)' - f s' - s f' - n s s' with s = a - o and f = sum r (x - a). False where too many
// digits cancel.
bool take_out_means(const EStep& p, Sums& total) {
    // At least this part of every column's scatter must be left: four digits.
    constexpr double LEFT = 1.0 / 4096;
    std::vector<double> before(p.d);
    for (std::size_t j = 0; j < p.d; ++j) before[j] = total.second[j * p.d + j];
    for (std::size_t k = 0; k < p.K; ++k) {
        const double *first = total.first + k * p.d, *mean = p.means + k * p.d, n = total.counts[k];
        for (std::size_t i = 0; i < p.d; ++i)
            for (std::size_t j = 0; j <= i; ++j) {
                const double s = mean[i] - p.origin[i], t = mean[j] - p.origin[j];
                total.second[i * p.d + j] -= first[i] * t + s * first[j] + n * s * t;
            }
    }
    for (std::size_t j = 0; j < p.d; ++j)
        if (!(total.second[j * p.d + j] >= LEFT * before[j])) return false;
    return true;
}

// Whether leaving small responsibilities out has cost a component more than rounding: it has, where
// the component holds so much less than its share that what was left out could be a visible part of
// it. Then all of them must count.
bool too_much_left_out(const EStep& p, const Sums& total) {
    // Of its share: what was left out is at most LEFT_OUT / VISIBLE = 1e-14 of what the component
    // holds.
    constexpr double VISIBLE = 1e-3;
    if (!p.shares) return false;
    double all = total.noise;
    for (std::size_t k = 0; k < p.K; ++k) all += total.counts[k];
    for (std::size_t k = 0; k < p.K; ++k)
        if (!(total.counts[k] >= VISIBLE * p.shares[k] * all)) return true;
    return false;
}

// Whether single products do not carry the scatter about the new means: something overflowed, or
// the means have moved so far in units of the scatter that its leading digits cancel.
bool too_few_digits(const EStep& p, const Sums& total) {
    constexpr double LEFT = 1.0 / 64; // at least this part must be left
    if (!p.single_products) return false;
    if (!std::isfinite(total.log_likelihood)) return true;
    for (std::size_t k = 0; k < p.K; ++k) {
        if (total.counts[k] == 0.0 || (p.ill_conditioned && p.ill_conditioned[k]) ||
            p.scatter == Scatter::total)
            continue;
        double together = 0.0;
        for (std::size_t j = 0; j < p.d; ++j) {
            const double f = total.first[k * p.d + j], moved = f * f / total.counts[k];
            together += moved;
            const double second = p.scatter == Scatter::dense
                                      ? total.second[(k * p.d + j) * p.d + j]
                                      : total.second[k * p.d + j];
            if (p.scatter != Scatter::trace && !(second - moved >= LEFT * second)) return true;
        }
        if (p.scatter == Scatter::trace && !(total.second[k] - together >= LEFT * total.second[k]))
            return true;
    }
    return false;
}

// Slabs, one after the other, to whichever worker is free; each worker has a workspace of so many
// bytes of its own.
template <class Work>
void over_slabs(const EStep& p, std::size_t workers, std::size_t bytes, Work work) {
    Pieces workspaces;
    for (std::size_t t = 0; t < workers; ++t)
        workspaces.push_back(std::make_unique<Aligned>(bytes));
    const std::size_t rows = slab_rows(p);
    in_parallel(workers, slabs_of(p), [&](std::size_t t, std::size_t slab, Turns& turns) {
        work(t, slab, turns, slab * rows, std::min(p.n, (slab + 1) * rows),
             static_cast<void*>(*workspaces[t]));
    });
}

// As many threads as have a slab each and work enough to be worth starting, which takes about as
// long as a few million products.
std::size_t workers_for(const EStep& p, std::size_t threads) {
    const std::size_t worth = p.n * products_per_row(p) / (2 * PRODUCTS_OF_A_SLAB);
    return std::max<std::size_t>(1, std::min({threads, slabs_of(p), worth}));
}

void clear(const EStep& p, Sums& sums) {
    std::fill_n(sums.counts, p.K, 0.0);
    std::fill_n(sums.first, p.K * p.d, 0.0);
    std::fill_n(sums.second, second_size(p.scatter, p.K, p.d), 0.0);
    sums.log_likelihood = sums.entropy = sums.certainty = sums.noise = 0.0;
    if (!p.tails) return;
    std::fill_n(sums.pulls, p.K, 0.0);
    std::fill_n(sums.falls, p.K, 0.0);
}

// One pass over all rows. False where a short cut has cost too many digits.
bool pass(const EStep& p, std::size_t threads, Sums& total) {
    const Kernels& kernel = kernels();
    const std::size_t second = second_size(p.scatter, p.K, p.d),
                      of_gaussians = p.K + p.K * p.d + second,
                      sums = of_gaussians + (p.tails ? 2 * p.K : 0),
                      workers = workers_for(p, threads);
    const Aligned model(kernel.model(p));
    kernel.prepare(p, model);
    Pieces partial;
    for (std::size_t t = 0; t < workers; ++t)
        partial.push_back(std::make_unique<Aligned>(sums * sizeof(double)));
    clear(p, total);
    over_slabs(p, workers, kernel.workspace(p),
               [&](std::size_t t, std::size_t slab, Turns& turns, std::size_t begin,
                   std::size_t end, void* workspace) {
                   double* memory = static_cast<double*>(static_cast<void*>(*partial[t]));
                   Sums mine{memory, memory + p.K, memory + p.K + p.K * p.d, 0.0, 0.0, 0.0};
                   mine.pulls = memory + of_gaussians, mine.falls = mine.pulls + p.K;
                   clear(p, mine);
                   kernel.moments(p, model, begin, end, workspace, mine);
                   turns.take(slab, [&] {
                       add(total.counts, mine.counts, p.K);
                       add(total.first, mine.first, p.K * p.d);
                       add(total.second, mine.second, second);
                       if (p.tails)
                           add(total.pulls, mine.pulls, p.K), add(total.falls, mine.falls, p.K);
                       total.log_likelihood += mine.log_likelihood;
                       total.entropy += mine.entropy;
                       total.certainty += mine.certainty;
                       total.noise += mine.noise;
                   });
               });
    const bool kept = (!p.pooled || take_out_means(p, total)) && !too_few_digits(p, total) &&
                      !too_much_left_out(p, total);
    if (p.scatter == Scatter::total) mirror(total.second, p.d);
    if (p.scatter == Scatter::dense)
        for (std::size_t k = 0; k < p.K; ++k) mirror(total.second + k * p.d * p.d, p.d);
    return kept;
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

void run_moments(const EStep& plain, std::size_t threads, Sums& total) {
    const Shortcuts shortcuts(plain);
    if (pass(shortcuts.e_step(), threads, total)) return;
    EStep exact = plain; // a rare thing: everything counts, and in double
    exact.shares = nullptr, exact.single_products = false;
    pass(exact, threads, total);
}

void run_log_joint(const EStep& p, std::size_t threads, double* out) {
    const Aligned model(kernels().model(p));
    kernels().prepare(p, model);
    const auto work = [&](std::size_t, std::size_t, Turns&, std::size_t begin, std::size_t end,
                          void* workspace) {
        kernels().log_joint(p, model, begin, end, workspace, out);
    };
    over_slabs(p, workers_for(p, threads), kernels().workspace(p), work);
}

void run_effective(const EStep& p, const OwnParts& own, std::size_t threads, double* out) {
    const WithoutRows& kernel = *kernels().without_rows;
    const std::size_t workers = workers_for(p, threads);
    const Aligned model(kernels().model(p));
    kernels().prepare(p, model);
    std::vector<std::vector<double>> partial(workers, std::vector<double>(p.K));
    over_slabs(p, workers, kernel.workspace(p),
               [&](std::size_t t, std::size_t slab, Turns& turns, std::size_t begin,
                   std::size_t end, void* workspace) {
                   double* mine = partial[t].data();
                   std::fill_n(mine, p.K, 0.0);
                   kernel.losses(p, own, model, begin, end, workspace, mine);
                   turns.take(slab, [&] { add(out, mine, p.K); });
               });
}

} // namespace mixtura

// Vectors of the instruction set at hand, and what the kernels need of them: exponential,
// logarithm, sums across lanes.
//
// Included by the kernels only, which are compiled once per instruction set: everything lives in an
// unnamed namespace, and of the standard library nothing but types is used, so that no code built
// for one processor is linked into the path of another.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace mixtura {
namespace {

// A vector is one register: GCC lowers wider ones through memory.
#if defined(__AVX512F__)
constexpr std::size_t BYTES = 64, REGISTERS = 32;
#elif defined(__AVX__)
constexpr std::size_t BYTES = 32, REGISTERS = 16;
#elif defined(__aarch64__)
constexpr std::size_t BYTES = 16, REGISTERS = 32;
#else
constexpr std::size_t BYTES = 16, REGISTERS = 16;
#endif

template <class Real>
struct VectorOf;
template <>
struct VectorOf<double> {
    typedef double Lanes __attribute__((vector_size(BYTES)));
    typedef std::int64_t Bits __attribute__((vector_size(BYTES)));
};
template <>
struct VectorOf<float> {
    typedef float Lanes __attribute__((vector_size(BYTES)));
    typedef std::int32_t Bits __attribute__((vector_size(BYTES)));
};
template <class Real>
using Lanes = typename VectorOf<Real>::Lanes;
template <class Real>
using Bits = typename VectorOf<Real>::Bits;
template <class Real>
constexpr std::size_t WIDTH = BYTES / sizeof(Real);

template <class Real>
inline Lanes<Real> fill(Real value) {
    return Lanes<Real>{} + value;
}

template <class Real>
inline Lanes<Real> load(const Real* at) {
    return *reinterpret_cast<const Lanes<Real>*>(at);
}

template <class Real>
inline void store(Real* at, Lanes<Real> v) {
    *reinterpret_cast<Lanes<Real>*>(at) = v;
}

template <class To, class From>
inline To same_bits(From v) {
    static_assert(sizeof(To) == sizeof(From));
    To to;
    std::memcpy(&to, &v, sizeof to);
    return to;
}

// f(0), f(1), ... f(N - 1) with constants, so that arrays of vectors stay in registers.
template <std::size_t I>
struct Index {
    static constexpr std::size_t value = I;
    constexpr operator std::size_t() const { return I; }
};

template <std::size_t... I, class F>
inline __attribute__((always_inline)) void each_of(std::index_sequence<I...>, const F& f) {
    (f(Index<I>{}), ...);
}

template <std::size_t N, class F>
inline __attribute__((always_inline)) void each(const F& f) {
    each_of(std::make_index_sequence<N>{}, f);
}

#define MIXTURA_INLINE __attribute__((always_inline))

// Whether a comparison holds in any lane.
template <class Mask>
inline bool any(Mask mask) {
#if defined(__AVX512F__)
    return _mm512_movepi8_mask(same_bits<__m512i>(mask)) != 0;
#elif defined(__AVX__)
    return _mm256_movemask_pd(same_bits<__m256d>(mask)) != 0 ||
           _mm256_movemask_ps(same_bits<__m256>(mask)) != 0;
#elif defined(__SSE2__)
    return _mm_movemask_epi8(same_bits<__m128i>(mask)) != 0;
#else
    std::uint64_t words[sizeof(Mask) / 8], all = 0;
    std::memcpy(words, &mask, sizeof mask);
    for (std::size_t i = 0; i < sizeof(Mask) / 8; ++i) all |= words[i];
    return all != 0;
#endif
}

// ---- sums across lanes --------------------------------------------------------------------------

template <class Real>
inline Real across(Lanes<Real> v) { // pairwise, always in the same order
    Real part[WIDTH<Real>];
    std::memcpy(part, &v, sizeof part);
    for (std::size_t half = WIDTH<Real> / 2; half > 0; half /= 2)
        for (std::size_t i = 0; i < half; ++i) part[i] += part[i + half];
    return part[0];
}

// Lanes of two vectors in turn, `group` at a time: those of the first half of every pair of groups,
// or of the second.
template <class Real, std::size_t group, bool second, std::size_t... I>
inline Lanes<Real> interleave(Lanes<Real> a, Lanes<Real> b, std::index_sequence<I...>) {
    constexpr std::size_t width = sizeof...(I);
    return __builtin_shufflevector(a, b,
                                   static_cast<int>(I / (2 * group) * 2 * group + I % group +
                                                    (second ? group : 0) +
                                                    (I % (2 * group) < group ? 0 : width))...);
}

template <class Real, std::size_t group>
inline MIXTURA_INLINE void fold(Lanes<Real>* v) {
    constexpr auto lanes = std::make_index_sequence<WIDTH<Real>>{};
    each<WIDTH<Real> / (2 * group)>([&](auto i) MIXTURA_INLINE {
        v[i] = interleave<Real, group, false>(v[2 * i], v[2 * i + 1], lanes) +
               interleave<Real, group, true>(v[2 * i], v[2 * i + 1], lanes);
    });
    if constexpr (2 * group < WIDTH<Real>) fold<Real, 2 * group>(v);
}

// The sum across the lanes of each of `count` vectors, as many at once as a vector has lanes: `out`
// has room for whole vectors.
template <class Real, std::size_t count>
inline MIXTURA_INLINE void sums_across(const Lanes<Real>* v, Real* out) {
    constexpr std::size_t width = WIDTH<Real>;
    each<(count + width - 1) / width>([&](auto g) MIXTURA_INLINE {
        Lanes<Real> part[width];
        each<width>([&](auto i) MIXTURA_INLINE {
            if constexpr (g * width + i < count) part[i] = v[g * width + i];
            else part[i] = Lanes<Real>{};
        });
        fold<Real, 1>(part);
        store(out + g * width, part[0]);
    });
}

// As many vectors as one has lanes, turned: lane i of vector j becomes lane j of vector i.
template <class Real, std::size_t group>
inline MIXTURA_INLINE void turn_square(Lanes<Real>* v) {
    constexpr std::size_t width = WIDTH<Real>;
    constexpr auto lanes = std::make_index_sequence<width>{};
    each<width / 2>([&](auto half) MIXTURA_INLINE {
        constexpr std::size_t i = half / group * 2 * group + half % group;
        const Lanes<Real> a = v[i], b = v[i + group];
        v[i] = interleave<Real, group, false>(a, b, lanes);
        v[i + group] = interleave<Real, group, true>(a, b, lanes);
    });
    if constexpr (2 * group < width) turn_square<Real, 2 * group>(v);
}

// ---- elementary functions -----------------------------------------------------------------------

template <class Real>
struct Constants;

// Polynomials: minimax in the relative error of the whole function over the reduced range (Remez),
// 2^-57.9 and 2^-59.5.
template <>
struct Constants<double> {
    static constexpr double lowest = -708.0; // exp is a normal number from here on
    // Adding it rounds to an integer, which stands in the lowest bits.
    static constexpr double magic = 0x1.8p52;
    static constexpr int mantissa = 52, bias = 1023;
    static constexpr double log2_e = 0x1.71547652b82fep+0;
    // n times the first is exact
    static constexpr double log_2_high = 0x1.62e42feep-1, log_2_low = 0x1.a39ef35793c76p-33;
    static constexpr double exponential[] = {
        0x1.ad7f7af9f265ap-26, 0x1.28ad68b8868dfp-22, 0x1.71df253a3fd1ep-19, 0x1.a0199a16cb835p-16,
        0x1.a01a012a69a3fp-13, 0x1.6c16c1842674dp-10, 0x1.1111111127b9cp-7,  0x1.555555555088cp-5,
        0x1.55555555554fap-3,  0x1.000000000000ap-1};
    static constexpr double logarithm[] = {
        0x1.2f05679311022p-3, 0x1.39a1ba52688c4p-3, 0x1.74663eec48088p-3, 0x1.c71c52094a724p-3,
        0x1.24924941f13c1p-2, 0x1.999999997fdb6p-2, 0x1.5555555555592p-1};
    static constexpr std::int64_t root_half = 0x3FE6A09E667F3BCD; // the bits of sqrt(1/2)
};

// The same, 2^-28.3 and 2^-30.2.
template <>
struct Constants<float> {
    static constexpr float lowest = -87.0f;
    static constexpr float magic = 0x1.8p23f;
    static constexpr int mantissa = 23, bias = 127;
    static constexpr float log2_e = 0x1.715476p+0f;
    static constexpr float log_2_high = 0x1.62ep-1f, log_2_low = 0x1.0bfbe8p-15f;
    static constexpr float exponential[] = {0x1.6a244ca016cecp-10f, 0x1.1239d3a591c1ap-7f,
                                            0x1.5558f120b1b17p-5f, 0x1.55549167e2812p-3f,
                                            0x1.fffffb9b01737p-2f};
    static constexpr float logarithm[] = {0x1.31e2f30e17557p-2f, 0x1.995eb9f0c15aap-2f,
                                          0x1.55557a25d6d60p-1f};
    static constexpr std::int32_t root_half = 0x3F3504F3;
};

// exp(x) for `lowest` <= x <= 0 within 2 units in the last place (tests/backends/test_native.py
// measures it), of some vectors side by side: one alone would wait for its own chain of products. x
// = n log 2 + r with |r| <= log(2)/2 (a little more by rounding), exp r = 1 + r + r^2 p(r), 2^n
// into the exponent bits.
template <class Real, std::size_t S>
inline MIXTURA_INLINE void exponentials(Lanes<Real>* x) {
    using C = Constants<Real>;
    Lanes<Real> shifted[S], r[S], p[S];
    each<S>([&](auto s) MIXTURA_INLINE { shifted[s] = x[s] * C::log2_e + C::magic; });
    each<S>([&](auto s) MIXTURA_INLINE {
        const Lanes<Real> n = shifted[s] - C::magic;
        r[s] = x[s] - n * C::log_2_high;
        r[s] = r[s] - n * C::log_2_low;
    });
    each<S>([&](auto s) MIXTURA_INLINE { p[s] = fill(C::exponential[0]); });
    each<sizeof C::exponential / sizeof(Real) - 1>([&](auto i) MIXTURA_INLINE {
        each<S>([&](auto s) MIXTURA_INLINE { p[s] = p[s] * r[s] + C::exponential[i + 1]; });
    });
    each<S>([&](auto s) MIXTURA_INLINE { p[s] = p[s] * r[s] + Real(1); });
    each<S>([&](auto s) MIXTURA_INLINE { p[s] = p[s] * r[s] + Real(1); });
    each<S>([&](auto s) MIXTURA_INLINE {
        x[s] = same_bits<Lanes<Real>>(same_bits<Bits<Real>>(p[s]) +
                                      (same_bits<Bits<Real>>(shifted[s]) << C::mantissa));
    });
}

template <class Real>
inline Lanes<Real> exponential(Lanes<Real> x) {
    exponentials<Real, 1>(&x);
    return x;
}

// log(x) for normal x > 0 within 2 units in the last place, or of log 2 near one
// (tests/backends/test_native.py measures it). x = 2^n m with sqrt(1/2) <= m < sqrt(2); log m = 2
// artanh t = 2 t + t^3 p(t^2) with t = (m - 1) / (m + 1).
template <class Real>
inline Lanes<Real> logarithm(Lanes<Real> x) {
    using C = Constants<Real>;
    const Bits<Real> bits = same_bits<Bits<Real>>(x);
    const Bits<Real> n = (bits - C::root_half) >> C::mantissa;
    const Lanes<Real> m = same_bits<Lanes<Real>>(bits - (n << C::mantissa));
    // n as a number: its bits under those of a constant whose last place is one
    const Lanes<Real> steps =
        same_bits<Lanes<Real>>(n + same_bits<Bits<Real>>(fill(C::magic))) - C::magic;
    const Lanes<Real> f = m - Real(1), t = f / (f + Real(2)), z = t * t;
    Lanes<Real> p = fill(C::logarithm[0]);
    each<sizeof C::logarithm / sizeof(Real) - 1>(
        [&](auto i) MIXTURA_INLINE { p = p * z + C::logarithm[i + 1]; });
    // 2 t = f - t f, so that the leading term is exact
    return steps * C::log_2_high + (f - (t * (f - z * p) - steps * C::log_2_low));
}

} // namespace
} // namespace mixtura

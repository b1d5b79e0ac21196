// Stands in for ap_fixed.h and ap_int.h: the same names and types, with a symbolic Value where the bits are.
#pragma once
#include <algorithm>
#include <cassert>
#include <climits>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <sstream>
#include <string>
#include <type_traits>

#include "value.h"

#define AP_INLINE __attribute__((always_inline)) inline // no frame of ours between a decision and the code that asks

enum ap_q_mode { AP_RND, AP_RND_ZERO, AP_RND_MIN_INF, AP_RND_INF, AP_RND_CONV, AP_TRN, AP_TRN_ZERO };
enum ap_o_mode { AP_SAT, AP_SAT_ZERO, AP_SAT_SYM, AP_WRAP, AP_WRAP_SM };

template <int W, int I, bool S, ap_q_mode Q, ap_o_mode O> struct ap_bits;

// A bit or a range of bits of a value, to read or to write.
template <class B> struct ap_range {
    B *of;
    int high, low;
    uint64_t mask() const { return high - low >= 63 ? ~uint64_t(0) : (uint64_t(1) << (high - low + 1)) - 1; }
    AP_INLINE uint64_t get() const { return (symbolic::bits_of(of->value, B::kind()) >> low) & mask(); }
    AP_INLINE ap_range &set(uint64_t x) {
        uint64_t old = symbolic::bits_of(of->value, B::kind());
        of->value = symbolic::of_bits((old & ~(mask() << low)) | ((x & mask()) << low), B::kind());
        return *this;
    }
    template <class T, class = std::enable_if_t<std::is_arithmetic<T>::value>> AP_INLINE ap_range &operator=(T x) { return set(uint64_t(x)); }
    ap_range &operator=(const ap_range &x) { return set(x.get()); }
    template <class C> ap_range &operator=(const ap_range<C> &x) { return set(x.get()); }
    template <class T, class = std::enable_if_t<std::is_arithmetic<T>::value>> AP_INLINE operator T() const { return T(get()); }
};

// What an ap_fixed holds: its only member, so that `x.V` is the number itself.
template <int W, int I, bool S, ap_q_mode Q, ap_o_mode O> struct ap_bits {
    static constexpr int width = W;
    static const symbolic::Kind &kind() { return SYMBOLIC_KIND(W, I, S, int(Q), int(O)); }
    symbolic::Value value;
    AP_INLINE ap_bits() : value(symbolic::undefined()) {}
    AP_INLINE explicit ap_bits(symbolic::Value v) : value(v) {}
    AP_INLINE ap_range<ap_bits> operator()(int high, int low) { return {this, high, low}; }
};

template <int W, int I, bool S = true, ap_q_mode Q = AP_TRN, ap_o_mode O = AP_WRAP, int N = 0> struct ap_fixed_base {
    static constexpr int width = W, iwidth = I;
    static constexpr ap_q_mode qmode = Q;
    static constexpr ap_o_mode omode = O;
    static constexpr bool sign_flag = S;
    typedef ap_bits<W, I, S, Q, O> Bits;
    Bits V;

    AP_INLINE ap_fixed_base() {}
    template <int W2, int I2, bool S2, ap_q_mode Q2, ap_o_mode O2, int N2>
    AP_INLINE ap_fixed_base(const ap_fixed_base<W2, I2, S2, Q2, O2, N2> &x)
        : V(symbolic::cast(x.V.value, ap_bits<W2, I2, S2, Q2, O2>::kind(), Bits::kind())) {}
    template <class T, class = std::enable_if_t<std::is_arithmetic<T>::value>> AP_INLINE ap_fixed_base(T x) : V(of(x)) {}
    template <class B> AP_INLINE ap_fixed_base(const ap_range<B> &x) : V(of((unsigned long long)x.get())) {}
    AP_INLINE ap_fixed_base(const char *text) : V(of(std::atof(text))) {}

    AP_INLINE static ap_fixed_base exactly(symbolic::Value v) {
        ap_fixed_base made;
        made.V.value = v;
        return made;
    }
    template <class T> AP_INLINE static symbolic::Value of(T x) {
        symbolic::Value v = std::is_floating_point<T>::value ? symbolic::of_double(double(x))
                            : std::is_signed<T>::value       ? symbolic::of_int((long long)x)
                                                             : symbolic::of_unsigned((unsigned long long)x);
        return symbolic::cast(v, Bits::kind(), Bits::kind()); // a constant: where it comes from is of no concern
    }

    AP_INLINE ap_range<Bits> operator()(int high, int low) { return {&V, high, low}; }
    AP_INLINE ap_range<Bits> range(int high, int low) { return {&V, high, low}; }
    AP_INLINE ap_range<Bits> range() { return {&V, W - 1, 0}; }
    AP_INLINE ap_range<Bits> operator[](int at) { return {&V, at, at}; }
    AP_INLINE ap_range<const Bits> operator[](int at) const { return {const_cast<const Bits *>(&V), at, at}; }

    AP_INLINE double to_double() const { return symbolic::double_of(V.value, Bits::kind()); }
    AP_INLINE float to_float() const { return float(to_double()); }
    AP_INLINE int to_int() const { return int(to_int64()); }
    AP_INLINE unsigned to_uint() const { return unsigned(to_int64()); }
    AP_INLINE long long to_int64() const { // towards zero, but for types of fractions alone, where ap_fixed.h carries into the sign
        if (I <= 0 && S) return to_double() < 0 ? -1 : 0;
        return symbolic::int_of(V.value, Bits::kind());
    }
    int length() const { return W; }
    AP_INLINE operator double() const { return to_double(); }
    AP_INLINE operator float() const { return to_float(); }
    AP_INLINE operator bool() const { return symbolic::compare(symbolic::NE, V.value, symbolic::constant(0, 0)); }
    AP_INLINE operator char() const { return char(to_int()); }
    AP_INLINE operator signed char() const { return (signed char)(to_int()); }
    AP_INLINE operator unsigned char() const { return (unsigned char)(to_int()); }
    AP_INLINE operator short() const { return short(to_int()); }
    AP_INLINE operator unsigned short() const { return (unsigned short)(to_int()); }
    AP_INLINE operator int() const { return to_int(); }
    AP_INLINE operator unsigned() const { return to_uint(); }
    AP_INLINE operator long() const { return long(to_int64()); }
    AP_INLINE operator unsigned long() const { return (unsigned long)(to_int64()); }
    AP_INLINE operator long long() const { return to_int64(); }
    AP_INLINE operator unsigned long long() const { return (unsigned long long)(to_int64()); }

    AP_INLINE ap_fixed_base<W + 1, I + 1, true> operator-() const {
        return ap_fixed_base<W + 1, I + 1, true>::exactly(symbolic::sub(symbolic::constant(0, 0), V.value));
    }
    AP_INLINE ap_fixed_base operator+() const { return *this; }
    AP_INLINE bool operator!() const { return symbolic::compare(symbolic::EQ, V.value, symbolic::constant(0, 0)); }
    AP_INLINE ap_fixed_base operator~() const { return exactly(symbolic::of_bits(~symbolic::bits_of(V.value, Bits::kind()), Bits::kind())); }
    AP_INLINE ap_fixed_base operator<<(int by) const { return exactly(symbolic::shift(V.value, by, Bits::kind())); }
    AP_INLINE ap_fixed_base operator>>(int by) const { return exactly(symbolic::shift(V.value, -by, Bits::kind())); }
    AP_INLINE ap_fixed_base &operator<<=(int by) { return *this = *this << by; }
    AP_INLINE ap_fixed_base &operator>>=(int by) { return *this = *this >> by; }
    template <class T> AP_INLINE ap_fixed_base &operator+=(const T &x) { return *this = ap_fixed_base(*this + x); }
    template <class T> AP_INLINE ap_fixed_base &operator-=(const T &x) { return *this = ap_fixed_base(*this - x); }
    template <class T> AP_INLINE ap_fixed_base &operator*=(const T &x) { return *this = ap_fixed_base(*this * x); }
    template <class T> AP_INLINE ap_fixed_base &operator/=(const T &x) { return *this = ap_fixed_base(*this / x); }
    AP_INLINE ap_fixed_base &operator++() { return *this += 1; }
    AP_INLINE ap_fixed_base &operator--() { return *this -= 1; }
};

#define AP_TYPE(name, arguments, base, ...)                                                                                  \
    template <__VA_ARGS__> struct name : base {                                                                              \
        typedef base Base;                                                                                                   \
        AP_INLINE name() {}                                                                                                            \
        template <int W2, int I2, bool S2, ap_q_mode Q2, ap_o_mode O2, int N2>                                               \
        AP_INLINE name(const ap_fixed_base<W2, I2, S2, Q2, O2, N2> &x) : Base(x) {}                                                    \
        template <class T, class = std::enable_if_t<std::is_arithmetic<T>::value>> AP_INLINE name(T x) : Base(x) {}                    \
        template <class B> AP_INLINE name(const ap_range<B> &x) : Base(x) {}                                                           \
        AP_INLINE name(const char *text) : Base(text) {}                                                                               \
    };
#define AP_COMMA ,
AP_TYPE(ap_fixed, <W AP_COMMA I AP_COMMA Q AP_COMMA O AP_COMMA N>, ap_fixed_base<W AP_COMMA I AP_COMMA true AP_COMMA Q AP_COMMA O AP_COMMA N>,
        int W, int I, ap_q_mode Q = AP_TRN, ap_o_mode O = AP_WRAP, int N = 0)
AP_TYPE(ap_ufixed, <W AP_COMMA I AP_COMMA Q AP_COMMA O AP_COMMA N>, ap_fixed_base<W AP_COMMA I AP_COMMA false AP_COMMA Q AP_COMMA O AP_COMMA N>,
        int W, int I, ap_q_mode Q = AP_TRN, ap_o_mode O = AP_WRAP, int N = 0)
AP_TYPE(ap_int, <W>, ap_fixed_base<W AP_COMMA W AP_COMMA true>, int W)
AP_TYPE(ap_uint, <W>, ap_fixed_base<W AP_COMMA W AP_COMMA false>, int W)

#define AP_A template <int W1, int I1, bool S1, ap_q_mode Q1, ap_o_mode O1, int N1, int W2, int I2, bool S2, ap_q_mode Q2, ap_o_mode O2, int N2>
#define AP_X const ap_fixed_base<W1, I1, S1, Q1, O1, N1> &x
#define AP_Y const ap_fixed_base<W2, I2, S2, Q2, O2, N2> &y
constexpr int ap_max(int a, int b) { return a > b ? a : b; }

AP_A AP_INLINE auto operator*(AP_X, AP_Y) { return ap_fixed_base<W1 + W2, I1 + I2, S1 || S2>::exactly(symbolic::mul(x.V.value, y.V.value)); }
#define AP_SUM(sign, function, is_signed)                                                                                    \
    AP_A AP_INLINE auto operator sign(AP_X, AP_Y) {                                                                                    \
        constexpr int I = ap_max(I1 + (S2 && !S1), I2 + (S1 && !S2)) + 1, F = ap_max(W1 - I1, W2 - I2);                      \
        return ap_fixed_base<I + F, I, is_signed>::exactly(symbolic::function(x.V.value, y.V.value));                        \
    }
AP_SUM(+, add, (S1 || S2))
AP_SUM(-, sub, true)
AP_A AP_INLINE auto operator/(AP_X, AP_Y) {
    constexpr int W = S2 + W1 + ap_max(W2 - I2, 0), I = S2 + I1 + W2 - I2;
    return ap_fixed_base<W, I, S1 || S2>::exactly(symbolic::div(x.V.value, y.V.value, W - I));
}
#define AP_COMPARE(sign, relation)                                                                                           \
    AP_A AP_INLINE bool operator sign(AP_X, AP_Y) { return symbolic::compare(symbolic::relation, x.V.value, y.V.value); }
AP_COMPARE(>, GT)
AP_COMPARE(>=, GE)
AP_COMPARE(<, LT)
AP_COMPARE(<=, LE)
AP_COMPARE(==, EQ)
AP_COMPARE(!=, NE)

// Built-in numbers in arithmetic: integers are exact in a type of their size; a floating one only converts.
template <class T> using ap_of = ap_fixed_base<8 * sizeof(T), 8 * sizeof(T), std::is_signed<T>::value>;
#define AP_MIXED(sign)                                                                                                       \
    template <int W1, int I1, bool S1, ap_q_mode Q1, ap_o_mode O1, int N1, class T, class = std::enable_if_t<std::is_integral<T>::value>> \
    AP_INLINE auto operator sign(AP_X, T y) { return x sign ap_of<T>(y); }                                                             \
    template <int W1, int I1, bool S1, ap_q_mode Q1, ap_o_mode O1, int N1, class T, class = std::enable_if_t<std::is_integral<T>::value>> \
    AP_INLINE auto operator sign(T y, AP_X) { return ap_of<T>(y) sign x; }                                                             \
    template <int W1, int I1, bool S1, ap_q_mode Q1, ap_o_mode O1, int N1>                                                   \
    AP_INLINE auto operator sign(AP_X, double y) { return x.to_double() sign y; }                                                      \
    template <int W1, int I1, bool S1, ap_q_mode Q1, ap_o_mode O1, int N1>                                                   \
    AP_INLINE auto operator sign(double y, AP_X) { return y sign x.to_double(); }
AP_MIXED(+)
AP_MIXED(-)
AP_MIXED(*)
AP_MIXED(/)
AP_MIXED(>)
AP_MIXED(>=)
AP_MIXED(<)
AP_MIXED(<=)
AP_MIXED(==)
AP_MIXED(!=)
AP_A AP_INLINE auto operator&(AP_X, AP_Y) { return x.to_int64() & y.to_int64(); }
AP_A AP_INLINE auto operator|(AP_X, AP_Y) { return x.to_int64() | y.to_int64(); }
AP_A AP_INLINE auto operator^(AP_X, AP_Y) { return x.to_int64() ^ y.to_int64(); }

template <int W, int I, bool S, ap_q_mode Q, ap_o_mode O, int N>
std::ostream &operator<<(std::ostream &out, const ap_fixed_base<W, I, S, Q, O, N> &x) { return out << x.to_double(); }
template <int W, int I, bool S, ap_q_mode Q, ap_o_mode O, int N>
std::istream &operator>>(std::istream &in, ap_fixed_base<W, I, S, Q, O, N> &x) {
    double read = 0;
    in >> read;
    x = read;
    return in;
}

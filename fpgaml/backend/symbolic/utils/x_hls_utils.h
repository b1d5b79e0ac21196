#pragma once
#include <limits>

#include "../ap_fixed.h"

namespace hls {
template <class T> struct numeric_limits {
    static T max() { return std::numeric_limits<T>::max(); }
    static T min() { return std::numeric_limits<T>::min(); }
};
#define HLS_LIMITS(type, is_signed, ...)                                                                                     \
    template <__VA_ARGS__> struct numeric_limits<type> {                                                                     \
        typedef type T;                                                                                                      \
        static T of(uint64_t bits) {                                                                                         \
            T x;                                                                                                             \
            x.V.value = symbolic::of_bits(bits, T::Bits::kind());                                                            \
            return x;                                                                                                        \
        }                                                                                                                    \
        static T max() { return of((uint64_t(1) << (W - is_signed)) - 1); }                                                  \
        static T min() { return of(is_signed ? uint64_t(1) << (W - 1) : 0); }                                                \
        static T epsilon() { return of(1); }                                                                                 \
    };
HLS_LIMITS(ap_fixed<W AP_COMMA I AP_COMMA Q AP_COMMA O>, 1, int W, int I, ap_q_mode Q, ap_o_mode O)
HLS_LIMITS(ap_ufixed<W AP_COMMA I AP_COMMA Q AP_COMMA O>, 0, int W, int I, ap_q_mode Q, ap_o_mode O)
HLS_LIMITS(ap_int<W>, 1, int W)
HLS_LIMITS(ap_uint<W>, 0, int W)
} // namespace hls

// Only compiled, never executed: no layer of ours calls these.
#pragma once
#include "ap_fixed.h"
namespace hls {
#define HLS_FUNCTION(name) template <class T> T name(T x) { return T(std::name(x.to_double())); }
HLS_FUNCTION(exp)
HLS_FUNCTION(sin)
HLS_FUNCTION(cos)
HLS_FUNCTION(asin)
HLS_FUNCTION(acos)
HLS_FUNCTION(atan)
HLS_FUNCTION(log)
HLS_FUNCTION(sqrt)
HLS_FUNCTION(tanh)
} // namespace hls

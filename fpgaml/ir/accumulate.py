"""Exact accumulators: for every tensor of a Network, the interval no code and no partial sum can leave.

    intervals(network)     {layer: Interval of its output codes}
    tensor_types(network)  {layer: FixedPoint of its output}

A Dense or Conv layer's output is its accumulator. With the input codes in [lo, hi], lo <= 0 <= hi, and the
*actual* weights w, an output can reach, in any order of summation,

    low  = sum of w * hi over the negative w  +  sum of w * lo over the positive w  +  min(bias, 0)
    high = sum of w * hi over the positive w  +  sum of w * lo over the negative w  +  max(bias, 0)

and a type with that range and ``max(x.fraction + w.fraction, bias.fraction)`` fraction bits never rounds and
never overflows. So the order in which hardware adds cannot matter, and one integer product defines the result.

Source: interval arithmetic; checked against ``nnet::dense_latency`` and friends in tests/backend/test_csim.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import singledispatch
from math import prod

import numpy as np

from fpgaml.errors import ConfigError, UnsupportedLayer
from fpgaml.ir.fixed import MAX_WIDTH, Codes, FixedPoint, Overflow, smallest
from fpgaml.ir.network import (
    Activation,
    Add,
    Affine,
    ArgMax,
    AveragePool,
    Concatenate,
    Conv,
    Dense,
    DepthwiseConv,
    Flatten,
    Function,
    Input,
    Layer,
    MaxPool,
    Multiply,
    Network,
    Pad,
    PRelu,
    Reshape,
    Result,
    Table,
    Upsample,
    Weights,
    once,
)


@dataclass(frozen=True)
class Interval:
    """Integer codes from `low` to `high`, with `fraction` fraction bits."""

    low: int
    high: int
    fraction: int

    @classmethod
    def of(cls, kind: FixedPoint) -> Interval:
        """Every code of a type."""
        return cls(kind.low, kind.high, kind.fraction)

    def at(self, fraction: int) -> Interval:
        """The same values on a finer grid of `fraction` bits."""
        up = fraction - self.fraction
        return Interval(self.low << up, self.high << up, fraction)

    @property
    def size(self) -> int:
        """Largest absolute code."""
        return max(-self.low, self.high)

    @property
    def bits(self) -> int:
        """Bits of the narrowest signed type that holds it; may be more than any type can have."""
        return max(2, 1 + max((~code if code < 0 else code).bit_length() for code in (self.low, self.high)))


@once
def intervals(network: Network) -> Mapping[str, Interval]:
    """Return the codes each layer's output can take, for any input whatever. For accumulators, partial sums too.

    Raises: ConfigError if an accumulator, or what is computed before a cast, would need more than 63 bits.
    """
    found: dict[str, Interval] = {}
    for layer in network:
        found[layer.name] = _fitting(layer, output_interval(layer, *(found[s] for s in layer.sources)))
    return found


def _fitting(layer: Layer, interval: Interval) -> Interval:
    """Return `interval` if an int64 holds it. Raises: ConfigError that names the layer."""
    if interval.bits > MAX_WIDTH:
        raise ConfigError(
            f"layer {layer.name!r} needs {interval.bits} bits to be exact, more than {MAX_WIDTH}: "
            "give its weights or its input fewer bits"
        )
    return interval


@once
def tensor_types(network: Network) -> Mapping[str, FixedPoint]:
    """Return the type of each layer's output: stated where the layer states one, else the exact one."""
    ranges = intervals(network)
    found: dict[str, FixedPoint] = {}
    for layer in network:
        found[layer.name] = output_type(layer, ranges[layer.name], tuple(found[s] for s in layer.sources))
    return found


def output_type(layer: Layer, interval: Interval, sources: tuple[FixedPoint, ...]) -> FixedPoint:
    """Return the type of one layer's output, for the interval of its codes and the types it reads."""
    if layer.stated is not None:
        return layer.stated
    read = {FixedPoint(s.width, s.integer, s.signed) for s in sources}  # nothing is rounded here: the modes go
    if layer.result is Result.MOVED and len(read) == 1:
        return read.pop()
    return smallest(interval.low, interval.high, interval.fraction, signed=True)


@singledispatch
def output_interval(layer: Layer, *inputs: Interval) -> Interval:
    """Return the interval of a layer's output codes for those of its inputs."""
    raise UnsupportedLayer(f"layer {layer.name!r}: no interval rule for a {type(layer).__name__}")


@output_interval.register
def _(layer: Input, *inputs: Interval) -> Interval:
    return Interval.of(layer.type)


@output_interval.register
def _(layer: Dense, *inputs: Interval) -> Interval:
    return _weighted_sum(layer.kernel, layer.bias, inputs[0])


@output_interval.register
def _(layer: Conv, *inputs: Interval) -> Interval:
    return _weighted_sum(layer.kernel, layer.bias, inputs[0])


@output_interval.register
def _(layer: DepthwiseConv, *inputs: Interval) -> Interval:
    return _weighted_sum(layer.kernel, layer.bias, inputs[0])


@output_interval.register
def _(layer: Affine, *inputs: Interval) -> Interval:
    scale = Weights(layer.scale.codes.reshape(1, -1), layer.scale.type)
    return _weighted_sum(scale, layer.bias, inputs[0])


@output_interval.register(MaxPool)
@output_interval.register(Flatten)
@output_interval.register(Reshape)
@output_interval.register(Upsample)
def _(layer: Layer, *inputs: Interval) -> Interval:
    return inputs[0]


@output_interval.register
def _(layer: Pad, *inputs: Interval) -> Interval:
    return Interval(min(inputs[0].low, 0), max(inputs[0].high, 0), inputs[0].fraction)


@output_interval.register
def _(layer: AveragePool, *inputs: Interval) -> Interval:
    _fitting(layer, quotient(layer, inputs[0]))
    return _cast(inputs[0], layer.type)


def quotient(layer: AveragePool, x: Interval) -> Interval:
    """Return the sums of windows on the grid that they are divided on: two bits finer than both x and the mean."""
    count = prod(layer.window)
    return Interval(x.low * count, x.high * count, x.fraction).at(max(x.fraction, layer.type.fraction) + 2)


@output_interval.register
def _(layer: Activation, *inputs: Interval) -> Interval:
    return _cast(_fitting(layer, before_cast(layer, inputs[0])), layer.type)


@singledispatch
def before_cast(layer: Layer, x: Interval) -> Interval:
    """Return what a layer makes of `x` before it casts: `x` itself, unless it is an Activation with a function."""
    return x


@before_cast.register
def _(layer: Activation, x: Interval) -> Interval:
    """ReLU is exact too, on a finer grid if it has a slope."""
    if layer.function is Function.LINEAR:
        return x
    if layer.slope == 0:
        return Interval(max(x.low, 0), max(x.high, 0), x.fraction)
    code, up = layer.slope_code
    fine = x.at(x.fraction + up)
    ends = [min(x.low, 0) * code, min(x.high, 0) * code, max(fine.low, 0), max(fine.high, 0)]
    return Interval(min(ends), max(ends), fine.fraction)


@output_interval.register
def _(layer: PRelu, *inputs: Interval) -> Interval:
    x, slopes = inputs[0], layer.slopes
    fine = x.at(x.fraction + max(slopes.type.fraction, 0))
    up = 1 << max(-slopes.type.fraction, 0)
    extremes = (int(slopes.codes.min()) * up, int(slopes.codes.max()) * up)
    ends = [min(end, 0) * slope for end in (x.low, x.high) for slope in extremes]
    ends += [max(fine.low, 0), max(fine.high, 0)]
    return Interval(min(ends), max(ends), fine.fraction)


@output_interval.register
def _(layer: Table, *inputs: Interval) -> Interval:
    codes = layer.table.codes
    return Interval(int(codes.min()), int(codes.max()), layer.table.type.fraction)


@output_interval.register
def _(layer: ArgMax, *inputs: Interval) -> Interval:
    return Interval(0, 1, 0)


@output_interval.register
def _(layer: Add, *inputs: Interval) -> Interval:
    fine = _aligned(inputs)
    return Interval(
        sum(min(i.low, 0) for i in fine) if len(fine) > 2 else sum(i.low for i in fine),
        sum(max(i.high, 0) for i in fine) if len(fine) > 2 else sum(i.high for i in fine),
        fine[0].fraction,
    )


@output_interval.register
def _(layer: Multiply, *inputs: Interval) -> Interval:
    ends = [a * b for a in (inputs[0].low, inputs[0].high) for b in (inputs[1].low, inputs[1].high)]
    return Interval(min(ends), max(ends), inputs[0].fraction + inputs[1].fraction)


@output_interval.register
def _(layer: Concatenate, *inputs: Interval) -> Interval:
    fine = _aligned(inputs)
    return Interval(min(i.low for i in fine), max(i.high for i in fine), fine[0].fraction)


@singledispatch
def codes_before_cast(layer: Layer, codes: Codes, fraction: int) -> tuple[Codes, int]:
    """Return what a layer casts, of codes with `fraction` fraction bits: exact codes and their fraction bits."""
    return codes, fraction


@codes_before_cast.register
def _(layer: Activation, codes: Codes, fraction: int) -> tuple[Codes, int]:
    if layer.function is Function.LINEAR:
        return codes, fraction
    if layer.slope == 0:
        return np.maximum(codes, 0), fraction
    code, up = layer.slope_code
    return np.where(codes < 0, codes * code, codes << up), fraction + up


def _aligned(inputs: tuple[Interval, ...]) -> list[Interval]:
    fraction = max(i.fraction for i in inputs)
    return [i.at(fraction) for i in inputs]


def _weighted_sum(kernel: Weights, bias: Weights, x: Interval) -> Interval:
    """Return the accumulator interval. kernel: (..., outputs), summed over all axes but the last."""
    fraction = max(x.fraction + kernel.type.fraction, bias.type.fraction)
    flat = kernel.codes.reshape(-1, kernel.codes.shape[-1])
    if kernel.type.width + len(flat).bit_length() > MAX_WIDTH:
        flat = flat.astype(object)  # Python integers cannot overflow; for all others the sums fit int64
    positive = np.maximum(flat, 0).sum(axis=0).astype(object)
    negative = np.minimum(flat, 0).sum(axis=0).astype(object)
    offset = bias.codes.astype(object) * (1 << (fraction - bias.type.fraction))
    low, high = min(x.low, 0), max(x.high, 0)
    up = 1 << (fraction - x.fraction - kernel.type.fraction)
    lows = (negative * high + positive * low) * up + np.minimum(offset, 0)
    highs = (positive * high + negative * low) * up + np.maximum(offset, 0)
    return Interval(int(lows.min(initial=0)), int(highs.max(initial=0)), fraction)


def _cast(x: Interval, kind: FixedPoint) -> Interval:
    """Return the codes that a cast of `x` to `kind` can give (casts are monotone unless they wrap or zero)."""
    ends = np.array([x.low, x.high])
    if kind.overflow in (Overflow.SAT, Overflow.SAT_SYM):
        low, high = kind.cast(ends, x.fraction)
        return Interval(int(low), int(high), kind.fraction)
    if x.at(max(x.fraction, kind.fraction)).bits > MAX_WIDTH:
        return Interval.of(kind)
    low, high = _unbounded(kind).cast(ends, x.fraction)
    return Interval(int(low), int(high), kind.fraction) if kind.holds([low, high]) else Interval.of(kind)


def _unbounded(kind: FixedPoint) -> FixedPoint:
    """The same grid and rounding with as many bits as there are."""
    return FixedPoint(MAX_WIDTH, MAX_WIDTH - kind.fraction, True, kind.rounding, Overflow.SAT)

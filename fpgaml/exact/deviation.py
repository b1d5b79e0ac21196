"""How far a rounded weight can move a network from the real numbers: a bound, layer by layer, for any input whatever.

    reach(network, real)         how far a value can be off just before a cast, in steps of that cast; at worst
    off_grid(network, layers)    which layers are off at all: up to the next cast

Where weights were rounded to a grid, each layer behind them gives something else than with the real ones, by no more
than its rule says. A cast ends that as far as a bound can tell: if a value is off by less than half a step, its code is
the right one or, near a tie, the next one; whether any code is another one is for data to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import singledispatch

import numpy as np

from fpgaml.ir.accumulate import Interval, before_cast, intervals
from fpgaml.ir.fixed import Floats, Overflow
from fpgaml.ir.network import (
    Activation,
    Add,
    Affine,
    AveragePool,
    Concatenate,
    Conv,
    Dense,
    DepthwiseConv,
    Flatten,
    Layer,
    MaxPool,
    Multiply,
    Network,
    Pad,
    PRelu,
    Reshape,
    Upsample,
    Weights,
    weights_of,
)

Real = Mapping[str, Mapping[str, Floats]]  # {layer: {field: the real values of weights that were rounded}}


def casts(layer: Layer, xs: tuple[Interval, ...]) -> bool:
    """Return whether a layer rounds or saturates: brings its result to a stated grid that does not hold every value."""
    kind = layer.cast or layer.stated
    if kind is None or not xs:
        return False
    if kind.overflow is not Overflow.WRAP or layer.own_type is None or layer.divisor.bit_count() != 1:
        return True
    x = before_cast(layer, xs[0])
    if kind.fraction < x.fraction + layer.divisor.bit_length() - 1:
        return True
    fine = x.at(kind.fraction)
    return not kind.low <= fine.low <= fine.high <= kind.high


def off_grid(network: Network, first: Mapping[str, object]) -> set[str]:
    """Return the layers of `first` and all that read them, up to the next cast."""
    found: set[str] = set()
    ranges = intervals(network)
    for layer in network:
        open_ = not casts(layer, tuple(ranges[s] for s in layer.sources))
        if layer.name in first or (found.intersection(layer.sources) and open_):
            found.add(layer.name)
    return found


def reach(network: Network, real: Real) -> float:
    """Return the largest error just before a cast, in steps of that cast; infinity where a layer has no bound.

    real: the values that weights had before they were rounded.
    """
    ranges = intervals(network)
    error = {layer.name: 0.0 for layer in network}
    steps: list[float] = []
    for layer in network:
        before, xs = tuple(error[s] for s in layer.sources), tuple(ranges[s] for s in layer.sources)
        off = carried(layer, xs, before) if any(before) else 0.0
        if layer.name in real:
            off += _own(layer, largest(ranges[layer.sources[0]]) + before[0], real[layer.name])
        kind = layer.cast or layer.stated
        if kind is not None and casts(layer, xs):
            if any(before):
                steps.append(off / kind.step)
            off = 0.0
        error[layer.name] = off
    return max(steps, default=0.0)


def _own(layer: Layer, x: float, real: Mapping[str, Floats]) -> float:
    """Return how far the rounding of its own weights moves a layer's result, for inputs up to the size `x`."""
    off = {field: np.abs(_values(layer, field) - values) for field, values in real.items()}
    parts = [array.reshape(-1, array.shape[-1]).sum(axis=0) * x for name, array in off.items() if name == "kernel"]
    parts += [array * x for name, array in off.items() if name in ("scale", "slopes", "slope")]
    parts += [array for name, array in off.items() if name == "bias"]
    return float(sum(np.max(part, initial=0.0) for part in parts))


def _values(layer: Layer, field: str) -> Floats:
    found = getattr(layer, field)
    return found.values if isinstance(found, Weights) else np.array([found])


def largest(x: Interval) -> float:
    """Return the largest absolute value in an interval."""
    return float(np.ldexp(float(x.size), -x.fraction))


@singledispatch
def carried(layer: Layer, ranges: tuple[Interval, ...], errors: tuple[float, ...]) -> float:
    """Return how far a layer's result can be off if what it reads is off by `errors`; infinity where no rule says."""
    return float("inf")


@carried.register(MaxPool)
@carried.register(AveragePool)
@carried.register(Flatten)
@carried.register(Reshape)
@carried.register(Pad)
@carried.register(Upsample)
@carried.register(Concatenate)
def _(layer: Layer, ranges: tuple[Interval, ...], errors: tuple[float, ...]) -> float:
    return max(errors)


@carried.register
def _(layer: Activation, ranges: tuple[Interval, ...], errors: tuple[float, ...]) -> float:
    return errors[0] * max(1.0, abs(layer.slope))


@carried.register
def _(layer: PRelu, ranges: tuple[Interval, ...], errors: tuple[float, ...]) -> float:
    return errors[0] * max(1.0, float(np.abs(layer.slopes.values).max(initial=0.0)))


@carried.register
def _(layer: Affine, ranges: tuple[Interval, ...], errors: tuple[float, ...]) -> float:
    return errors[0] * float(np.abs(layer.scale.values).max(initial=0.0))


@carried.register
def _(layer: Dense | Conv | DepthwiseConv, ranges: tuple[Interval, ...], errors: tuple[float, ...]) -> float:
    kernel = np.abs(weights_of(layer)["kernel"].values)
    return errors[0] * float(kernel.reshape(-1, kernel.shape[-1]).sum(axis=0).max(initial=0.0))


@carried.register
def _(layer: Add, ranges: tuple[Interval, ...], errors: tuple[float, ...]) -> float:
    return sum(errors)


@carried.register
def _(layer: Multiply, ranges: tuple[Interval, ...], errors: tuple[float, ...]) -> float:
    (one, other), (first, second) = errors, (largest(x) for x in ranges)
    return one * second + other * first + one * other

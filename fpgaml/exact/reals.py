"""Run a network whose scales are real numbers, in float64: what rounding them to a grid, or float32, departs from.

    values(network, real, codes)      {layer: values (images, *shape)}, with the weights in `real` instead of its own

Casts and tables are those of the network; all else keeps 53 bits. So this is no definition of right, as emulate.py is:
it is what tells the causes of a difference apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import singledispatch
from math import prod

import numpy as np

from fpgaml.exact.deviation import Real, casts
from fpgaml.exact.emulate import Place, pool_counts, prepare
from fpgaml.ir.accumulate import Interval, intervals, output_interval
from fpgaml.ir.fixed import Codes, Floats
from fpgaml.ir.network import Activation, Affine, AveragePool, Function, Layer, Network, PRelu, Shape, Table

CHUNK_VALUES = 1 << 20  # of the largest tensor, at a time
WIDE = 1 << 40  # a range for which the emulator takes float64


def values(network: Network, real: Real, codes: Codes) -> dict[str, Floats]:
    """Return every layer's values for input `codes` (images, *shape)."""
    largest = max(prod(shape) for shape in network.shapes.values())
    chunk = max(1, CHUNK_VALUES // largest)
    parts = [_some(network, real, codes[at : at + chunk]) for at in range(0, len(codes), chunk)]
    return {name: np.concatenate([part[name] for part in parts]) for name in network.shapes}


def _some(network: Network, real: Real, codes: Codes) -> dict[str, Floats]:
    found, ranges = {network.input.name: network.input.type.decode(codes)}, intervals(network)
    for layer in network.layers[1:]:
        shapes = (*(network.shapes[s] for s in layer.sources), network.shapes[layer.name])
        y = result(layer, real.get(layer.name, {}), shapes, *(found[s] for s in layer.sources))
        if layer.own_type is not None and casts(layer, tuple(ranges[s] for s in layer.sources)):
            y = layer.own_type.decode(layer.own_type.encode(y))
        found[layer.name] = y
    return found


@singledispatch
def result(layer: Layer, real: Mapping[str, Floats], shapes: tuple[Shape, ...], *xs: Floats) -> Floats:
    """Return a layer's result for what it reads, before it casts: the emulator's, on numbers that are no integers.

    shapes: of what it reads, and of its result.
    """
    *before, after = shapes
    wide = tuple(Interval(-WIDE, WIDE, 0) for _ in xs)
    fraction = output_interval(layer, *wide).fraction
    step = prepare(layer, Place(wide, tuple(before), Interval(-WIDE, WIDE, fraction), after))
    return np.ldexp(np.asarray(step(*xs), np.float64), -fraction)


@result.register
def _(layer: Affine, real: Mapping[str, Floats], shapes: tuple[Shape, ...], *xs: Floats) -> Floats:
    return xs[0] * real.get("scale", layer.scale.values) + real.get("bias", layer.bias.values)


@result.register
def _(layer: PRelu, real: Mapping[str, Floats], shapes: tuple[Shape, ...], *xs: Floats) -> Floats:
    return np.where(xs[0] < 0, xs[0] * real.get("slopes", layer.slopes.values), xs[0])


@result.register
def _(layer: Activation, real: Mapping[str, Floats], shapes: tuple[Shape, ...], *xs: Floats) -> Floats:
    slope = float(real["slope"][0]) if "slope" in real else layer.slope
    return xs[0] if layer.function is Function.LINEAR else np.where(xs[0] < 0, xs[0] * slope, xs[0])


@result.register
def _(layer: Table, real: Mapping[str, Floats], shapes: tuple[Shape, ...], *xs: Floats) -> Floats:
    return layer.table.values[layer.index.encode(xs[0]) - layer.index.low]


@result.register
def _(layer: AveragePool, real: Mapping[str, Floats], shapes: tuple[Shape, ...], *xs: Floats) -> Floats:
    padded = np.pad(xs[0], ((0, 0), *layer.padding, (0, 0)))
    axes = tuple(range(1, padded.ndim - 1))
    windows = np.lib.stride_tricks.sliding_window_view(padded, layer.window, axis=axes)
    steps = (slice(None), *(slice(None, None, s) for s in layer.strides))
    total = windows[steps].sum(axis=tuple(range(-len(axes), 0)))
    return np.asarray(total / pool_counts(layer, *shapes)[..., None], np.float64)

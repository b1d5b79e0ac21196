"""The slow, obvious form of the emulator's arithmetic: Python integers, one value at a time."""

from fractions import Fraction
from itertools import product
from math import ceil, floor, prod

import numpy as np

from fpgaml.ir.accumulate import tensor_types
from fpgaml.ir.fixed import Overflow, Rounding
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
    MaxPool,
    Multiply,
    Pad,
    Reshape,
    Table,
)


def cast(value, kind):
    """Return the code of an exact rational `value` in `kind`."""
    s = value * Fraction(2) ** kind.fraction
    half = Fraction(1, 2)
    match kind.rounding:
        case Rounding.TRN:
            n = floor(s)
        case Rounding.TRN_ZERO:
            n = floor(s) if s >= 0 else ceil(s)
        case Rounding.RND:
            n = floor(s + half)
        case Rounding.RND_MIN_INF:
            n = ceil(s - half)
        case Rounding.RND_INF:
            n = floor(s + half) if s >= 0 else ceil(s - half)
        case Rounding.RND_ZERO:
            n = ceil(s - half) if s >= 0 else floor(s + half)
        case Rounding.RND_CONV:
            n = round(s)
    if kind.overflow is Overflow.WRAP:
        n %= 1 << kind.width
        return n - (1 << kind.width) if kind.signed and n >> (kind.width - 1) else n
    if kind.overflow is Overflow.SAT_ZERO:
        return n if kind.low <= n <= kind.high else 0
    return min(max(n, kind.low), kind.high)


def run(network, image):
    """Return {layer: codes} for one image of input codes, by exact rational arithmetic."""
    types = tensor_types(network)
    values = {}
    for layer in network:
        inputs = [values[s] for s in layer.sources]
        shape = network.shapes[layer.name]
        made = np.empty(shape, object)
        for at in np.ndindex(shape):
            made[at] = element(layer, inputs, at, image, shape, types)
        values[layer.name] = made
    return {
        name: np.array([int(v * Fraction(2) ** types[name].fraction) for v in made.ravel()]).reshape(made.shape)
        for name, made in values.items()
    }


def value(code, kind):
    return int(code) * Fraction(2) ** -kind.fraction


def element(layer, inputs, at, image, shape, types):
    x = inputs[0] if inputs else None
    match layer:
        case Input():
            return value(image[at], layer.type)
        case Dense():
            kernel, bias = layer.kernel, layer.bias
            total = value(bias.codes[at[-1]], bias.type)
            return total + sum(
                x[(*at[:-1], i)] * value(kernel.codes[i, at[-1]], kernel.type) for i in range(x.shape[-1])
            )
        case Conv():
            *window, channels, _ = layer.kernel.codes.shape
            total = value(layer.bias.codes[at[-1]], layer.bias.type)
            for tap, pixel in taps(layer, x, at, window):
                if pixel is not None:
                    for c in range(channels):
                        total += x[(*pixel, c)] * value(layer.kernel.codes[(*tap, c, at[-1])], layer.kernel.type)
            return total
        case DepthwiseConv():
            window = layer.kernel.codes.shape[:-1]
            total = value(layer.bias.codes[at[-1]], layer.bias.type)
            for tap, pixel in taps(layer, x, at, window):
                if pixel is not None:
                    total += x[(*pixel, at[-1])] * value(layer.kernel.codes[(*tap, at[-1])], layer.kernel.type)
            return total
        case MaxPool():
            return max(x[(*pixel, at[-1])] for _, pixel in taps(layer, x, at, layer.window) if pixel is not None)
        case AveragePool():
            seen = [x[(*pixel, at[-1])] for _, pixel in taps(layer, x, at, layer.window) if pixel is not None]
            return value(cast(sum(seen, Fraction(0)) / len(seen), layer.type), layer.type)
        case Activation():
            v = x[at]
            if layer.function is Function.RELU and v < 0:
                v *= Fraction(layer.slope)
            return value(cast(v, layer.type), layer.type)
        case ArgMax():
            return Fraction(int(at[0] == int(np.argmax(x))))
        case Table():
            return value(layer.table.codes[cast(x[at], layer.index) - layer.index.low], layer.table.type)
        case Affine():
            return x[at] * value(layer.scale.codes[at[-1]], layer.scale.type) + value(
                layer.bias.codes[at[-1]], layer.bias.type
            )
        case Flatten() | Reshape():
            return x[np.unravel_index(int(np.ravel_multi_index(at, shape)), x.shape)]
        case Pad():
            inner = tuple(i - a for i, (a, _) in zip(at, layer.padding, strict=False))
            inside = all(0 <= i < n for i, n in zip(inner, x.shape, strict=False))
            return x[(*inner, at[-1])] if inside else Fraction(0)
        case Add():
            return sum((v[at] for v in inputs), Fraction(0))
        case Multiply():
            return inputs[0][at] * inputs[1][at]
        case Concatenate():
            channel = at[-1]
            for v in inputs:
                if channel < v.shape[-1]:
                    return v[(*at[:-1], channel)]
                channel -= v.shape[-1]
    raise AssertionError(layer)


def taps(layer, x, at, window):
    """Yield (place in the window, pixel or None where it is padding)."""
    assert prod(window) > 0
    for tap in product(*(range(k) for k in window)):
        pixel = tuple(i * s + t - a for i, s, t, (a, _) in zip(at, layer.strides, tap, layer.padding, strict=False))
        yield tap, pixel if all(0 <= p < n for p, n in zip(pixel, x.shape, strict=False)) else None

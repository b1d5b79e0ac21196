"""The slow, obvious form of ranges, types and emulation: exact rational numbers, one value at a time.

    run(network, image)   {layer: codes} for one image
    ranges(network)       {layer: (low, high) as values}: what no output and, of an accumulator, no partial sum leaves
    types(network)        {layer: FixedPoint}

It is what accumulate.py and emulate.py are judged by, so it takes nothing from them: no interval, no type, no cast, and
of a FixedPoint only the five things that it is made of.
"""

from fractions import Fraction
from itertools import product
from math import ceil, floor, prod

import numpy as np

from fpgaml.ir.fixed import FixedPoint, Overflow, Rounding
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
    PRelu,
    Reshape,
    Table,
    Upsample,
)


def limits(kind):
    """Return the lowest and the highest code of a type."""
    if not kind.signed:
        return 0, 2**kind.width - 1
    high = 2 ** (kind.width - 1) - 1
    return -high if kind.overflow is Overflow.SAT_SYM else -high - 1, high


def unit(kind):
    """Return the value of a type's last place."""
    return Fraction(2) ** (kind.integer - kind.width)


def rounded(value, kind):
    """Return an exact rational `value` in units of the last place of `kind`, rounded, whether it fits or not."""
    s = value / unit(kind)
    half = Fraction(1, 2)
    match kind.rounding:
        case Rounding.TRN:
            return floor(s)
        case Rounding.TRN_ZERO:
            return floor(s) if s >= 0 else ceil(s)
        case Rounding.RND:
            return floor(s + half)
        case Rounding.RND_MIN_INF:
            return ceil(s - half)
        case Rounding.RND_INF:
            return floor(s + half) if s >= 0 else ceil(s - half)
        case Rounding.RND_ZERO:
            return ceil(s - half) if s >= 0 else floor(s + half)
        case Rounding.RND_CONV:
            return round(s)


def cast(value, kind):
    """Return the code of an exact rational `value` in `kind`."""
    n, (low, high) = rounded(value, kind), limits(kind)
    if low <= n <= high:
        return n
    match kind.overflow:
        case Overflow.WRAP:
            n %= 2**kind.width
            return n - 2**kind.width if n > high else n
        case Overflow.SAT_ZERO:
            return 0
        case _:
            return min(max(n, low), high)


def run(network, image):
    """Return {layer: codes} for one image of input codes, by exact rational arithmetic."""
    kinds = types(network)
    values = {}
    for layer in network:
        inputs = [values[s] for s in layer.sources]
        shape = network.shapes[layer.name]
        made = np.empty(shape, object)
        for at in np.ndindex(shape):
            made[at] = element(layer, inputs, at, image, shape)
        values[layer.name] = made
    return {name: np.array(codes_of(made.ravel(), kinds[name])).reshape(made.shape) for name, made in values.items()}


def codes_of(values, kind):
    """Return exact values as codes of a type whose grid they are on."""
    scaled = [v / unit(kind) for v in values]
    assert all(s.denominator == 1 for s in scaled)
    return [int(s) for s in scaled]


def value(code, kind):
    return int(code) * unit(kind)


def element(layer, inputs, at, image, shape):
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
        case PRelu(slopes=slopes):
            own = tuple(0 if size == 1 else i for i, size in zip(at, slopes.codes.shape, strict=True))
            return x[at] if x[at] > 0 else x[at] * value(slopes.codes[own], slopes.type)
        case ArgMax():
            return Fraction(int(at[0] == int(np.argmax(x))))
        case Table():
            return value(layer.table.codes[cast(x[at], layer.index) - limits(layer.index)[0]], layer.table.type)
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
        case Upsample():
            return x[(*(i // factor for i, factor in zip(at, layer.factors, strict=False)), at[-1])]
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


def ranges(network):
    """Return {layer: (low, high)} as exact values, for any input whatever; of accumulators, partial sums too."""
    found = {}
    for layer in network:
        found[layer.name] = output_range(layer, [found[s] for s in layer.sources])
    return found


def output_range(layer, inputs):
    x = inputs[0] if inputs else None
    match layer:
        case Input(type=kind):
            return whole(kind)
        case Dense(kernel=kernel, bias=bias) | Conv(kernel=kernel, bias=bias) | DepthwiseConv(kernel=kernel, bias=bias):
            return partial_sums(kernel, bias, x)
        case Affine(scale=scale, bias=bias):
            return partial_sums(scale, bias, x)
        case MaxPool() | Flatten() | Reshape() | Upsample():
            return x
        case Pad():
            return min(x[0], 0), max(x[1], 0)
        case AveragePool(type=kind):
            return cast_range(x, kind)
        case Activation(type=kind):
            return cast_range(function_range(layer, x), kind)
        case PRelu(slopes=slopes):
            ends = [min(v, 0) * value(code, slopes.type) for v in x for code in slopes.codes.ravel()]
            ends += [max(v, 0) for v in x]
            return min(ends), max(ends)
        case Table(table=table):
            entries = [value(code, table.type) for code in table.codes]
            return min(entries), max(entries)
        case ArgMax():
            return Fraction(0), Fraction(1)
        case Add() if len(inputs) == 2:
            return x[0] + inputs[1][0], x[1] + inputs[1][1]
        case Add():  # of three, hardware adds any two first
            return sum(min(low, 0) for low, _ in inputs), sum(max(high, 0) for _, high in inputs)
        case Multiply():
            products = [a * b for a, b in product(*inputs)]
            return min(products), max(products)
        case Concatenate():
            return min(low for low, _ in inputs), max(high for _, high in inputs)
    raise AssertionError(layer)


def whole(kind):
    low, high = limits(kind)
    return value(low, kind), value(high, kind)


def partial_sums(kernel, bias, x):
    """Return the lowest and the highest sum of any of the terms of any output. kernel: (..., outputs)."""
    low = high = Fraction(0)
    columns = kernel.codes.reshape(-1, kernel.codes.shape[-1]).T
    for column, offset in zip(columns, bias.codes, strict=True):
        terms = [[value(w, kernel.type) * end for end in x] for w in column if w]
        terms.append([value(offset, bias.type)])
        low = min(low, sum(min(0, *ends) for ends in terms))
        high = max(high, sum(max(0, *ends) for ends in terms))
    return low, high


def function_range(layer, x):
    """Return what an Activation makes of a range before its cast; a slope's counts 0 in."""
    if layer.function is Function.LINEAR:
        return x
    if not layer.slope:
        return max(x[0], 0), max(x[1], 0)
    ends = [min(v, 0) * Fraction(layer.slope) for v in x] + [max(v, 0) for v in x]
    return min(ends), max(ends)


def cast_range(x, kind):
    """Return what a cast makes of a range: its ends, cast, where the overflow mode keeps their order."""
    if kind.overflow in (Overflow.SAT, Overflow.SAT_SYM):
        return tuple(value(cast(end, kind), kind) for end in x)
    low, high = limits(kind)
    if low <= rounded(x[0], kind) and rounded(x[1], kind) <= high:
        return tuple(rounded(end, kind) * unit(kind) for end in x)
    return whole(kind)


def types(network):
    """Return {layer: FixedPoint}: stated where the layer states one, else the narrowest signed one of its range."""
    found, reach = {}, ranges(network)
    for layer in network:
        inputs = [found[s] for s in layer.sources]
        found[layer.name] = output_type(layer, inputs, reach[layer.name])
    return found


def output_type(layer, inputs, reach):
    match layer:
        case Input(type=kind) | Activation(type=kind) | AveragePool(type=kind):
            return kind
        case Table(table=table):
            return table.type
        case ArgMax():
            return FixedPoint(1, 1, False)
        case MaxPool() | Flatten() | Reshape() | Pad() | Upsample():
            return plain(inputs[0])
        case Concatenate() if len({plain(one) for one in inputs}) == 1:
            return plain(inputs[0])
    place = last_place(layer, [unit(one) for one in inputs])
    width = 2
    while not -(2 ** (width - 1)) * place <= reach[0] <= reach[1] <= (2 ** (width - 1) - 1) * place:
        width += 1
    return FixedPoint(width, width + place.numerator.bit_length() - place.denominator.bit_length(), True)


def last_place(layer, units):
    """Return the value of the last place of an exact result, for those of its inputs."""
    match layer:
        case Dense(kernel=kernel, bias=bias) | Conv(kernel=kernel, bias=bias) | DepthwiseConv(kernel=kernel, bias=bias):
            return min(units[0] * unit(kernel.type), unit(bias.type))
        case Affine(scale=scale, bias=bias):
            return min(units[0] * unit(scale.type), unit(bias.type))
        case Multiply():
            return units[0] * units[1]
        case PRelu(slopes=slopes):
            return units[0] * min(unit(slopes.type), 1)
        case Add() | Concatenate():
            return min(units)
    raise AssertionError(layer)


def plain(kind):
    """Return a type without its modes: what only moves values does not round."""
    return FixedPoint(kind.width, kind.integer, kind.signed)

"""Run a Network exactly, in integer codes: the definition of "right" that everything else is checked against.

    run(network, codes)            output codes of the last layer
    trace(network, codes, names)   output codes of the named layers (default: all), by name

Images come and go as integer codes, ``(images, *shape)``. Inside, codes travel in the fastest number that
holds them *exactly*, chosen per layer from the proven interval of its accumulator, never by hope:

    every partial sum below 2**24   float32 and its matrix product (BLAS)
    below 2**53                     float64 and its matrix product
    beyond                          int64

A layer is prepared once, `prepare(layer, ...)` giving a function on arrays, and then run over chunks of images
on all cores, so memory stays bounded whatever the number of images.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import singledispatch
from math import prod
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from fpgaml.errors import DataError, UnsupportedLayer
from fpgaml.ir.accumulate import Interval, before_cast, intervals
from fpgaml.ir.fixed import FLOAT32_EXACT, FLOAT64_EXACT, ROUND_IN_PLACE, Codes, FixedPoint, Integers, Overflow
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
    Shape,
    Table,
    Upsample,
    Weights,
    matrix_size,
)

Array = Any  # NDArray of integer codes in float32, float64 or int64
Step = Callable[..., Array]
Word = Any  # np.float32, np.float64 or np.int64: mypy has no name for "a scalar type, kept through arithmetic"

CHUNK_BYTES = 4 << 20  # of the largest tensor: big enough for BLAS, small enough for the cache


@dataclass(frozen=True)
class Place:
    """What a layer knows of the tensors around it: codes and shapes in and out."""

    inputs: tuple[Interval, ...]
    shapes: tuple[Shape, ...]
    output: Interval
    shape: Shape


def run(network: Network, codes: Integers) -> Codes:
    """Return the output codes for input `codes` (images, *input shape), as int64 (images, *output shape).

    Raises: DataError if shape or codes do not fit the input.
    """
    return Emulator(network).run(codes)


def trace(network: Network, codes: Integers, names: Collection[str] | None = None) -> dict[str, Codes]:
    """Return the output codes of the named layers (default: all), as int64 by name.

    Raises: DataError if shape or codes do not fit the input; KeyError for a layer that does not exist.
    """
    return Emulator(network).trace(codes, names)


class Emulator:
    """A Network prepared for execution; use it to run many batches without preparing again."""

    def __init__(self, network: Network) -> None:
        self.network = network
        ranges = intervals(network)
        self._steps: list[tuple[Layer, Step]] = []
        shapes = network.shapes
        largest = 1
        for layer in network:
            place = Place(
                tuple(ranges[s] for s in layer.sources),
                tuple(shapes[s] for s in layer.sources),
                ranges[layer.name],
                shapes[layer.name],
            )
            self._steps.append((layer, prepare(layer, place)))
            largest = max(largest, working_size(layer, place))
        self.chunk = max(16, CHUNK_BYTES // (4 * largest))

    def stream(self, codes: Integers, names: Collection[str]) -> Iterator[tuple[slice, dict[str, Array]]]:
        """Yield (images, {layer: codes}) chunk by chunk, in order; codes are integers in float32, float64 or int64."""
        self._check(codes)
        spans = [slice(at, min(at + self.chunk, len(codes))) for at in range(0, len(codes), self.chunk)]
        workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        if len(spans) < 2 or workers < 2:
            for span in spans:
                yield span, self._forward(codes[span], names)
            return
        with threadpool_limits(1, "blas"), ThreadPoolExecutor(workers) as pool:
            for first in range(0, len(spans), 4 * workers):  # a bounded number of chunks in flight
                group = spans[first : first + 4 * workers]
                yield from zip(group, pool.map(lambda s: self._forward(codes[s], names), group), strict=True)

    def run(self, codes: Integers) -> Codes:
        """Return the output codes, as `emulate.run` does."""
        name = self.network.output.name
        return self.trace(codes, [name])[name]

    def trace(self, codes: Integers, names: Collection[str] | None = None) -> dict[str, Codes]:
        """Return the output codes of layers, as `emulate.trace` does."""
        shapes = self.network.shapes
        found = {n: np.empty((len(codes), *shapes[n]), np.int64) for n in (shapes if names is None else names)}
        for span, tensors in self.stream(codes, list(found)):
            for name, own in tensors.items():
                found[name][span] = own
        return found

    def _forward(self, codes: Integers, names: Collection[str]) -> dict[str, Array]:
        alive: dict[str, Array] = {}
        last_use = {source: layer.name for layer, _ in self._steps for source in layer.sources}
        for layer, step in self._steps:
            alive[layer.name] = step(*(alive[s] for s in layer.sources)) if layer.sources else step(codes)
            for source in set(layer.sources):
                if last_use[source] == layer.name and source not in names:
                    del alive[source]
        return {name: alive[name] for name in names}

    def _check(self, codes: Integers) -> None:
        given, kind = self.network.input.dims, self.network.input.type
        if codes.shape[1:] != given:
            raise DataError(f"images must have shape (images, {', '.join(map(str, given))}), not {codes.shape}")
        if not np.issubdtype(codes.dtype, np.integer):
            raise DataError(f"images must be integer codes of {kind}, not {codes.dtype}; use encode() of that type")
        if not kind.holds(codes):
            raise DataError(f"codes from {codes.min()} to {codes.max()} do not fit the input type {kind}")


def word(*ranges: Interval) -> Word:
    """Return the fastest number type in which every integer of these intervals is exact."""
    size = max(i.size for i in ranges)
    return np.float32 if size < FLOAT32_EXACT else np.float64 if size < FLOAT64_EXACT else np.int64


def working_size(layer: Layer, place: Place) -> int:
    """Return the numbers per image that a layer needs at once, for choosing the chunk."""
    rows, _ = matrix_size(layer) or (0, 0)  # a convolution writes out what each position reads
    own = max(prod(place.shape), prod(place.shape[:-1]) * rows)
    return max(own, *(prod(s) for s in place.shapes)) if place.shapes else own


@singledispatch
def prepare(layer: Layer, place: Place) -> Step:
    """Return the function on arrays (images, *shape) that executes `layer`."""
    raise UnsupportedLayer(f"layer {layer.name!r}: a {type(layer).__name__} cannot be emulated")


@prepare.register
def _(layer: Input, place: Place) -> Step:
    kind = word(place.output)
    return lambda codes: codes.astype(kind)


@prepare.register
def _(layer: Dense, place: Place) -> Step:
    kind = word(*place.inputs, place.output)
    kernel, bias = _aligned_weights(layer.kernel, layer.bias, place, kind)

    def dense(x: Array) -> Array:
        y = x.astype(kind, copy=False) @ kernel
        y += bias
        return y

    return dense


@prepare.register
def _(layer: Conv, place: Place) -> Step:
    kind = word(*place.inputs, place.output)
    kernel, bias = _aligned_weights(layer.kernel, layer.bias, place, kind)
    *window, channels, filters = layer.kernel.codes.shape
    matrix = np.ascontiguousarray(kernel.reshape(-1, filters))
    taps, spatial = _taps(tuple(window), layer.strides, place.shape), place.shape[:-1]

    def conv(x: Array) -> Array:
        x = _pad(x.astype(kind, copy=False), layer.padding)
        columns = np.empty((len(x), *spatial, len(taps), channels), kind)
        for at, tap in enumerate(taps):
            columns[..., at, :] = x[tap]
        y = columns.reshape(-1, len(matrix)) @ matrix
        y += bias
        return y.reshape(len(x), *spatial, filters)

    return conv


@prepare.register
def _(layer: DepthwiseConv, place: Place) -> Step:
    kind = word(*place.inputs, place.output)
    kernel, bias = _aligned_weights(layer.kernel, layer.bias, place, kind)
    *window, channels = layer.kernel.codes.shape
    flat = kernel.reshape(-1, channels)
    taps = _taps(tuple(window), layer.strides, place.shape)

    def depthwise(x: Array) -> Array:
        x = _pad(x.astype(kind, copy=False), layer.padding)
        y = x[taps[0]] * flat[0]
        for tap, weights in zip(taps[1:], flat[1:], strict=True):
            y += x[tap] * weights
        y += bias
        return y

    return depthwise


@prepare.register
def _(layer: Affine, place: Place) -> Step:
    kind = word(*place.inputs, place.output)
    scale, bias = _aligned_weights(layer.scale, layer.bias, place, kind)

    def affine(x: Array) -> Array:
        y = x.astype(kind, copy=False) * scale
        y += bias
        return y

    return affine


@prepare.register
def _(layer: MaxPool, place: Place) -> Step:
    taps = _taps(layer.window, layer.strides, place.shape)

    def max_pool(x: Array) -> Array:
        x = _pad(x, layer.padding, place.inputs[0].low)
        y = x[taps[0]].copy()
        for tap in taps[1:]:
            np.maximum(y, x[tap], out=y)
        return y

    return max_pool


@prepare.register
def _(layer: AveragePool, place: Place) -> Step:
    x_range, taps = place.inputs[0], _taps(layer.window, layer.strides, place.shape)
    total = Interval(x_range.low * len(taps), x_range.high * len(taps), x_range.fraction)
    kind = word(total)
    counts = pool_counts(layer, place.shapes[0], place.shape)
    whole = int(counts.max())
    simple = whole.bit_count() == 1 and bool((counts == whole).all())
    shifted = Interval(total.low, total.high, total.fraction + whole.bit_length() - 1)
    finish = _caster(shifted, layer.type, place.output) if simple else None

    def average_pool(x: Array) -> Array:
        x = _pad(x.astype(kind, copy=False), layer.padding)
        y = x[taps[0]].copy()
        for tap in taps[1:]:
            y += x[tap]
        if finish:
            return finish(y)
        return divide(y.astype(np.int64), counts[..., None], x_range.fraction, layer.type).astype(word(place.output))

    return average_pool


@prepare.register
def _(layer: Activation, place: Place) -> Step:
    x_range, middle = place.inputs[0], before_cast(layer, place.inputs[0])
    clips_at_zero = not layer.type.signed and layer.type.overflow in (Overflow.SAT, Overflow.SAT_SYM)
    finish = _caster(middle, layer.type, place.output)
    if layer.function is Function.LINEAR or (layer.slope == 0 and clips_at_zero):
        return finish  # a saturating unsigned cast is a ReLU already
    if layer.slope == 0:
        return lambda x: finish(np.maximum(x, 0))
    kind = word(x_range, middle)
    slope, finer = layer.slope_code
    code, up = kind(slope), kind(1 << min(finer, 62))

    def leaky(x: Array) -> Array:
        x = x.astype(kind, copy=False)
        return finish(np.where(x < 0, x * code, x * up))

    return leaky


@prepare.register
def _(layer: PRelu, place: Place) -> Step:
    kind, fraction = word(*place.inputs, place.output), layer.slopes.type.fraction
    slopes = (layer.slopes.codes << max(-fraction, 0)).astype(kind)
    up = kind(1 << min(max(fraction, 0), 62))

    def prelu(x: Array) -> Array:
        x = x.astype(kind, copy=False)
        return np.where(x < 0, x * slopes, x * up)

    return prelu


@prepare.register
def _(layer: Table, place: Place) -> Step:
    index = layer.index
    fraction = place.inputs[0].fraction
    table = layer.table.codes.astype(word(place.output))
    return lambda x: table[index.cast(x.astype(np.int64), fraction) - index.low]


@prepare.register
def _(layer: ArgMax, place: Place) -> Step:
    one_hot = np.eye(place.shape[0], dtype=word(place.output))
    return lambda x: one_hot[np.argmax(x, axis=-1)]  # the first of several, as in C++


@prepare.register
def _(layer: Add, place: Place) -> Step:
    kind = word(*place.inputs, place.output)
    ups = _ups(place, kind)

    def add(*xs: Array) -> Array:
        y = xs[0].astype(kind) * ups[0]
        for x, up in zip(xs[1:], ups[1:], strict=True):
            y += x.astype(kind, copy=False) * up
        return y

    return add


@prepare.register
def _(layer: Multiply, place: Place) -> Step:
    kind = word(*place.inputs, place.output)
    return lambda x, y: x.astype(kind, copy=False) * y.astype(kind, copy=False)


@prepare.register
def _(layer: Concatenate, place: Place) -> Step:
    kind = word(place.output)
    ups = _ups(place, kind)
    return lambda *xs: np.concatenate([x.astype(kind) * up for x, up in zip(xs, ups, strict=True)], axis=-1)


@prepare.register(Flatten)
@prepare.register(Reshape)
def _(layer: Layer, place: Place) -> Step:
    return lambda x: x.reshape(len(x), *place.shape)


@prepare.register
def _(layer: Pad, place: Place) -> Step:
    return lambda x: _pad(x, layer.padding)


@prepare.register
def _(layer: Upsample, place: Place) -> Step:
    def upsample(x: Array) -> Array:
        for axis, factor in enumerate(layer.factors, start=1):
            x = np.repeat(x, factor, axis)
        return x

    return upsample


def divide(total: Codes, count: Codes, fraction: int, kind: FixedPoint) -> Codes:
    """Return ``total / count`` as codes of `kind`, rounded once, in integers. total has `fraction` fraction bits.

    The quotient gets two bits more, which say whether its rest is nothing, less than a half, a half or more than one:
    all that any rounding asks.
    """
    up = max(kind.fraction - fraction, 0)
    whole, rest = np.divmod(total << up, count)
    beyond = (rest > 0).astype(np.int64) + (2 * rest >= count) + (2 * rest > count)
    return kind.cast(4 * whole + beyond, fraction + up + 2)


def pool_counts(layer: AveragePool | MaxPool, x_shape: Shape, y_shape: Shape) -> Codes:
    """Return how many values that are not padding each window of a pooling layer covers, (*spatial)."""
    ones = _pad(np.ones((1, *x_shape[:-1], 1), np.int64), layer.padding)
    views = [ones[tap] for tap in _taps(layer.window, layer.strides, y_shape)]
    return np.asarray(np.sum(views, axis=0)[0, ..., 0])


def _caster(x_range: Interval, kind: FixedPoint, y_range: Interval) -> Step:
    """Return the function that casts codes of `x_range` to `kind`, in floating point where that is exact."""
    drop = x_range.fraction - kind.fraction
    spare = x_range.at(x_range.fraction + 1)  # a bit more, for the half that rounding adds
    compute, result = word(spare, Interval.of(kind)), word(y_range)
    fits = kind.overflow in (Overflow.SAT, Overflow.SAT_SYM)
    if not fits or compute is np.int64 or abs(drop) > 100:
        return lambda x: kind.cast(x.astype(np.int64), x_range.fraction).astype(result, copy=False)
    scale, low, high = compute(2.0**-drop), compute(kind.low), compute(kind.high)
    rounds = None if drop <= 0 else ROUND_IN_PLACE[kind.rounding]

    def cast(x: Array) -> Array:
        y = np.multiply(x, scale, dtype=compute)  # a power of two: exact
        if rounds:
            rounds(y)
        return np.clip(y, low, high, out=y).astype(result, copy=False)

    return cast


def _aligned_weights(kernel: Weights, bias: Weights, place: Place, kind: Word) -> tuple[Array, Array]:
    """Return kernel and bias codes on the accumulator's grid, as `kind`."""
    spare = place.output.fraction - place.inputs[0].fraction - kernel.type.fraction
    lift = place.output.fraction - bias.type.fraction
    return (kernel.codes << spare).astype(kind), (bias.codes << lift).astype(kind)


def _ups(place: Place, kind: Word) -> list[Any]:
    """Return the factor that brings each input onto the output's grid; beyond 62 bits only zero can be there."""
    return [kind(1 << min(place.output.fraction - i.fraction, 62)) for i in place.inputs]


def _taps(window: Shape, strides: Shape, out: Shape) -> list[tuple[slice, ...]]:
    """Return, for each position in the window, the slices of a padded input that all windows see there."""
    return [
        (slice(None), *(slice(o, o + (n - 1) * s + 1, s) for o, n, s in zip(offset, out[:-1], strides, strict=True)))
        for offset in np.ndindex(window)
    ]


def _pad(x: Array, padding: tuple[tuple[int, int], ...], value: int = 0) -> Array:
    if not any(a or b for a, b in padding):
        return x
    return np.pad(x, ((0, 0), *padding, (0, 0)), constant_values=value)

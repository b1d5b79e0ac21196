"""From a Network and a Design to the facts of its layers.

`prepare(network)` looks at every weight once (nonzero weights, signed digits, products that differ) and at the exact
type of every tensor; `facts_of(network, design)` adds the choices of a design, which costs microseconds, so a search
over thousands of designs never looks at a weight again. One `singledispatch` function says what a layer is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache, singledispatch
from math import prod

import numpy as np

from fpgaml.errors import UnsupportedLayer
from fpgaml.estimate.facts import Kind, LayerFacts, Target, needs_dataflow
from fpgaml.ir.accumulate import tensor_types
from fpgaml.ir.fixed import Codes, FixedPoint, Overflow, Rounding
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
)
from fpgaml.target.boards import Part
from fpgaml.target.design import Design, IoType, Strategy
from fpgaml.target.toolchain import Tool

_ANY = Target(Tool.VIVADO_HLS, "virtexuplus", 5.0, 4.375, IoType.PARALLEL)  # replaced by every design


def target_of(design: Design, part: Part) -> Target:
    """Return what all layers of `design` on `part` share; HLS keeps its default share of the clock for routing."""
    budget = design.clock_ns * (1 - design.tool.toolchain.clock_uncertainty)
    return Target(design.tool, part.family, design.clock_ns, budget, design.io_type)


def facts_of(network: Network, design: Design, part: Part) -> list[LayerFacts]:
    """Return the facts of the layers of `network` that cost anything, built as `design` says on `part`."""
    return [facts for _, facts in named_facts(network, design, part)]


def named_facts(network: Network, design: Design, part: Part) -> list[tuple[str, LayerFacts]]:
    """Return the name and the facts of each layer that costs anything."""
    target = target_of(design, part)
    found = [_designed(facts, design, target) for facts in prepare(network)]
    target = replace(target, dataflow=needs_dataflow(found))
    return [(facts.name, replace(facts, target=target)) for facts in found]


def _designed(facts: LayerFacts, design: Design, target: Target) -> LayerFacts:
    strategy = design.strategy_of(facts.name)
    lanes = facts.lanes if target.streams else facts.lanes * facts.pixels_in
    if facts.kind is Kind.DENSE and not target.streams:
        lanes = facts.n_in
    return replace(
        facts,
        target=target,
        strategy=Strategy.LATENCY if strategy is Strategy.DISTRIBUTED_ARITHMETIC else strategy,
        reuse=design.reuse_of(facts.name),
        lanes=lanes,
    )


@lru_cache(maxsize=16)
def prepare(network: Network) -> tuple[LayerFacts, ...]:
    """Return the facts of `network` that no design changes; `lanes` are the elements of one pixel.

    Raises: UnsupportedLayer for a layer without a cost rule.
    """
    types = tensor_types(network)
    found = []
    for layer in network:
        shapes = [network.shapes[source] for source in layer.sources]
        facts = describe(layer, types, *shapes)
        if facts is not None:
            found.append(facts)
    return tuple(found)


@singledispatch
def describe(layer: Layer, types: Mapping[str, FixedPoint], *inputs: Shape) -> LayerFacts | None:
    """Return what a layer is, for its tensor types and input shapes; None if it costs nothing."""
    raise UnsupportedLayer(f"layer {layer.name!r}: a {type(layer).__name__} has no cost rule")


@describe.register
def _(layer: Input, types: Mapping[str, FixedPoint], *inputs: Shape) -> None:
    return None


@describe.register
def _(layer: Flatten, types: Mapping[str, FixedPoint], *inputs: Shape) -> None:
    return None


@describe.register
def _(layer: Reshape, types: Mapping[str, FixedPoint], *inputs: Shape) -> None:
    return None


@describe.register
def _(layer: Dense, types: Mapping[str, FixedPoint], *inputs: Shape) -> LayerFacts:
    n_in, n_out = layer.kernel.codes.shape
    facts = replace(_plain(layer, Kind.DENSE, types, inputs[0]), n_in=int(n_in), n_out=int(n_out), filters=int(n_out))
    return _weighted(facts, layer.kernel, layer.kernel.codes)


@describe.register
def _(layer: Conv, types: Mapping[str, FixedPoint], *inputs: Shape) -> LayerFacts:
    *window, channels, filters = layer.kernel.codes.shape
    facts = _windowed(layer, Kind.CONV, types, inputs[0], tuple(window))
    facts = replace(facts, n_in=prod(window) * int(channels), n_out=int(filters), filters=int(filters))
    return _weighted(facts, layer.kernel, layer.kernel.codes.reshape(-1, filters))


@describe.register
def _(layer: DepthwiseConv, types: Mapping[str, FixedPoint], *inputs: Shape) -> LayerFacts:
    *window, channels = layer.kernel.codes.shape
    facts = _windowed(layer, Kind.DEPTHWISE, types, inputs[0], tuple(window))
    facts = replace(facts, n_in=prod(window), n_out=int(channels))
    return _weighted(facts, layer.kernel, layer.kernel.codes.reshape(-1, channels))


@describe.register
def _(layer: MaxPool, types: Mapping[str, FixedPoint], *inputs: Shape) -> LayerFacts:
    return _windowed(layer, Kind.POOL, types, inputs[0], layer.window)


@describe.register
def _(layer: AveragePool, types: Mapping[str, FixedPoint], *inputs: Shape) -> LayerFacts:
    whole = layer.window == inputs[0][:-1]
    return _windowed(layer, Kind.GLOBAL_POOL if whole else Kind.POOL, types, inputs[0], layer.window)


@describe.register
def _(layer: Activation, types: Mapping[str, FixedPoint], *inputs: Shape) -> LayerFacts:
    return _plain(layer, Kind.ACTIVATION, types, inputs[0])


@describe.register
def _(layer: Table, types: Mapping[str, FixedPoint], *inputs: Shape) -> LayerFacts:
    facts = _plain(layer, Kind.TABLE, types, inputs[0])
    return replace(facts, table_size=1 << layer.index.width, table_bits=layer.table.type.width)


@describe.register
def _(layer: Affine, types: Mapping[str, FixedPoint], *inputs: Shape) -> LayerFacts:
    facts = _plain(layer, Kind.AFFINE, types, inputs[0])
    return _weighted(facts, layer.scale, layer.scale.codes.reshape(-1, 1))


@describe.register
def _(layer: PRelu, types: Mapping[str, FixedPoint], *inputs: Shape) -> LayerFacts:
    """The dearest slope of each channel is a multiplier; what differs by pixel is looked up."""
    channels = inputs[0][-1]
    codes = np.broadcast_to(layer.slopes.codes, inputs[0]).reshape(-1, channels)
    dearest = codes[signed_digits(codes).argmax(axis=0), np.arange(channels)]
    return _weighted(_plain(layer, Kind.AFFINE, types, inputs[0]), layer.slopes, dearest.reshape(-1, 1))


@describe.register(Pad)
@describe.register(Upsample)
def _(layer: Layer, types: Mapping[str, FixedPoint], *inputs: Shape) -> LayerFacts:
    return _plain(layer, Kind.MOVE, types, inputs[0], layer.shape(inputs[0]))


@describe.register(Add)
@describe.register(ArgMax)
@describe.register(Multiply)
def _(layer: Layer, types: Mapping[str, FixedPoint], *inputs: Shape) -> LayerFacts:
    return _plain(layer, Kind.OTHER, types, inputs[0])


@describe.register
def _(layer: Concatenate, types: Mapping[str, FixedPoint], *inputs: Shape) -> LayerFacts:
    return _plain(layer, Kind.MOVE, types, inputs[0], layer.shape(*inputs))


def _plain(
    layer: Layer, kind: Kind, types: Mapping[str, FixedPoint], before: Shape, after: Shape | None = None
) -> LayerFacts:
    """Return the facts that follow from types and shapes alone."""
    after = after or before
    source, result = types[layer.sources[0]], types[layer.name]
    vector = len(before) == 1
    return LayerFacts(
        name=layer.name,
        kind=kind,
        target=_ANY,
        n_in=prod(before),
        pixels_in=1 if vector else prod(before[:-1]),
        pixels_out=1 if len(after) == 1 else prod(after[:-1]),
        row=1 if vector else before[-2],
        channels=before[-1],
        filters=after[-1],
        lanes=before[-1],
        in_bits=source.width,
        weight_bits=source.width,
        accum_bits=result.width,
        out_bits=result.width,
        rounds=result.rounding is not Rounding.TRN or result.overflow is not Overflow.WRAP,
    )


def _windowed(layer: Layer, kind: Kind, types: Mapping[str, FixedPoint], before: Shape, window: Shape) -> LayerFacts:
    return replace(_plain(layer, kind, types, before, layer.shape(before)), window=prod(window))


def _weighted(facts: LayerFacts, weights: Weights, matrix: Codes) -> LayerFacts:
    """Return `facts` with the statistics of its weight matrix (rows: inputs)."""
    digits = signed_digits(matrix)
    return replace(
        facts,
        weight_bits=weights.type.width,
        nonzero=float(np.count_nonzero(matrix)),
        light=float(np.count_nonzero(digits == 2)),
        heavy=float(np.count_nonzero(digits >= 3)),
        shared=float(_products_that_differ(matrix, digits >= 3)),
    )


def signed_digits(codes: Codes) -> Codes:
    """Return the number of nonzero digits of each code in canonical signed digit form.

    Source: Reitwiesner's recoding; the nonzero digits of x are the set bits of (x xor 3x) / 2.
    """
    magnitude = np.abs(codes).astype(np.uint64)
    return np.bitwise_count(magnitude ^ (magnitude * np.uint64(3))).astype(np.int64)


def _products_that_differ(matrix: Codes, chosen: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> int:
    """Return how many chosen products differ: in a row, weights that differ by sign and shift are one product."""
    rows, columns = np.nonzero(chosen)
    magnitude = np.abs(matrix[rows, columns])
    odd = magnitude // (magnitude & -magnitude) if magnitude.size else magnitude
    return len(np.unique(rows * (int(odd.max(initial=0)) + 1) + odd))

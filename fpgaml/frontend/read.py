"""Read a Keras or QKeras model as a Network: the step from "as trained" to "as built".

    reading = read(model, name="mnist_mlp", input_type=FixedPoint(8, 0, signed=False))
    reading.network            the frozen value
    reading.keras_names        {network layer: Keras layer with the same output}, for comparing the two
    reading.apart              {network layer: why Keras computes something else there}, for what is on no grid
    reading.notes              what was left out or changed on the way (softmax, dropout, names)

Weights are evaluated by their own quantizers; activations become types and tables by quantizers.py. A softmax or
sigmoid that ends the model is left out: the hardware's outputs are logits, and the class is where the largest is.

What floating point computes on no grid cannot be equal to Keras, only stated: batch normalization becomes an exact
`Affine` whose scale and bias are rounded to `scale_bits`, a float sigmoid or tanh a `Table` of stated types. Those
layers are in `apart`, and neither they nor what reads them is in `keras_names`.

To add a layer: one function below, entered in `READERS`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from fpgaml.errors import DataError, UnsupportedLayer
from fpgaml.frontend.quantizers import Rounded, meaning, quantized, rounded, tabulate
from fpgaml.ir.accumulate import Interval, before_cast, output_interval
from fpgaml.ir.fixed import PIXEL, FixedPoint, Floats, Overflow, Rounding, grid, smallest
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
    Function,
    Input,
    Layer,
    MaxPool,
    Multiply,
    Network,
    Pad,
    Reshape,
    Shape,
    Table,
    Weights,
    identifier,
)

TABLE_INDEX = FixedPoint(10, 4, True, Rounding.RND_CONV, Overflow.SAT)
SIGMOID = FixedPoint(8, 0, False, Rounding.RND_CONV, Overflow.SAT)
TANH = FixedPoint(8, 1, True, Rounding.RND_CONV, Overflow.SAT)
SCALE_BITS = 16  # of batch normalization and slopes that are on no grid, where the caller states none


@dataclass(frozen=True)
class TableTypes:
    """The types of a float sigmoid or tanh as a table: of its index, and of what each gives."""

    index: FixedPoint = TABLE_INDEX
    sigmoid: FixedPoint = SIGMOID
    tanh: FixedPoint = TANH

    def of(self, function: str) -> Table:
        """Return the table of "sigmoid" or "tanh": computed in float64, rounded by its stated type."""
        x = self.index.decode(np.arange(self.index.low, self.index.high + 1))
        kind, values = (self.tanh, np.tanh(x)) if function == "tanh" else (self.sigmoid, 1 / (1 + np.exp(-x)))
        plain = FixedPoint(kind.width, kind.integer, kind.signed)
        return Table("table", ("x",), self.index, Weights(kind.encode(values), plain))


TABLES = TableTypes()


@dataclass(frozen=True)
class Reading:
    """A Network with where its layers come from, and where it is not what Keras computes, and why."""

    network: Network
    keras_names: dict[str, str]
    notes: tuple[str, ...]
    apart: dict[str, str] = field(default_factory=dict)


def read(
    model: Any, *, name: str, input_type: FixedPoint = PIXEL, scale_bits: int | None = None, tables: TableTypes = TABLES
) -> Reading:
    """Return the Network that `model` (Sequential or functional, one input, one output) computes.

    scale_bits: bits to round to what is on no grid. None refuses weights with alpha "auto", and takes `SCALE_BITS`
    for batch normalization and slopes. tables: the types of a float sigmoid or tanh inside the model.

    Raises: UnsupportedLayer for what has no exact meaning; DataError for NaN or infinite weights.
    """
    builder = Builder(scale_bits=scale_bits, tables=tables)
    nodes = list(graph_nodes(model))
    outputs: dict[str, str] = {}
    for at, (layer, sources) in enumerate(nodes):
        kind = type(layer).__name__
        reader = READERS.get(kind)
        if reader is None:
            raise UnsupportedLayer(unsupported(layer))
        if kind == "InputLayer":
            outputs[layer.name] = _input(builder, layer, input_type)
            continue
        last = at == len(nodes) - 1
        before = tuple(outputs[source] for source in sources)
        ahead = _ahead(layer, nodes)
        outputs[layer.name] = reader(builder, Node(layer, before, last, ahead))
        if layer.name not in builder.early and outputs[layer.name] not in builder.beyond:
            builder.keras_names.setdefault(outputs[layer.name], layer.name)
    network = Network(name, tuple(builder.layers))
    return Reading(network, builder.keras_names, tuple(builder.notes), builder.apart)


@dataclass(frozen=True)
class Node:
    """A Keras layer in its graph: what it reads, whether it is the last, and the one layer that reads it, if one."""

    layer: Any
    sources: tuple[str, ...]
    last: bool
    ahead: Any

    @property
    def source(self) -> str:
        """The one layer read."""
        return self.sources[0]


@dataclass
class Builder:
    """Collects Network layers, keeping shapes and intervals as it goes."""

    layers: list[Layer] = field(default_factory=list)
    shapes: dict[str, Shape] = field(default_factory=dict)
    ranges: dict[str, Interval] = field(default_factory=dict)
    keras_names: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    early: set[str] = field(default_factory=set)  # Keras layers whose rounding was brought forward
    apart: dict[str, str] = field(default_factory=dict)  # network layers where Keras computes something else, and why
    beyond: set[str] = field(default_factory=set)  # those, and all that reads them
    scale_bits: int | None = None
    tables: TableTypes = TABLES

    def add(self, layer: Layer, apart: str = "") -> str:
        """Append a layer and return its name; `apart` says why Keras computes something else, if it does."""
        if apart:
            self.apart[layer.name] = apart
            self.notes.append(f"layer {layer.name!r}: {apart}")
        if apart or self.beyond.intersection(layer.sources):
            self.beyond.add(layer.name)
        self.shapes[layer.name] = layer.shape(*(self.shapes[s] for s in layer.sources))
        self.ranges[layer.name] = output_interval(layer, *(self.ranges[s] for s in layer.sources))
        self.layers.append(layer)
        return layer.name

    def name(self, wanted: str) -> str:
        """Return `wanted` as a new C++ identifier, and note it if it had to change."""
        clean = identifier(wanted, "layer")
        found, number = clean, 2
        while found in self.shapes:
            found, number = f"{clean}_{number}", number + 1
        if found != wanted:
            self.notes.append(f"layer {wanted!r} is called {found!r} in C++")
        return found


def graph_nodes(model: Any) -> list[tuple[Any, list[str]]]:
    """Return (layer, names of the layers it reads) in topological order.

    Raises: UnsupportedLayer for several inputs or outputs, shared layers, nested models and dynamic shapes.
    """
    if not getattr(model, "built", True) or not getattr(model, "inputs", None):
        raise UnsupportedLayer("the model has no input shape yet; build it, or give it an Input layer")
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise UnsupportedLayer(
            f"the model has {len(model.inputs)} inputs and {len(model.outputs)} outputs; one of each is supported"
        )
    graph = getattr(model, "_functional", None) or model
    depths = graph._nodes_by_depth
    ordered = [node for depth in sorted(depths, reverse=True) for node in depths[depth]]
    found: list[tuple[Any, list[str]]] = []
    seen: set[str] = set()
    for node in ordered:
        layer = node.operation
        if layer.name in seen:
            raise UnsupportedLayer(f"layer {layer.name!r} is used more than once; shared layers are not supported")
        if hasattr(layer, "layers"):
            raise UnsupportedLayer(f"layer {layer.name!r} is a model inside the model; flatten it first")
        seen.add(layer.name)
        found.append((layer, [tensor._keras_history.operation.name for tensor in node.input_tensors]))
    return found


def _ahead(layer: Any, nodes: list[tuple[Any, list[str]]]) -> Any | None:
    readers = [other for other, sources in nodes if layer.name in sources]
    return readers[0] if len(readers) == 1 else None


def unsupported(layer: Any) -> str:
    """Return why a kind of layer is refused."""
    kind = type(layer).__name__
    if kind == "QBatchNormalization":
        return (
            f"layer {layer.name!r}: QBatchNormalization divides by a quantized deviation, which is on no grid; use "
            "QConv2DBatchnorm, QDenseBatchnorm or a plain BatchNormalization"
        )
    if kind == "Lambda":
        return f"layer {layer.name!r} is a Lambda: it holds Python code, which fpgaml never runs; use a built-in layer"
    known = ", ".join(sorted(READERS))
    return f"layer {layer.name!r}: a {kind} is not supported; supported are {known}"


# --- one function a kind of layer; each returns the name of the network layer with the Keras layer's output ---------


def _input(build: Builder, layer: Any, input_type: FixedPoint) -> str:
    dims = tuple(layer.batch_shape[1:])
    if any(n is None for n in dims):
        raise UnsupportedLayer(f"the input has the dynamic shape {dims}; every axis but the images must be fixed")
    return build.add(
        Input(build.name(re.sub(r"^(input_layer|input)(_\d+)?$", "image", layer.name)), (), dims, input_type)
    )


def _dense(build: Builder, node: Node) -> str:
    kernel, bias, apart = _weights(build, node.layer, "kernel", node.layer.units)
    return _activated(build, node, Dense(build.name(node.layer.name), (node.source,), kernel, bias), apart)


def _conv(build: Builder, node: Node) -> str:
    layer = node.layer
    must_be_plain(layer)
    kernel, bias, apart = _weights(build, layer, "kernel", layer.filters)
    padding = padding_of(layer, build.shapes[node.source], layer.kernel_size, layer.strides)
    name = build.name(layer.name)
    return _activated(build, node, Conv(name, (node.source,), kernel, bias, tuple(layer.strides), padding), apart)


def _depthwise(build: Builder, node: Node) -> str:
    layer = node.layer
    must_be_plain(layer)
    _must_be_one_filter(layer)
    channels = build.shapes[node.source][-1]
    field_name = "depthwise_kernel" if hasattr(layer, "depthwise_kernel") else "kernel"
    kernel, bias, apart = _weights(build, layer, field_name, channels, "depthwise_quantizer")
    made = _depthwise_layer(build, node, build.name(layer.name), kernel, bias)
    return _activated(build, node, made, apart)


def _separable(build: Builder, node: Node) -> str:
    """A depthwise convolution and a pointwise one, exact in between."""
    layer = node.layer
    must_be_plain(layer)
    _must_be_one_filter(layer)
    channels = build.shapes[node.source][-1]
    depth, why = _quantized(build, layer, "depthwise_kernel", "depthwise_quantizer")
    point, bias, apart = _weights(build, layer, "pointwise_kernel", layer.filters, "pointwise_quantizer")
    nothing = Weights.of(np.zeros(channels))
    first = _depthwise_layer(build, node, build.name(f"{layer.name}_depthwise"), Weights.of(depth), nothing)
    source = build.add(first, why)
    ones = (1,) * len(layer.kernel_size)
    made = Conv(build.name(layer.name), (source,), point, bias, ones, ((0, 0),) * len(ones))
    return _activated(build, node, made, apart)


def _depthwise_layer(build: Builder, node: Node, name: str, kernel: Weights, bias: Weights) -> DepthwiseConv:
    """Return the layer for a kernel (*window, channels, 1)."""
    layer = node.layer
    strides = tuple(layer.strides) * (len(layer.kernel_size) // len(layer.strides))
    padding = padding_of(layer, build.shapes[node.source], layer.kernel_size, strides)
    return DepthwiseConv(name, (node.source,), Weights(kernel.codes[..., 0], kernel.type), bias, strides, padding)


def _must_be_one_filter(layer: Any) -> None:
    if layer.depth_multiplier != 1:
        raise UnsupportedLayer(f"layer {layer.name!r}: depth_multiplier must be 1, not {layer.depth_multiplier}")


def _folded(build: Builder, node: Node) -> str:
    """A layer with its batch normalization inside: it quantizes its folded weights itself, so all is on a grid."""
    layer = node.layer
    kernel, bias = (np.asarray(values, np.float32) for values in layer.get_folded_weights())
    depthwise = type(layer).__name__.startswith("QDepthwise")
    outputs = kernel.shape[-2:-1] if depthwise else kernel.shape[-1:]
    stand_in = _Folded(layer, "depthwise_kernel" if depthwise else "kernel", kernel, np.broadcast_to(bias, outputs))
    reader = _depthwise if depthwise else _dense if kernel.ndim == 2 else _conv
    return reader(build, replace(node, layer=stand_in))


class _Folded:
    """A Keras layer as it is, but for its kernel and bias."""

    def __init__(self, layer: Any, kernel_name: str, kernel: Any, bias: Any) -> None:
        self._layer = layer
        self.use_bias = True
        self.bias = bias
        setattr(self, kernel_name, kernel)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._layer, name)


def _batch_norm(build: Builder, node: Node) -> str:
    """Scale and bias per channel, rounded to a stated grid where they are on none that narrow."""
    layer = node.layer
    if layer.axis not in (-1, len(build.shapes[node.source])):
        raise UnsupportedLayer(f"layer {layer.name!r}: axis must be the last, not {layer.axis}")
    mean, variance = (np.asarray(v, np.float64) for v in (layer.moving_mean, layer.moving_variance))
    gamma = np.asarray(layer.gamma, np.float64) if layer.scale else np.ones(mean.shape)
    beta = np.asarray(layer.beta, np.float64) if layer.center else np.zeros(mean.shape)
    if not all(np.isfinite(values).all() for values in (mean, variance, gamma, beta)):
        raise DataError(f"layer {layer.name!r} has NaN or infinite values; train it again")
    scale = gamma / np.sqrt(variance + layer.epsilon)
    bits = build.scale_bits or SCALE_BITS
    found = rounded(scale, bits), rounded(beta - mean * scale, bits)
    apart = (
        f"batch normalization in floating point is on no grid: its scale is rounded to {found[0].type} (largest change "
        f"{found[0].change:.2g}), its bias to {found[1].type} ({found[1].change:.2g})"
    )
    made = Affine(build.name(layer.name), (node.source,), *(Weights.of(one.values) for one in found))
    return build.add(made, apart)


def _max_pool(build: Builder, node: Node) -> str:
    layer = node.layer
    x = build.shapes[node.source]
    padding = padding_of(layer, x, layer.pool_size, layer.strides)
    name = build.name(layer.name)
    source = node.source
    if any(a or b for a, b in padding) and build.ranges[source].low >= 0:
        # hls4ml pads an unsigned maximum with a set top bit, the largest value; zero is the smallest: pad with it
        source, padding = build.add(Pad(build.name(f"{layer.name}_pad"), (source,), padding)), ((0, 0),) * len(padding)
    return build.add(MaxPool(name, (source,), tuple(layer.pool_size), tuple(layer.strides), padding))


def _average_pool(build: Builder, node: Node) -> str:
    layer = node.layer
    padding = padding_of(layer, build.shapes[node.source], layer.pool_size, layer.strides)
    return _mean(build, node, tuple(layer.pool_size), tuple(layer.strides), padding)


def _global_max_pool(build: Builder, node: Node) -> str:
    *window, _ = build.shapes[node.source]
    made = MaxPool(build.name(node.layer.name), (node.source,), tuple(window), tuple(window), ((0, 0),) * len(window))
    return _drop_axes(build, node, build.add(made))


def _global_average_pool(build: Builder, node: Node) -> str:
    *window, _ = build.shapes[node.source]
    return _drop_axes(build, node, _mean(build, node, tuple(window), tuple(window), ((0, 0),) * len(window)))


def _drop_axes(build: Builder, node: Node, pooled: str) -> str:
    if node.layer.keepdims:
        return pooled
    return build.add(Flatten(build.name(f"{node.layer.name}_flat"), (pooled,)))


def _mean(build: Builder, node: Node, window: Shape, strides: Shape, padding: tuple[tuple[int, int], ...]) -> str:
    """Add an AveragePool: exact for a power of two, else rounded once to the type of the quantizer that follows."""
    count = int(np.prod(window))
    x = build.ranges[node.source]
    exact = count.bit_count() == 1 and not any(a or b for a, b in padding)
    if exact:
        kind = smallest(x.low * count, x.high * count, x.fraction + count.bit_length() - 1, signed=x.low < 0)
    else:
        own = getattr(node.layer, "activation", None)
        quantizer = own or (node.ahead.activation if type(node.ahead).__name__ == "QActivation" else None)
        plain = quantizer is None or hasattr(quantizer, "__name__")
        what = None if plain else meaning(quantizer, node.layer.name)
        if what is None or what.slope:
            raise UnsupportedLayer(
                f"layer {node.layer.name!r}: a mean over {count} values (or over padding) is on no grid; put a "
                "QActivation right after it, which says where to round"
            )
        kind = what.type
        if own is None:
            build.early.add(node.layer.name)
    return build.add(AveragePool(build.name(node.layer.name), (node.source,), window, strides, padding, kind))


def _quantized_average(build: Builder, node: Node) -> str:
    """QKeras' pooling: sum times a quantized 1/n, which is a depthwise convolution with one weight; or a plain mean."""
    layer = node.layer
    whole = not hasattr(layer, "pool_size")
    *spatial, channels = build.shapes[node.source]
    window = tuple(spatial) if whole else tuple(layer.pool_size)
    strides = window if whole else tuple(layer.strides)
    padding = ((0, 0),) * len(window) if whole else padding_of(layer, build.shapes[node.source], window, strides)
    if layer.average_quantizer_internal is None:
        made = _mean(build, node, window, strides, padding)
    elif any(a or b for a, b in padding):
        raise UnsupportedLayer(
            f"layer {layer.name!r}: QAveragePooling2D over padding divides by another number at the edges; use "
            "padding='valid'"
        )
    else:
        where = f"1/n of layer {layer.name!r}"
        factor = quantized(layer.average_quantizer_internal, [1 / np.prod(window)], where, build.scale_bits)
        share, apart = _as_values(build, factor, where)
        kernel = Weights.of(np.full((*window, channels), share.item()))
        bias = Weights.of(np.zeros(channels))
        made = build.add(DepthwiseConv(build.name(layer.name), (node.source,), kernel, bias, strides, padding), apart)
    if whole:
        made = _drop_axes(build, node, made)
    return _apply(build, node, made, layer.activation, build.name(f"{layer.name}_act")) if layer.activation else made


def _flatten(build: Builder, node: Node) -> str:
    if len(build.shapes[node.source]) == 1:
        return node.source
    return build.add(Flatten(build.name(node.layer.name), (node.source,)))


def _reshape(build: Builder, node: Node) -> str:
    return build.add(Reshape(build.name(node.layer.name), (node.source,), tuple(node.layer.output.shape[1:])))


def _nothing(build: Builder, node: Node) -> str:
    build.notes.append(f"layer {node.layer.name!r} ({type(node.layer).__name__}) does nothing at inference")
    return node.source


def _pad(build: Builder, node: Node) -> str:
    padding = node.layer.padding
    pairs = (padding,) if isinstance(padding[0], int) else padding
    return build.add(Pad(build.name(node.layer.name), (node.source,), tuple((int(a), int(b)) for a, b in pairs)))


def _add(build: Builder, node: Node) -> str:
    return _pairwise(build, node, Add)


def _multiply(build: Builder, node: Node) -> str:
    return _pairwise(build, node, Multiply)


def _concatenate(build: Builder, node: Node) -> str:
    rank = len(build.shapes[node.source])
    if node.layer.axis not in (-1, rank):
        raise UnsupportedLayer(f"layer {node.layer.name!r}: axis must be the last, not {node.layer.axis}")
    return _pairwise(build, node, Concatenate)


def _pairwise(build: Builder, node: Node, kind: type[Add] | type[Multiply] | type[Concatenate]) -> str:
    """Merge any number of inputs two by two: hls4ml takes two."""
    made, *others = node.sources
    for at, other in enumerate(others):
        last = at == len(others) - 1
        made = build.add(
            kind(build.name(node.layer.name if last else f"{node.layer.name}_part{at + 1}"), (made, other))
        )
    return made


def _activation(build: Builder, node: Node) -> str:
    return _apply(build, node, node.source, node.layer.activation, build.name(node.layer.name))


def _relu_layer(build: Builder, node: Node) -> str:
    layer = node.layer
    if layer.max_value is not None or layer.threshold:
        raise UnsupportedLayer(f"layer {layer.name!r}: a ReLU must have no max_value and no threshold")
    return _float_relu(build, node.source, build.name(layer.name), float(layer.negative_slope))


def _leaky_relu_layer(build: Builder, node: Node) -> str:
    return _float_relu(build, node.source, build.name(node.layer.name), float(node.layer.negative_slope))


def _softmax_layer(build: Builder, node: Node) -> str:
    return _left_out(build, node, "softmax", node.source)


# --- pieces ---------------------------------------------------------------------------------------------------------


def _activated(build: Builder, node: Node, made: Layer, apart: str = "") -> str:
    """Add a layer and the activation inside it, if it has one."""
    name = build.add(made, apart)
    if node.layer.activation is None or getattr(node.layer.activation, "__name__", "") == "linear":
        return name
    return _apply(build, node, name, node.layer.activation, build.name(f"{node.layer.name}_act"))


def _apply(build: Builder, node: Node, source: str, activation: Any, name: str) -> str:
    """Add what `activation` (a Keras function or a QKeras quantizer) does to `source`; return the last layer's name."""
    plain = "linear" if activation is None else getattr(activation, "__name__", "")
    match plain:
        case "linear":
            return source
        case "relu":
            return _float_relu(build, source, name, 0.0)
        case "leaky_relu":
            return _float_relu(build, source, name, 0.2)
        case "sigmoid" if not node.last:
            return _float_table(build, source, name, plain)
        case "softmax" | "sigmoid":
            return _left_out(build, node, plain, source)
        case "tanh":
            return _float_table(build, source, name, plain)
        case "":
            return _quantized_activation(build, node, source, activation, name)
        case "hard_tanh" | "binary_tanh" | "binary_sigmoid":
            return _tabulated(build, node, source, activation, name)
        case _:
            raise UnsupportedLayer(f"layer {node.layer.name!r}: activation {plain!r} is not supported")


def _quantized_activation(build: Builder, node: Node, source: str, quantizer: Any, name: str) -> str:
    what = meaning(quantizer, node.layer.name)
    if what is None:
        return _tabulated(build, node, source, quantizer, name)
    x = build.ranges[source]
    if what.clip is not None:
        # so fine that the largest result stays within reach, and the bound is on the grid
        fraction = max(x.fraction, what.type.fraction, 1 - what.clip)
        if x.at(fraction).low < -(1 << (what.clip - 1 + fraction)):  # only then can the clip change anything
            clip = FixedPoint(what.clip + fraction, what.clip, True, Rounding.TRN, Overflow.SAT)
            source = build.add(Activation(build.name(f"{name}_clip"), (source,), Function.LINEAR, clip))
    return build.add(Activation(name, (source,), what.function, what.type, what.slope))


def _tabulated(build: Builder, node: Node, source: str, function: Any, name: str) -> str:
    index, table = tabulate(function, build.ranges[source], node.layer.name)
    return build.add(Table(name, (source,), index, table))


def _float_table(build: Builder, source: str, name: str, function: str) -> str:
    made = replace(build.tables.of(function), name=name, sources=(source,))
    apart = (
        f"a {function} in floating point is on no grid: it is a table of {made.index} to {made.table.type}, computed "
        "in float64 and rounded"
    )
    return build.add(made, apart)


def _float_relu(build: Builder, source: str, name: str, slope: float) -> str:
    """Add a ReLU in floating point: its type is whatever holds every value, exactly if its slope has few bits."""
    bits = build.scale_bits or SCALE_BITS
    found, apart = rounded(np.array([slope]), bits), ""
    if found.change:
        apart = f"its slope {slope:g} is on no grid: it is rounded to {found.type} (change {found.change:.2g})"
    slope = float(found.values[0])
    wide = Activation(name, (source,), Function.RELU, FixedPoint(2, 2), slope)
    y = before_cast(wide, build.ranges[source])
    kind = smallest(y.low, y.high, y.fraction, signed=y.low < 0)
    return build.add(Activation(name, (source,), Function.RELU, kind, slope), apart)


def _left_out(build: Builder, node: Node, what: str, source: str) -> str:
    if not node.last:
        raise UnsupportedLayer(f"layer {node.layer.name!r}: a {what} is supported at the end of the model only")
    where = "the class is the largest logit" if what == "softmax" else "the class is 1 where the logit is above 0"
    build.notes.append(f"the {what} at the end is left out: the outputs are logits, and {where}")
    return source


def _weights(
    build: Builder, layer: Any, kernel: str, outputs: int, quantizer: str = "kernel_quantizer"
) -> tuple[Weights, Weights, str]:
    """Return kernel and bias of a layer as codes, and why they are not what Keras has, if they are not."""
    values, apart = _quantized(build, layer, kernel, quantizer)
    bias, also = _quantized(build, layer, "bias", "bias_quantizer") if layer.use_bias else (np.zeros(outputs), "")
    return Weights.of(values), Weights.of(bias), "; ".join(one for one in (apart, also) if one)


def _quantized(build: Builder, layer: Any, what: str, quantizer: str) -> tuple[Floats, str]:
    values = np.asarray(getattr(layer, what), np.float32)
    where = f"the {what} of layer {layer.name!r}"
    if not np.isfinite(values).all():
        raise DataError(f"{where} has {int((~np.isfinite(values)).sum())} NaN or infinite values; train it again")
    found = getattr(layer, f"{quantizer}_internal", None)
    if found is None and what == "bias" and any(getattr(layer, f"{q}_internal", None) for q in KERNEL_QUANTIZERS):
        return _float_bias(build, values.astype(np.float64), where)
    return _as_values(build, quantized(found, values, where, build.scale_bits), where)


KERNEL_QUANTIZERS = ("kernel_quantizer", "depthwise_quantizer", "pointwise_quantizer")


def _float_bias(build: Builder, values: Floats, where: str) -> tuple[Floats, str]:
    """QKeras allows biases in float: kept exactly, unless a grid is stated or an accumulator could not hold them."""
    codes, fraction = grid(values, limit=1000)
    if build.scale_bits is None and fraction <= FLOAT_BIAS_FRACTION and np.abs(codes).max(initial=0) < 1 << 40:
        return values, ""
    return _as_values(build, rounded(values, build.scale_bits or FLOAT_BIAS_FRACTION), where)


FLOAT_BIAS_FRACTION = 32  # bits


def _as_values(build: Builder, found: Floats | Rounded, where: str) -> tuple[Floats, str]:
    if not isinstance(found, Rounded):
        return found, ""
    if not found.change:
        return found.values, ""
    return found.values, f"{where} is on no grid: it is rounded to {found.type} (largest change {found.change:.2g})"


def must_be_plain(layer: Any) -> None:
    """Raise UnsupportedLayer for a convolution that is dilated, grouped, or has its channels first."""
    if layer.data_format != "channels_last":
        raise UnsupportedLayer(f"layer {layer.name!r}: data_format must be channels_last")
    if any(rate != 1 for rate in layer.dilation_rate):
        raise UnsupportedLayer(f"layer {layer.name!r}: dilation_rate must be 1, not {layer.dilation_rate}")
    if getattr(layer, "groups", 1) != 1:
        raise UnsupportedLayer(f"layer {layer.name!r}: groups must be 1, not {layer.groups}")


def padding_of(layer: Any, x: Shape, window: Shape, strides: Shape) -> tuple[tuple[int, int], ...]:
    """Return zeros before and after each axis, as Keras' "same" and "valid" put them (more behind if odd)."""
    if layer.padding == "valid":
        return ((0, 0),) * len(window)
    if layer.padding != "same":
        raise UnsupportedLayer(f"layer {layer.name!r}: padding must be valid or same, not {layer.padding!r}")
    pairs = []
    for size, k, stride in zip(x[:-1], window, strides, strict=True):
        total = max((-(-size // stride) - 1) * stride + k - size, 0)
        pairs.append((total // 2, total - total // 2))
    return tuple(pairs)


Reader = Callable[[Builder, Node], str]

READERS: dict[str, Reader] = {
    "InputLayer": _nothing,
    "Dense": _dense,
    "QDense": _dense,
    "Conv1D": _conv,
    "Conv2D": _conv,
    "QConv1D": _conv,
    "QConv2D": _conv,
    "DepthwiseConv2D": _depthwise,
    "DepthwiseConv1D": _depthwise,
    "QDepthwiseConv2D": _depthwise,
    "SeparableConv1D": _separable,
    "SeparableConv2D": _separable,
    "QSeparableConv1D": _separable,
    "QSeparableConv2D": _separable,
    "QConv2DBatchnorm": _folded,
    "QDenseBatchnorm": _folded,
    "QDepthwiseConv2DBatchnorm": _folded,
    "BatchNormalization": _batch_norm,
    "QAveragePooling2D": _quantized_average,
    "QGlobalAveragePooling2D": _quantized_average,
    "MaxPooling1D": _max_pool,
    "MaxPooling2D": _max_pool,
    "AveragePooling1D": _average_pool,
    "AveragePooling2D": _average_pool,
    "GlobalMaxPooling1D": _global_max_pool,
    "GlobalMaxPooling2D": _global_max_pool,
    "GlobalAveragePooling1D": _global_average_pool,
    "GlobalAveragePooling2D": _global_average_pool,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Dropout": _nothing,
    "ZeroPadding1D": _pad,
    "ZeroPadding2D": _pad,
    "Add": _add,
    "Multiply": _multiply,
    "Concatenate": _concatenate,
    "Activation": _activation,
    "QActivation": _activation,
    "ReLU": _relu_layer,
    "LeakyReLU": _leaky_relu_layer,
    "Softmax": _softmax_layer,
}

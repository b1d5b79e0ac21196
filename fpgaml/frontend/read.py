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

To add a layer: one function in readers.py, or below if only a quantized model can have it, entered in `READERS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from fpgaml.errors import DataError, UnsupportedLayer
from fpgaml.frontend import legacy, readers
from fpgaml.frontend.findings import Code
from fpgaml.frontend.folding import scale_and_bias
from fpgaml.frontend.functions import FUNCTIONS, TABLES, TableTypes, index_for, looked_up
from fpgaml.frontend.graph import Layer, Node, walk
from fpgaml.frontend.quantizers import Rounded, meaning, quantized, rounded, tabulate
from fpgaml.frontend.readers import RELUS, Builder, Padding, Reader, drop_axes, padding_of, whole_kernel
from fpgaml.ir.accumulate import Interval, before_cast, output_interval
from fpgaml.ir.fixed import MAX_WIDTH, PIXEL, FixedPoint, Floats, Overflow, Rounding, grid, smallest
from fpgaml.ir.network import (
    Activation,
    Affine,
    AveragePool,
    Conv,
    DepthwiseConv,
    Function,
    Input,
    Network,
    PRelu,
    Shape,
    Table,
    Weights,
)
from fpgaml.ir.network import Layer as NetworkLayer
from fpgaml.ir.shown import Shown, Summary

SCALE_BITS = 16  # of batch normalization and slopes that are on no grid, where the caller states none
FLOAT_BIAS_FRACTION = 32  # bits
Known = dict[tuple[str, str, int | None], Floats | Rounded]  # by node, weights and bits stated
KERNEL_QUANTIZERS = ("kernel_quantizer", "depthwise_quantizer", "pointwise_quantizer")


@dataclass(frozen=True, repr=False)
class Reading(Shown):
    """A Network with where its layers come from, and where it is not what Keras computes, and why.

    `alike` names layers as `keras_names` does, those behind a rounding too. `real` has the values that weights had
    before they were rounded to `scale_bits`, by layer and field.
    """

    network: Network
    keras_names: dict[str, str]
    notes: tuple[str, ...]
    apart: dict[str, str] = field(default_factory=dict)
    alike: dict[str, str] = field(default_factory=dict)
    real: dict[str, dict[str, Floats]] = field(default_factory=dict)

    @property
    def summary(self) -> Summary:
        """Each layer with the Keras layer that it comes from, and why it is apart from that, if it is."""
        rows = [
            (layer.name, layer.words, self.keras_names.get(layer.name, ""), self.apart.get(layer.name, ""))
            for layer in self.network
        ]
        line = f"of {self.network.name}: {len(rows)} layers" + (f"; {'; '.join(self.notes)}" if self.notes else "")
        return Summary(line, ("layer", "what it does", "layer in Keras", "apart from Keras"), rows)


def read(
    model: Any,
    *,
    name: str,
    input_type: FixedPoint = PIXEL,
    scale_bits: int | None = None,
    bits: int = SCALE_BITS,
    tables: TableTypes = TABLES,
    known: Known | None = None,
) -> Reading:
    """Return the Network that `model` (Sequential or functional, one input, one output) computes.

    scale_bits: bits to round to what is on no grid. None refuses weights with alpha "auto", and takes `bits` for batch
    normalization and slopes (scale_bits.py finds how many). tables: the types of a float sigmoid or tanh inside.
    known: kept between readings of one model, whose quantizers then are evaluated once.

    Raises: UnsupportedLayer for what has no exact meaning; DataError for NaN or infinite weights.
    """
    build = Exact(
        input_type=input_type, scale_bits=scale_bits, bits=bits, tables=tables, known={} if known is None else known
    )
    build.read(walk(model))
    return build.reading(name)


@dataclass
class Exact(Builder):
    """Collects layers whose numbers have types, keeping the interval of each output as it goes."""

    input_type: FixedPoint = PIXEL
    scale_bits: int | None = None
    bits: int = SCALE_BITS
    tables: TableTypes = TABLES
    layers: list[NetworkLayer] = field(default_factory=list)
    ranges: dict[str, Interval] = field(default_factory=dict)
    alike: dict[str, str] = field(default_factory=dict)  # network layers and the Keras layers that they stand for
    early: set[str] = field(default_factory=set)  # nodes whose rounding was brought forward
    apart: dict[str, str] = field(default_factory=dict)  # network layers where Keras computes something else, and why
    beyond: set[str] = field(default_factory=set)  # those, and all that reads them
    real: dict[str, dict[str, Floats]] = field(default_factory=dict)  # weights before they were rounded
    known: Known = field(default_factory=dict)  # what quantizers gave, for further readings of the same model

    def reading(self, name: str) -> Reading:
        """Return what was read, as a Network of that name."""
        same = {ours: theirs for ours, theirs in self.alike.items() if ours not in self.beyond}
        network = Network(name, tuple(self.layers))
        return Reading(network, same, tuple(self.notes), self.apart, self.alike, self.real)

    def reader_of(self, node: Node) -> Reader:
        """Return the reader of a node's kind."""
        if node.kind not in READERS:
            raise unsupported(node)
        return READERS[node.kind]

    def done(self, node: Node, made: list[str]) -> None:
        """Remember which node has the same output, where that is so but for rounding."""
        if node.sources and node.name not in self.early:
            self.alike.setdefault(self.outputs[node.name], node.name)

    def put(self, layer: NetworkLayer, apart: str = "") -> str:
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

    def add(self, kind: type[NetworkLayer], name: str, sources: tuple[str, ...], **settings: Any) -> str:
        """Append a layer."""
        return self.put(kind(name, sources, **settings))

    def input(self, name: str, dims: Shape) -> str:
        """Append the input, of the type that was given."""
        return self.put(Input(name, (), dims, self.input_type))

    def never_negative(self, name: str) -> bool:
        """Go by the interval of its output."""
        return self.ranges[name].low >= 0

    def summed(self, node: Node, made: str) -> str:
        """Leave a sum as it is: exact."""
        return made

    # --- weights ------------------------------------------------------------------------------------------------------

    def weighted(self, node: Node, kind: type[NetworkLayer], settings: Mapping[str, Any]) -> str:
        """Append a layer with the values that its quantizers give, and the activation inside it."""
        layer, quantizer = node.layer, "kernel_quantizer"
        what = "kernel"
        if hasattr(layer, "depth_multiplier"):
            what = "depthwise_kernel" if hasattr(layer, "depthwise_kernel") else "kernel"
            quantizer = "depthwise_quantizer"
        values, apart = self.quantized(node, what, quantizer)
        values = whole_kernel(layer, values) if values.ndim > 2 else values
        kernel = Weights.of(values[..., 0] if kind is DepthwiseConv else values)
        bias, also = self.bias(node, kernel.codes.shape[-1])
        made = kind(self.name(node.name), self.sources(node), kernel=kernel, bias=bias, **settings)  # type: ignore[call-arg]
        return self.activated(node, made, "; ".join(one for one in (apart, also) if one))

    def activated(self, node: Node, made: NetworkLayer, apart: str = "") -> str:
        """Append a layer and the activation inside it, if it has one."""
        name, activation = self.put(made, apart), node.layer.activation
        if activation is None or getattr(activation, "__name__", "") == "linear":
            return name
        return self.activate(node, activation, name, self.name(f"{node.name}_act"))

    def bias(self, node: Node, outputs: int) -> tuple[Weights, str]:
        """Return the bias of a layer, zeros if it has none, and why it is not what Keras has, if it is not."""
        if not node.layer.use_bias:
            return Weights.of(np.zeros(outputs)), ""
        values, apart = self.quantized(node, "bias", "bias_quantizer")
        return Weights.of(values), apart

    def quantized(self, node: Node, what: str, quantizer: str) -> tuple[Floats, str]:
        """Return the values of weights, and why they are not what Keras has, if they are not."""
        layer = node.layer
        values = np.asarray(getattr(layer, what), np.float32)
        where = f"the {what} of layer {node.name!r}"
        if not np.isfinite(values).all():
            count = int((~np.isfinite(values)).sum())
            raise DataError(f"{where} has {count} NaN or infinite values; train it again", code=Code.BAD_WEIGHTS)
        found = getattr(layer, f"{quantizer}_internal", None)
        if found is None and what == "bias" and any(getattr(layer, f"{q}_internal", None) for q in KERNEL_QUANTIZERS):
            return self._float_bias(values.astype(np.float64), where)
        key = node.name, what, self.scale_bits
        if key not in self.known:
            self.known[key] = quantized(found, values, where, self.scale_bits)
        return _as_values(self.known[key], where)

    def _float_bias(self, values: Floats, where: str) -> tuple[Floats, str]:
        """QKeras allows biases in float: kept exactly, unless a grid is stated or no accumulator could hold them."""
        codes, fraction = grid(values, limit=1000)
        if self.scale_bits is None and fraction <= FLOAT_BIAS_FRACTION and np.abs(codes).max(initial=0) < 1 << 40:
            return values, ""
        return _as_values(rounded(values, self.scale_bits or FLOAT_BIAS_FRACTION), where)

    def normalize(self, node: Node) -> str:
        """Append scale and bias per channel, rounded to a stated grid where they are on none that narrow."""
        return self.normalized(
            node, *scale_and_bias(node, len(self.shapes[self.source(node)])), what="batch normalization"
        )

    def normalized(self, node: Node, scale: Floats, bias: Floats, *, what: str) -> str:
        """Append a scale and a bias for each channel (channels,), rounded to a stated grid."""
        bits = self.scale_bits or self.bits
        found = rounded(scale, bits), rounded(bias, bits)
        apart = (
            f"{what} in floating point is on no grid: its scale is rounded to {found[0].type} (largest "
            f"change {found[0].change:.2g}), its bias to {found[1].type} ({found[1].change:.2g})"
        )
        made = Affine(self.name(node.name), (self.source(node),), *(Weights.of(one.values) for one in found))
        self.real[made.name] = {"scale": scale, "bias": bias}
        return self.put(made, apart)

    # --- means and activations ----------------------------------------------------------------------------------------

    def mean(self, node: Node, window: Shape, strides: Shape, padding: Padding) -> str:
        """Append an AveragePool: exact for a power of two, else rounded once, as the quantizer behind it says."""
        count = int(np.prod(window))
        x = self.ranges[self.source(node)]
        if count.bit_count() == 1 and not any(a or b for a, b in padding):
            kind = _holding(node, Interval(x.low * count, x.high * count, x.fraction + count.bit_length() - 1))
        else:
            kind = self._rounded_early(node, count)
        made = AveragePool(self.name(node.name), (self.source(node),), window, strides, padding, kind)
        return self.put(made)

    def _rounded_early(self, node: Node, count: int) -> FixedPoint:
        """Return the type to which the quantizer in or right behind a mean rounds."""
        own = getattr(node.layer, "activation", None)
        ahead = node.ahead.layer.activation if node.ahead and node.ahead.kind == "QActivation" else None
        quantizer = own or ahead
        plain = quantizer is None or hasattr(quantizer, "__name__")
        what = None if plain else meaning(quantizer, node.name)
        if what is None or what.slope:
            raise UnsupportedLayer(
                f"layer {node.name!r}: a mean over {count} values (or over padding) is on no grid; put a "
                "QActivation right after it, which says where to round",
                code=Code.MEAN_NOT_POWER_OF_TWO,
            )
        if own is None:
            self.early.add(node.name)
        return what.type

    def activate(self, node: Node, activation: Any, source: str, name: str) -> str:
        """Append what an activation does to `source`; return the last layer's name."""
        plain = "linear" if activation is None else getattr(activation, "__name__", "")
        if isinstance(activation, RELUS):
            return readers.relu_layer(self, node, activation, source, name)
        match plain:
            case "linear":
                return source
            case "relu":
                return self.relu(node, source, name, 0.0)
            case "leaky_relu":
                return self.relu(node, source, name, 0.2)
            case "relu6":
                return readers.bounded(self, node, self.rectified(source, name, 0.0, node), 6.0)
            case "softmax" | "sigmoid" if node.last:
                return self.leave_out(node, plain, source)
            case "sigmoid" | "tanh":
                return self._float_table(source, name, plain)
            case _ if plain in FUNCTIONS:
                return self.looked_up(source, name, plain, activation)
            case "softmax":
                raise UnsupportedLayer(f"layer {node.name!r}: a softmax is supported at the end of the model only")
            case "":
                return self.cast(node, activation, source, name)
            case "hard_tanh" | "binary_tanh" | "binary_sigmoid":
                return self._tabulated(node, activation, source, name)
            case _:
                raise UnsupportedLayer(f"layer {node.name!r}: activation {plain!r} is not supported")

    def cast(self, node: Node, quantizer: Any, source: str, name: str) -> str:
        """Append what a QKeras quantizer does to `source`."""
        what = meaning(quantizer, node.name)
        if what is None:
            return self._tabulated(node, quantizer, source, name)
        x = self.ranges[source]
        if what.clip is not None:
            # so fine that the largest result stays within reach, and the bound is on the grid
            fraction = max(x.fraction, what.type.fraction, 1 - what.clip)
            if x.at(fraction).low < -(1 << (what.clip - 1 + fraction)):  # only then can the clip change anything
                clip = FixedPoint(what.clip + fraction, what.clip, True, Rounding.TRN, Overflow.SAT)
                source = self.put(Activation(self.name(f"{name}_clip"), (source,), Function.LINEAR, clip))
        return self.put(Activation(name, (source,), what.function, what.type, what.slope))

    def _tabulated(self, node: Node, function: Any, source: str, name: str) -> str:
        index, table = tabulate(function, self.ranges[source], node.name)
        return self.put(Table(name, (source,), index, table))

    def _float_table(self, source: str, name: str, function: str) -> str:
        made = replace(self.tables.of(function), name=name, sources=(source,))
        apart = (
            f"a {function} in floating point is on no grid: it is a table of {made.index} to {made.table.type}, "
            "computed in float64 and rounded"
        )
        return self.put(made, apart)

    def looked_up(self, source: str, name: str, what: str, function: Callable[[Any], Any]) -> str:
        """Append a function in floating point as a table of stated types, of what Keras itself computes."""
        made = replace(looked_up(function, index_for(self.ranges[source])), name=name, sources=(source,))
        types = f"{made.index} to {made.table.type}"
        apart = f"the function {what} in floating point is on no grid: it is a table of {types}, rounded"
        return self.put(made, apart)

    def scaled(self, node: Node, source: str, name: str, scale: float, offset: float) -> str:
        """Append a scale and an offset a channel, exact where they have few bits, else rounded."""
        if (scale, offset) == (1.0, 0.0):
            return source
        channels, parts, changes = self.shapes[source][-1:], {}, []
        for field_, value in (("scale", scale), ("bias", offset)):
            found = rounded(np.array([value]), SCALE_BITS)
            if found.change:
                found = rounded(np.array([value]), self.scale_bits or self.bits)
                changes.append(f"its {field_} {value:.6g} is rounded to {found.type} (change {found.change:.2g})")
            parts[field_] = Weights.of(np.broadcast_to(found.values, channels))
        if changes:
            self.real[name] = {"scale": np.full(channels, scale), "bias": np.full(channels, offset)}
        apart = f"a factor on no grid: {', '.join(changes)}" if changes else ""
        return self.put(Affine(name, (source,), **parts), apart)

    def relu(self, node: Node, source: str, name: str, slope: float) -> str:
        """Append a ReLU in floating point: its type holds every value, exactly if its slope has few bits."""
        found, apart = rounded(np.array([slope]), self.scale_bits or self.bits), ""
        if found.change:
            self.real[name] = {"slope": np.array([slope])}
            apart = f"its slope {slope:g} is on no grid: it is rounded to {found.type} (change {found.change:.2g})"
        slope = float(found.values[0])
        wide = Activation(name, (source,), Function.RELU, FixedPoint(2, 2), slope)
        kind = _holding(node, before_cast(wide, self.ranges[source]))
        return self.put(Activation(name, (source,), Function.RELU, kind, slope), apart)

    def rectified(self, source: str, name: str, slope: float, node: Node) -> str:
        """Append a ReLU, which is exact anyway."""
        return self.relu(node, source, name, slope)

    def constant(
        self, kind: type[NetworkLayer], name: str, sources: tuple[str, ...], arrays: dict[str, Floats], **settings: Any
    ) -> str:
        """Append a layer with the very values of `arrays`."""
        return self.add(kind, name, sources, **settings, **{one: Weights.of(array) for one, array in arrays.items()})

    def prelu(self, node: Node) -> str:
        """Append a ReLU with its slopes, exact where they have few bits, else rounded."""
        values = np.asarray(node.layer.alpha, np.float64)
        if not np.isfinite(values).all():
            raise DataError(f"layer {node.name!r} has NaN or infinite slopes; train it again", code=Code.BAD_WEIGHTS)
        found = rounded(values, self.scale_bits or self.bits)
        slopes, apart = _as_values(found, f"the slopes of layer {node.name!r}")
        made = PRelu(self.name(node.name), self.sources(node), Weights.of(slopes))
        if apart:
            self.real[made.name] = {"slopes": values}
        return self.put(made, apart)


def _holding(node: Node, x: Interval) -> FixedPoint:
    """Return the narrowest type of an interval. Raises: UnsupportedLayer if there is none so wide."""
    if x.bits > MAX_WIDTH:
        raise UnsupportedLayer(
            f"layer {node.name!r}: its result needs {x.bits} bits to be exact, more than the {MAX_WIDTH} that a type "
            "can have; put a QActivation of fewer bits before it",
            code=Code.DESIGN,
        )
    return smallest(x.low, x.high, x.fraction, signed=x.low < 0)


def _as_values(found: Floats | Rounded, where: str) -> tuple[Floats, str]:
    if not isinstance(found, Rounded):
        return found, ""
    if not found.change:
        return found.values, ""
    return found.values, f"{where} is on no grid: it is rounded to {found.type} (largest change {found.change:.2g})"


def unsupported(node: Node) -> UnsupportedLayer:
    """Return why a kind of layer is refused."""
    if legacy.RECURRENT.search(node.kind):
        return UnsupportedLayer(
            f"layer {node.name!r}: a {node.kind} is recurrent, and a Network keeps nothing from one step to the next; "
            "use a convolution or a dense layer over a window of steps"
        )
    if node.kind == "Lambda":
        return UnsupportedLayer(
            f"layer {node.name!r} is a Lambda: it holds Python code, which fpgaml never runs; use a built-in layer",
            code=Code.PYTHON_CODE,
        )
    known = ", ".join(sorted(READERS))
    return UnsupportedLayer(f"layer {node.name!r}: a {node.kind} is not supported; supported are {known}")


# --- layers that only a quantized model has --------------------------------------------------------------------------


def _separable(build: Exact, node: Node) -> str:
    """A depthwise convolution and a pointwise one, exact in between."""
    layer = node.layer
    readers.must_end_in_channels(layer)
    if any(rate != 1 for rate in layer.dilation_rate) or layer.depth_multiplier != 1:
        raise UnsupportedLayer(
            f"layer {node.name!r}: a {node.kind} must have dilation_rate and depth_multiplier 1; use a depthwise and a "
            "pointwise convolution instead"
        )
    settings = readers.depthwise_settings(build, node)
    depth, why = build.quantized(node, "depthwise_kernel", "depthwise_quantizer")
    kernel = Weights.of(depth[..., 0])
    nothing = Weights.of(np.zeros(kernel.codes.shape[-1]))
    first = DepthwiseConv(build.name(f"{node.name}_depthwise"), build.sources(node), kernel, nothing, **settings)
    source = build.put(first, why)
    point, apart = build.quantized(node, "pointwise_kernel", "pointwise_quantizer")
    bias, also = build.bias(node, layer.filters)
    ones = (1,) * len(layer.kernel_size)
    made = Conv(build.name(node.name), (source,), Weights.of(point), bias, ones, ((0, 0),) * len(ones))
    return build.activated(node, made, "; ".join(one for one in (apart, also) if one))


def _folded(build: Exact, node: Node) -> str:
    """A layer with its batch normalization inside: it quantizes its folded weights itself, so all is on a grid."""
    layer = node.layer
    kernel, bias = (np.asarray(values, np.float32) for values in layer.get_folded_weights())
    depthwise = node.kind.startswith("QDepthwise")
    outputs = kernel.shape[-2:-1] if depthwise else kernel.shape[-1:]
    stand_in = _Folded(layer, "depthwise_kernel" if depthwise else "kernel", kernel, np.broadcast_to(bias, outputs))
    reader = readers.depthwise if depthwise else readers.dense if kernel.ndim == 2 else readers.conv
    return reader(build, replace(node, layer=stand_in))


class _Folded:
    """A Keras layer as it is, but for its kernel and bias."""

    def __init__(self, layer: Layer, kernel_name: str, kernel: Any, bias: Any) -> None:
        self._layer = layer
        self.use_bias = True
        self.bias = bias
        setattr(self, kernel_name, kernel)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._layer, name)


def _quantized_average(build: Exact, node: Node) -> str:
    """QKeras' pooling: sum times a quantized 1/n, which is a depthwise convolution with one weight; or a plain mean."""
    layer, source = node.layer, build.source(node)
    everything = not hasattr(layer, "pool_size")
    if everything:
        window, padding = readers.whole(build, node)
        strides = window
    else:
        window, strides = tuple(layer.pool_size), tuple(layer.strides)
        padding = padding_of(layer, build.shapes[source], window, strides)
    if layer.average_quantizer_internal is None:
        made = build.mean(node, window, strides, padding)
    elif any(a or b for a, b in padding):
        raise UnsupportedLayer(
            f"layer {node.name!r}: QAveragePooling2D over padding divides by another number at the edges; use "
            "padding='valid'"
        )
    else:
        where = f"1/n of layer {node.name!r}"
        factor = quantized(layer.average_quantizer_internal, [1 / np.prod(window)], where, build.scale_bits)
        share, apart = _as_values(factor, where)
        channels = build.shapes[source][-1]
        kernel = Weights.of(np.full((*window, channels), share.item()))
        bias = Weights.of(np.zeros(channels))
        made = build.put(DepthwiseConv(build.name(node.name), (source,), kernel, bias, strides, padding), apart)
    if everything:
        made = drop_axes(build, node, made)
    return build.activate(node, layer.activation, made, build.name(f"{node.name}_act")) if layer.activation else made


def _quantized_normalization(build: Exact, node: Node) -> str:
    """QKeras' batch normalization: quantized numbers, but a factor of one over a root, unless that is quantized too."""
    layer = node.layer
    if layer.axis not in (-1, [-1], len(build.shapes[build.source(node)])):
        raise UnsupportedLayer(f"layer {node.name!r}: axis must be the last, not {layer.axis}")

    def value(what: str, quantizer: str) -> Floats:
        found, quantize = np.asarray(getattr(layer, what), np.float32), getattr(layer, f"{quantizer}_internal")
        return np.asarray(found if quantize is None else quantize(found), np.float64)

    mean, variance = value("moving_mean", "mean_quantizer"), value("moving_variance", "variance_quantizer")
    scale = 1 / np.sqrt(variance + layer.epsilon)
    if layer.scale:
        scale = scale * value("gamma", "gamma_quantizer")
    if layer.inverse_quantizer_internal is not None:
        scale = np.asarray(layer.inverse_quantizer_internal(scale.astype(np.float32)), np.float64)
    bias = (value("beta", "beta_quantizer") if layer.center else 0.0) - mean * scale
    if not (np.isfinite(scale).all() and np.isfinite(bias).all()):
        raise DataError(f"layer {node.name!r} has NaN or infinite values; train it again", code=Code.BAD_WEIGHTS)
    return build.normalized(node, scale, bias, what="quantized batch normalization")


READERS: dict[str, Reader] = readers.READERS | {
    "QDense": readers.dense,
    "QConv1D": readers.conv,
    "QConv2D": readers.conv,
    "QDepthwiseConv2D": readers.depthwise,
    "SeparableConv1D": _separable,
    "SeparableConv2D": _separable,
    "QSeparableConv1D": _separable,
    "QSeparableConv2D": _separable,
    "QConv2DBatchnorm": _folded,
    "QDenseBatchnorm": _folded,
    "QDepthwiseConv2DBatchnorm": _folded,
    "QAveragePooling2D": _quantized_average,
    "QGlobalAveragePooling2D": _quantized_average,
    "QActivation": readers.activation,
    "QBatchNormalization": _quantized_normalization,
}

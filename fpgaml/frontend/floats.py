"""Read a float Keras model, without any quantizer, as a FloatModel: the start of post-training quantization.

    reading = read(model, name="mnist_mlp")
    reading.model          layers and real weights; batch normalization folded, dropout and the last softmax gone
    reading.keras_names    {tensor: Keras layer with the same output}, for its float activations
    batches(model, reading, data)  float outputs of these layers, batch by batch

Every result of a layer with weights is rounded before the next one: by its ReLU, or by a linear `Activation` called
``<layer>_round``; only the logits stay exact. To add a layer: readers.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from fpgaml.errors import UnsupportedLayer
from fpgaml.exact.comparison import classify
from fpgaml.frontend.folding import Folded, fold, scale_and_bias
from fpgaml.frontend.functions import ANY_INDEX, FUNCTIONS, TABLES, looked_up
from fpgaml.frontend.graph import Node, activation_of, layer_outputs, walk
from fpgaml.frontend.quantizers import rounded
from fpgaml.frontend.readers import (
    READERS,
    RELUS,
    Builder,
    Padding,
    Reader,
    bounded,
    depthwise_settings,
    relu_layer,
    whole_kernel,
)
from fpgaml.ir.fixed import Array, FixedPoint, Floats
from fpgaml.ir.floatmodel import FloatLayer, FloatModel
from fpgaml.ir.network import (
    Activation,
    Affine,
    AveragePool,
    Concatenate,
    Conv,
    DepthwiseConv,
    Function,
    Input,
    Layer,
    MaxPool,
    PRelu,
    Shape,
    Table,
    Weights,
    has_own_type,
)

ROUNDING = ("Activation", "ReLU", "LeakyReLU", "ELU", "Softmax")  # kinds that round what they read
SEPARABLE = ("SeparableConv1D", "SeparableConv2D")
SLOPE_BITS, CONSTANT_BITS = 8, 16
BATCH = 500  # images whose activations are held at a time
PROBED = (Activation, AveragePool, MaxPool, Concatenate)  # layers whose float values are looked at
ANY_TYPE = FixedPoint(2, 2)  # for layers of which only the shape is asked


@dataclass(frozen=True)
class FloatReading:
    """A FloatModel with where its tensors come from, and what was left out on the way."""

    model: FloatModel
    keras_names: dict[str, str]
    notes: tuple[str, ...]
    shapes: dict[str, Shape]


def read(model: Any, *, name: str) -> FloatReading:
    """Return the float network that `model` (Sequential or functional, one input, one output) computes.

    Raises: UnsupportedLayer for a layer that has no exact meaning once its tensors have types; DataError for NaN or
    infinite weights.
    """
    graph = walk(model)
    folded, gone = fold(graph, all_of_them=False)
    build = Real(folded=folded, gone=gone)
    build.read(graph)
    build.end_in_logits()
    return FloatReading(FloatModel(name, tuple(build.layers)), build.keras_names, tuple(build.notes), build.shapes)


def batches(model: Any, reading: FloatReading, values: Array, *, batch: int = BATCH) -> Iterator[dict[str, Any]]:
    """Yield the float outputs (images, *shape) by tensor name, for input `values` (images, *shape), batch by batch."""
    for at in range(0, len(values), batch):
        images = values[at : at + batch]
        found = {reading.model.layers[0].name: images, **layer_outputs(model, reading.keras_names, images)}
        # global pooling in Keras drops axes that our tensor still has
        yield {name: array.reshape(len(array), *reading.shapes[name]) for name, array in found.items()}


def answers(model: Any, values: Array, *, batch: int = BATCH) -> NDArray[np.int64]:
    """Return the class (images,) that a float model gives each image (images, *shape): the largest output.

    With one output: 1 where it is above 0, or above one half if it comes out of a sigmoid.
    """
    probe = keras.Model(model.inputs[0], model.outputs[0])
    parts = [np.asarray(probe(values[at : at + batch], training=False)) for at in range(0, len(values), batch)]
    outputs = np.concatenate(parts).reshape(len(values), -1)
    activation = getattr(getattr(model.layers[-1], "activation", None), "__name__", "")
    return classify(outputs - 0.5 if outputs.shape[1] == 1 and activation == "sigmoid" else outputs)


def _separable(build: Real, node: Node) -> str:
    """A depthwise convolution and a pointwise one, exact in between."""
    layer = node.layer
    if any(rate != 1 for rate in layer.dilation_rate) or layer.depth_multiplier != 1:
        raise UnsupportedLayer(
            f"layer {node.name!r}: a {node.kind} must have dilation_rate and depth_multiplier 1; use a depthwise and a "
            "pointwise convolution instead"
        )
    depth, point = (np.asarray(kernel, np.float64) for kernel in (layer.depthwise_kernel, layer.pointwise_kernel))
    arrays = {"kernel": depth[..., 0], "bias": np.zeros(depth.shape[-2])}
    settings = depthwise_settings(build, node)
    first = build.put(DepthwiseConv, build.name(f"{node.name}_depthwise"), build.sources(node), arrays, **settings)
    bias = np.asarray(layer.bias, np.float64) if layer.use_bias else np.zeros(layer.filters)
    plain = {"strides": (1,) * len(layer.kernel_size), "padding": ((0, 0),) * len(layer.kernel_size)}
    made = build.put(Conv, build.name(node.name), (first,), {"kernel": point, "bias": bias}, **plain)
    return build.finished(node, made)


@dataclass
class Real(Builder):
    """Collects layers with real weights, and marks where values will be rounded."""

    folded: dict[str, Folded] = field(default_factory=dict)  # by node
    gone: frozenset[str] = frozenset()  # nodes that are in the weights before them
    layers: list[FloatLayer] = field(default_factory=list)
    keras_names: dict[str, str] = field(default_factory=dict)

    def reader_of(self, node: Node) -> Reader:
        """Return the reader of a node's kind."""
        if node.kind in SEPARABLE:
            return _separable
        if node.kind not in READERS:
            known = ", ".join(sorted((*READERS, *SEPARABLE)))
            raise UnsupportedLayer(
                f"layer {node.name!r}: a {node.kind} cannot be quantized after training; supported are {known}"
            )
        return READERS[node.kind]

    def done(self, node: Node, made: list[str]) -> None:
        """Remember which node has the same output, for the last layer made for it that is looked at."""
        probed = [layer.name for layer in self.layers if layer.name in made and layer.kind in PROBED]
        if probed:
            self.keras_names[probed[-1]] = node.name

    def end_in_logits(self) -> None:
        """Take away a rounding at the very end: logits are exact."""
        last = self.layers[-1]
        if last.kind is Activation and last.settings["function"] is Function.LINEAR:
            self.layers.pop()
            self.keras_names.pop(last.name, None)

    def put(
        self, kind: type[Layer], name: str, sources: tuple[str, ...], arrays: Mapping[str, Floats], **settings: Any
    ) -> str:
        """Append a layer and return its name."""
        types = {"type": ANY_TYPE} if has_own_type(kind) else {}
        weights = {field: Weights(np.zeros(values.shape, np.int64), ANY_TYPE) for field, values in arrays.items()}
        alike = kind(name, sources, **settings, **types, **weights)
        self.shapes[name] = alike.shape(*(self.shapes[s] for s in sources))
        self.layers.append(FloatLayer(kind, name, sources, settings, arrays))
        return name

    def add(self, kind: type[Layer], name: str, sources: tuple[str, ...], **settings: Any) -> str:
        """Append a layer without weights."""
        return self.put(kind, name, sources, {}, **settings)

    def input(self, name: str, dims: Shape) -> str:
        """Append the input."""
        return self.add(Input, name, (), dims=dims)

    def round(self, source: str, function: Function, name: str, slope: float = 0.0) -> str:
        """Append an Activation: where values get a type."""
        return self.add(Activation, self.name(name), (source,), function=function, slope=slope)

    def weighted(self, node: Node, kind: type[Layer], settings: Mapping[str, Any]) -> str:
        """Append a layer with its batch normalization worked in, and the rounding behind it."""
        kernel = whole_kernel(node.layer, np.asarray(self.folded[node.name].kernel, np.float64))
        kernel = kernel[..., 0] if kind is DepthwiseConv else kernel
        bias = self.folded[node.name].bias
        arrays = {
            "kernel": kernel,
            "bias": np.zeros(kernel.shape[-1]) if bias is None else np.asarray(bias, np.float64),
        }
        return self.finished(node, self.put(kind, self.name(node.name), self.sources(node), arrays, **settings))

    def finished(self, node: Node, made: str) -> str:
        """Append the activation inside a layer, or the rounding behind its sum."""
        fused = activation_of(node.layer)
        if fused == "linear":
            return self.summed(node, made)
        return self.activate(node, node.layer.activation, made, f"{node.name}_{fused}")

    def summed(self, node: Node, made: str) -> str:
        """Round an exact sum, unless what reads it does."""
        return made if self._is_rounded_next(node) else self.round(made, Function.LINEAR, f"{node.name}_round")

    def _is_rounded_next(self, node: Node) -> bool:
        """Return whether all that reads a node (past batch normalization folded into it) is an activation."""
        if node.ahead and node.ahead.name in self.gone:
            return True  # the batch normalization's own reader decides
        return bool(node.readers) and all(reader.kind in ROUNDING for reader in node.readers)

    def normalize(self, node: Node) -> str:
        """Batch normalization is in the weights of the layer before; else append a scale and a bias a channel."""
        source = self.source(node)
        if node.name not in self.gone:
            return self.normalized(node, *scale_and_bias(node, len(self.shapes[source])), what="batch normalization")
        return source if self._is_rounded_next(node) else self.round(source, Function.LINEAR, f"{source}_round")

    def mean(self, node: Node, window: Shape, strides: Shape, padding: Padding) -> str:
        """Append an AveragePool."""
        settings = {"window": window, "strides": strides, "padding": padding}
        return self.add(AveragePool, self.name(node.name), self.sources(node), **settings)

    def activate(self, node: Node, activation: Any, source: str, name: str) -> str:
        """Append a rounding for an activation."""
        if isinstance(activation, RELUS):
            return relu_layer(self, node, activation, source, name)
        plain = str(activation.__name__)
        match plain:
            case "relu":
                return self.round(source, Function.RELU, name)
            case "relu6":
                return bounded(self, node, self.rectified(source, self.name(name), 0.0, node), 6.0)
            case "linear":
                return self.round(source, Function.LINEAR, name)
            case "softmax" | "sigmoid" if node.last:
                return self.leave_out(node, plain, source)
            case "leaky_relu":
                return self.relu(node, source, name, 0.2)
            case "sigmoid" | "tanh":
                return self.table(TABLES.of(plain), source, name, plain)
            case _ if plain in FUNCTIONS:
                return self.looked_up(source, name, plain, activation)
            case _:
                raise UnsupportedLayer(
                    f"layer {node.name!r}: activation {plain!r} cannot be quantized after training; supported are "
                    f"relu, leaky_relu, linear, sigmoid, tanh, {', '.join(sorted(FUNCTIONS))}, and softmax at the end"
                )

    def relu(self, node: Node, source: str, name: str, slope: float) -> str:
        """Append a rounding for a ReLU layer, its slope on a grid of 8 bits."""
        found = rounded(np.array([slope]), SLOPE_BITS)
        if found.change:
            self.notes.append(f"layer {node.name!r}: its slope {slope:g} is rounded to {found.values.item():g}")
        return self.round(source, Function.RELU, name, found.values.item())

    def looked_up(self, source: str, name: str, what: str, function: Callable[[Any], Any]) -> str:
        """Append a table of a function in floating point."""
        return self.table(looked_up(function, ANY_INDEX), source, name, what)

    def table(self, made: Table, source: str, name: str, what: str) -> str:
        """Append a table, whose types are stated."""
        self.notes.append(f"layer {name!r}: a table of {made.index} to {made.table.type} stands for {what}")
        return self.add(Table, self.name(name), (source,), index=made.index, table=made.table)

    def scaled(self, node: Node, source: str, name: str, scale: float, offset: float) -> str:
        """Append a scale and an offset a channel."""
        channels = self.shapes[source][-1:]
        arrays = {"scale": np.full(channels, scale), "bias": np.full(channels, offset)}
        return self.constant(Affine, name, (source,), arrays)

    def normalized(self, node: Node, scale: Floats, bias: Floats, *, what: str) -> str:
        """Append a scale and a bias a channel, and the rounding behind them."""
        arrays = {"scale": np.asarray(scale, np.float64), "bias": np.asarray(bias, np.float64)}
        return self.summed(node, self.put(Affine, self.name(node.name), (self.source(node),), arrays))

    def rectified(self, source: str, name: str, slope: float, node: Node) -> str:
        """Append a ReLU that rounds nothing: one with a slope that is the same for all."""
        slopes = np.full((1,) * len(self.shapes[source]), rounded(np.array([slope]), SLOPE_BITS).values.item())
        return self.constant(PRelu, name, (source,), {"slopes": slopes})

    def constant(
        self, kind: type[Layer], name: str, sources: tuple[str, ...], arrays: dict[str, Floats], **settings: Any
    ) -> str:
        """Append a layer with weights that nobody learned: no types are chosen for them, 16 bits are enough."""
        weights = {one: Weights.of(rounded(array, CONSTANT_BITS).values) for one, array in arrays.items()}
        return self.add(kind, name, sources, **settings, **weights)

    def prelu(self, node: Node) -> str:
        """Append a ReLU with its slopes, and the rounding behind it."""
        slopes = np.asarray(node.layer.alpha, np.float64)
        made = self.put(PRelu, self.name(node.name), self.sources(node), {"slopes": slopes})
        return self.summed(node, made)

    def never_negative(self, name: str) -> bool:
        """Go by whether it is a ReLU."""
        found = next(layer for layer in self.layers if layer.name == name)
        return found.kind is Activation and found.settings["function"] is Function.RELU

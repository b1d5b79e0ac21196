"""Read a float Keras model, without any quantizer, as a FloatModel: the start of post-training quantization.

    reading = read(model, name="mnist_mlp")
    reading.model          layers and real weights; batch normalization folded, dropout and the last softmax gone
    reading.keras_names    {tensor: Keras layer with the same output}, for its float activations
    batches(model, reading, data)  float outputs of these layers, batch by batch

Every result of a layer with weights is rounded before the next one: by its ReLU, or by a linear `Activation` called
``<layer>_round``; only the logits stay exact. To add a layer: readers.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from fpgaml.errors import UnsupportedLayer
from fpgaml.exact.comparison import classify
from fpgaml.frontend.folding import Folded, fold
from fpgaml.frontend.graph import Node, activation_of, layer_outputs, walk
from fpgaml.frontend.readers import READERS, RELUS, Builder, Padding, Reader, bounded, relu_layer, whole_kernel
from fpgaml.ir.fixed import Array, FixedPoint, Floats
from fpgaml.ir.floatmodel import FloatLayer, FloatModel
from fpgaml.ir.network import (
    Activation,
    Affine,
    AveragePool,
    Concatenate,
    DepthwiseConv,
    Function,
    Input,
    Layer,
    MaxPool,
    PRelu,
    Shape,
    Weights,
    has_own_type,
)

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
    folded, gone = fold(graph)
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


@dataclass
class Real(Builder):
    """Collects layers with real weights, and marks where values will be rounded."""

    folded: dict[str, Folded] = field(default_factory=dict)  # by node
    gone: frozenset[str] = frozenset()  # nodes that are in the weights before them
    layers: list[FloatLayer] = field(default_factory=list)
    keras_names: dict[str, str] = field(default_factory=dict)

    def reader_of(self, node: Node) -> Reader:
        """Return the reader of a node's kind."""
        if node.kind not in READERS:
            known = ", ".join(sorted(READERS))
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

    def round(self, source: str, function: Function, name: str) -> str:
        """Append an Activation: where values get a type."""
        return self.add(Activation, self.name(name), (source,), function=function, slope=0.0)

    def weighted(self, node: Node, kind: type[Layer], settings: Mapping[str, Any]) -> str:
        """Append a layer with its batch normalization worked in, and the rounding behind it."""
        kernel = whole_kernel(node.layer, np.asarray(self.folded[node.name].kernel, np.float64))
        kernel = kernel[..., 0] if kind is DepthwiseConv else kernel
        bias = self.folded[node.name].bias
        arrays = {
            "kernel": kernel,
            "bias": np.zeros(kernel.shape[-1]) if bias is None else np.asarray(bias, np.float64),
        }
        made = self.put(kind, self.name(node.name), self.sources(node), arrays, **settings)
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
        return bool(node.readers) and all(reader.kind in ("Activation", "ReLU", "Softmax") for reader in node.readers)

    def normalize(self, node: Node) -> str:
        """Batch normalization is in the weights of the layer before."""
        source = self.source(node)
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
                return bounded(self, node, self.round(source, Function.RELU, name), 6.0)
            case "linear":
                return self.round(source, Function.LINEAR, name)
            case "softmax" | "sigmoid" if node.last:
                return self.leave_out(node, plain, source)
            case _:
                raise UnsupportedLayer(
                    f"layer {node.name!r}: activation {plain!r} cannot be quantized after training; supported are "
                    "relu, linear, and softmax or sigmoid at the end"
                )

    def relu(self, node: Node, source: str, name: str, slope: float) -> str:
        """Append a rounding for a ReLU layer."""
        if slope:
            raise UnsupportedLayer(
                f"layer {node.name!r}: a ReLU with a negative slope cannot be quantized after training; its slope must "
                f"be 0, not {slope:g}"
            )
        return self.round(source, Function.RELU, name)

    def scaled(self, node: Node, source: str, name: str, scale: float, offset: float) -> str:
        """Append a scale and an offset a channel."""
        channels = self.shapes[source][-1:]
        return self.put(Affine, name, (source,), {"scale": np.full(channels, scale), "bias": np.full(channels, offset)})

    def prelu(self, node: Node) -> str:
        """Append a ReLU with its slopes, and the rounding behind it."""
        slopes = np.asarray(node.layer.alpha, np.float64)
        made = self.put(PRelu, self.name(node.name), self.sources(node), {"slopes": slopes})
        return self.summed(node, made)

    def never_negative(self, name: str) -> bool:
        """Go by whether it is a ReLU."""
        found = next(layer for layer in self.layers if layer.name == name)
        return found.kind is Activation and found.settings["function"] is Function.RELU

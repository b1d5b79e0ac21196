"""Read a float Keras model, without any quantizer, as a FloatModel: the start of post-training quantization.

    reading = read(model, name="mnist_mlp")
    reading.model          layers and real weights; batch normalization folded, dropout and the last softmax gone
    reading.keras_names    {tensor: Keras layer with the same output}, for its float activations
    batches(model, reading, data)  float outputs of these layers, batch by batch

Every result of a layer with weights is rounded before the next one: by its ReLU, or by a linear `Activation` called
``<layer>_round``; only the logits stay exact. To add a layer: one function below, entered in `READERS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from fpgaml.errors import UnsupportedLayer
from fpgaml.exact.comparison import classify
from fpgaml.frontend.folding import Folded, fold
from fpgaml.frontend.layer_outputs import layer_outputs
from fpgaml.frontend.read import Builder, graph_nodes, must_be_plain, padding_of
from fpgaml.ir.fixed import Floats
from fpgaml.ir.floatmodel import FloatLayer, FloatModel
from fpgaml.ir.network import (
    Activation,
    Add,
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
    Pad,
    Reshape,
    Shape,
)

BATCH = 500  # images whose activations are held at a time


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
    walk = _Walk()
    nodes = list(graph_nodes(model))
    # `fold` asks which layers read which: a fresh copy has the edges of this graph only, a loaded model also older ones
    copy = keras.models.clone_model(keras.Model(model.inputs, model.outputs))
    copy.set_weights(model.get_weights())
    walk.folded, walk.gone = fold(copy)
    for at, (layer, sources) in enumerate(nodes):
        kind = type(layer).__name__
        if kind not in READERS:
            known = ", ".join(sorted(READERS))
            raise UnsupportedLayer(
                f"layer {layer.name!r}: a {kind} cannot be quantized after training; supported are {known}"
            )
        before = tuple(walk.outputs[source] for source in sources)
        readers = [other for other, theirs in nodes if layer.name in theirs]
        node = FloatNode(layer, before, at == len(nodes) - 1, _is_rounded_next(layer, readers, walk.gone))
        walk.outputs[layer.name] = READERS[kind](walk, node)
    _end_in_logits(walk)
    return FloatReading(FloatModel(name, tuple(walk.layers)), walk.keras_names, tuple(walk.names.notes), walk.shapes)


def batches(model: Any, reading: FloatReading, values: NDArray[Any], *, batch: int = BATCH) -> Iterator[dict[str, Any]]:
    """Yield the float outputs (images, *shape) by tensor name, for input `values` (images, *shape), batch by batch."""
    for at in range(0, len(values), batch):
        images = values[at : at + batch]
        found = {reading.model.layers[0].name: images, **layer_outputs(model, reading.keras_names, images)}
        # global pooling in Keras drops axes that our tensor still has
        yield {name: array.reshape(len(array), *reading.shapes[name]) for name, array in found.items()}


def answers(model: Any, values: NDArray[Any], *, batch: int = BATCH) -> NDArray[np.int64]:
    """Return the class (images,) that a float model gives each image (images, *shape): the largest output.

    With one output: 1 where it is above 0, or above one half if it comes out of a sigmoid.
    """
    probe = keras.Model(model.inputs[0], model.outputs[0])
    parts = [np.asarray(probe(values[at : at + batch], training=False)) for at in range(0, len(values), batch)]
    outputs = np.concatenate(parts).reshape(len(values), -1)
    activation = getattr(getattr(model.layers[-1], "activation", None), "__name__", "")
    return classify(outputs - 0.5 if outputs.shape[1] == 1 and activation == "sigmoid" else outputs)


@dataclass(frozen=True)
class FloatNode:
    """A Keras layer in its graph: what it reads, whether it is the last, and whether its reader rounds its result."""

    layer: Any
    sources: tuple[str, ...]
    last: bool
    rounded_next: bool


@dataclass
class _Walk:
    """Layers collected so far, with their shapes."""

    layers: list[FloatLayer] = field(default_factory=list)
    shapes: dict[str, Shape] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)  # Keras layer: the layer here with its output
    keras_names: dict[str, str] = field(default_factory=dict)
    folded: dict[str, Folded] = field(default_factory=dict)
    gone: frozenset[str] = frozenset()
    names: Builder = field(default_factory=Builder)  # makes C++ identifiers

    def add(
        self,
        kind: type[Layer],
        wanted: str,
        sources: tuple[str, ...],
        shape: Shape,
        settings: dict[str, Any] | None = None,
        arrays: dict[str, Floats] | None = None,
        keras_name: str | None = None,
    ) -> str:
        """Append a layer whose output has `shape`; `keras_name` is the Keras layer with the same output."""
        name = self.names.name(wanted)
        self.names.shapes[name] = self.shapes[name] = shape
        self.layers.append(FloatLayer(kind, name, sources, settings or {}, arrays or {}))
        if keras_name:
            self.keras_names[name] = keras_name
        return name

    def round(self, node: FloatNode, source: str, function: Function, wanted: str) -> str:
        """Append an Activation: where values get a type."""
        settings = {"function": function, "slope": 0.0}
        return self.add(Activation, wanted, (source,), self.shapes[source], settings, keras_name=node.layer.name)


def _is_rounded_next(layer: Any, readers: list[Any], gone: frozenset[str]) -> bool:
    """Return whether all that reads the layer (past batch normalization folded into it) is an activation."""
    if len(readers) == 1 and readers[0].name in gone:
        return True  # the batch normalization's own reader decides
    kinds = ("Activation", "ReLU", "Softmax")
    return bool(readers) and all(type(reader).__name__ in kinds for reader in readers)


def _end_in_logits(walk: _Walk) -> None:
    """Take away a rounding at the very end: logits are exact."""
    last = walk.layers[-1]
    if last.kind is Activation and last.settings["function"] is Function.LINEAR:
        walk.layers.pop()
        walk.keras_names.pop(last.name, None)


# --- one function a kind of layer; each returns the name of the layer here with the Keras layer's output -------------


def _input(walk: _Walk, node: FloatNode) -> str:
    dims = tuple(node.layer.batch_shape[1:])
    if any(n is None for n in dims):
        raise UnsupportedLayer(f"the input has the dynamic shape {dims}; every axis but the images must be fixed")
    name = "image" if node.layer.name.startswith("input") else node.layer.name
    return walk.add(Input, name, (), dims, {"dims": dims})


def _dense(walk: _Walk, node: FloatNode) -> str:
    return _weighted(walk, node, Dense, {})


def _conv(walk: _Walk, node: FloatNode) -> str:
    must_be_plain(node.layer)
    return _weighted(walk, node, Conv, _window_settings(walk, node, node.layer.kernel_size))


def _depthwise(walk: _Walk, node: FloatNode) -> str:
    must_be_plain(node.layer)
    if node.layer.depth_multiplier != 1:
        raise UnsupportedLayer(
            f"layer {node.layer.name!r}: depth_multiplier must be 1, not {node.layer.depth_multiplier}"
        )
    return _weighted(walk, node, DepthwiseConv, _window_settings(walk, node, node.layer.kernel_size))


def _weighted(walk: _Walk, node: FloatNode, kind: type[Layer], settings: dict[str, Any]) -> str:
    layer = node.layer
    kernel = np.asarray(walk.folded[layer.name].kernel, np.float64)
    kernel = kernel[..., 0] if kind is DepthwiseConv else kernel
    bias = walk.folded[layer.name].bias
    arrays = {"kernel": kernel, "bias": np.zeros(kernel.shape[-1]) if bias is None else np.asarray(bias, np.float64)}
    made = walk.add(kind, layer.name, node.sources, _shape(layer), settings, arrays)
    fused = layer.activation.__name__
    if fused == "linear" and node.rounded_next:
        return made
    return _activated(walk, node, made, fused, f"{layer.name}_{'round' if fused == 'linear' else fused}")


def _max_pool(walk: _Walk, node: FloatNode) -> str:
    layer, sources = node.layer, node.sources
    settings = {"window": tuple(layer.pool_size)} | _window_settings(walk, node, layer.pool_size)
    if any(a or b for a, b in settings["padding"]) and _is_relu(walk, sources[0]):
        # zeros never win against what a ReLU gives; hls4ml pads an unsigned maximum with its largest value instead
        *spatial, channels = walk.shapes[sources[0]]
        shape = (*(n + a + b for n, (a, b) in zip(spatial, settings["padding"], strict=True)), channels)
        sources = (walk.add(Pad, f"{layer.name}_pad", sources, shape, {"padding": settings["padding"]}),)
        settings["padding"] = ((0, 0),) * len(spatial)
    return walk.add(MaxPool, layer.name, sources, _shape(layer), settings, keras_name=layer.name)


def _is_relu(walk: _Walk, name: str) -> bool:
    found = next(layer for layer in walk.layers if layer.name == name)
    return found.kind is Activation and found.settings["function"] is Function.RELU


def _average_pool(walk: _Walk, node: FloatNode) -> str:
    settings = {"window": tuple(node.layer.pool_size)} | _window_settings(walk, node, node.layer.pool_size)
    name, shape = node.layer.name, _shape(node.layer)
    return walk.add(AveragePool, name, node.sources, shape, settings, keras_name=name)


def _global_max_pool(walk: _Walk, node: FloatNode) -> str:
    return _global_pool(walk, node, MaxPool)


def _global_average_pool(walk: _Walk, node: FloatNode) -> str:
    return _global_pool(walk, node, AveragePool)


def _global_pool(walk: _Walk, node: FloatNode, kind: type[Layer]) -> str:
    *window, channels = walk.shapes[node.sources[0]]
    settings = {"window": tuple(window), "strides": tuple(window), "padding": ((0, 0),) * len(window)}
    shape = (*(1 for _ in window), channels)
    name = node.layer.name
    if node.layer.keepdims:
        return walk.add(kind, name, node.sources, shape, settings, keras_name=name)
    pooled = walk.add(kind, name, node.sources, shape, settings)
    walk.keras_names[pooled] = name
    return walk.add(Flatten, f"{name}_flat", (pooled,), (channels,))


def _flatten(walk: _Walk, node: FloatNode) -> str:
    if len(walk.shapes[node.sources[0]]) == 1:
        return node.sources[0]
    return walk.add(Flatten, node.layer.name, node.sources, _shape(node.layer))


def _reshape(walk: _Walk, node: FloatNode) -> str:
    shape = _shape(node.layer)
    return walk.add(Reshape, node.layer.name, node.sources, shape, {"dims": shape})


def _pad(walk: _Walk, node: FloatNode) -> str:
    padding = node.layer.padding
    pairs = (padding,) if isinstance(padding[0], int) else padding
    settings = {"padding": tuple((int(a), int(b)) for a, b in pairs)}
    return walk.add(Pad, node.layer.name, node.sources, _shape(node.layer), settings)


def _add(walk: _Walk, node: FloatNode) -> str:
    made = walk.add(Add, node.layer.name, node.sources, _shape(node.layer))
    return made if node.rounded_next else walk.round(node, made, Function.LINEAR, f"{node.layer.name}_round")


def _concatenate(walk: _Walk, node: FloatNode) -> str:
    if node.layer.axis not in (-1, len(_shape(node.layer))):
        raise UnsupportedLayer(f"layer {node.layer.name!r}: axis must be the last, not {node.layer.axis}")
    return walk.add(Concatenate, node.layer.name, node.sources, _shape(node.layer), keras_name=node.layer.name)


def _activation(walk: _Walk, node: FloatNode) -> str:
    return _activated(walk, node, node.sources[0], node.layer.activation.__name__, node.layer.name)


def _relu(walk: _Walk, node: FloatNode) -> str:
    layer = node.layer
    if layer.max_value is not None or layer.threshold or layer.negative_slope:
        raise UnsupportedLayer(f"layer {layer.name!r}: ReLU must have no max_value, threshold or negative_slope")
    return _activated(walk, node, node.sources[0], "relu", layer.name)


def _softmax(walk: _Walk, node: FloatNode) -> str:
    return _activated(walk, node, node.sources[0], "softmax", node.layer.name)


def _nothing(walk: _Walk, node: FloatNode) -> str:
    """Dropout does nothing at inference, and batch normalization is in the weights of the layer before."""
    source = node.sources[0]
    if node.layer.name in walk.gone and not node.rounded_next:
        return walk.round(node, source, Function.LINEAR, f"{source}_round")
    return source


def _activated(walk: _Walk, node: FloatNode, source: str, activation: str, wanted: str) -> str:
    match activation:
        case "relu":
            return walk.round(node, source, Function.RELU, wanted)
        case "linear":
            return walk.round(node, source, Function.LINEAR, wanted)
        case "softmax" | "sigmoid" if node.last:
            rule = "the largest logit" if activation == "softmax" else "1 where the logit is above 0"
            walk.names.notes.append(
                f"the {activation} at the end is left out: the outputs are logits, and the class is {rule}"
            )
            return source
        case _:
            raise UnsupportedLayer(
                f"layer {node.layer.name!r}: activation {activation!r} cannot be quantized after training; "
                "supported are relu, linear, and softmax or sigmoid at the end"
            )


def _window_settings(walk: _Walk, node: FloatNode, window: tuple[int, ...]) -> dict[str, Any]:
    padding = padding_of(node.layer, walk.shapes[node.sources[0]], window, node.layer.strides)
    return {"strides": tuple(node.layer.strides), "padding": padding}


def _shape(layer: Any) -> Shape:
    return tuple(int(n) for n in layer.output.shape[1:])


READERS: dict[str, Callable[[_Walk, FloatNode], str]] = {
    "InputLayer": _input,
    "Dense": _dense,
    "Conv1D": _conv,
    "Conv2D": _conv,
    "DepthwiseConv2D": _depthwise,
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
    "ZeroPadding1D": _pad,
    "ZeroPadding2D": _pad,
    "Add": _add,
    "Concatenate": _concatenate,
    "Activation": _activation,
    "ReLU": _relu,
    "Softmax": _softmax,
    "Dropout": _nothing,
    "BatchNormalization": _nothing,
}

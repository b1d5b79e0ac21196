"""Batch normalization worked into the weights before it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from fpgaml.datasets.dataset import Array
from fpgaml.errors import UnsupportedLayer

Layer = Any  # a Keras layer; Keras and QKeras ship no types

WEIGHTED = (keras.layers.Dense, keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.DepthwiseConv2D)


@dataclass(frozen=True)
class Folded:
    """Weights of one layer with the batch normalization behind it worked in."""

    kernel: Array
    bias: Array | None


def fold(model: keras.Model) -> tuple[dict[str, Folded], frozenset[str]]:
    """Return the weights of every weighted layer, batch normalization worked in, and the names of the layers so gone.

    Source: y = gamma (W x + b - mean) / sqrt(variance + epsilon) + beta, solved for a new W and b.
    Raises: UnsupportedLayer for a batch normalization that no weighted layer feeds alone.
    """
    folded: dict[str, Folded] = {}
    gone: set[str] = set()
    for layer in model.layers:
        if isinstance(layer, WEIGHTED):
            kernel = np.asarray(layer.kernel, np.float64)
            folded[layer.name] = Folded(kernel, np.asarray(layer.bias, np.float64) if layer.use_bias else None)
        elif isinstance(layer, keras.layers.BatchNormalization):
            before = source_of(layer)
            if (
                not isinstance(before, WEIGHTED)
                or fused_activation(before) != "linear"
                or len(before._outbound_nodes) != 1
            ):
                raise UnsupportedLayer(
                    f"layer {layer.name!r}: batch normalization must directly follow a dense or convolution layer "
                    f"without activation, to be folded into it; it follows {before.name!r}"
                )
            mean, variance = np.asarray(layer.moving_mean, np.float64), np.asarray(layer.moving_variance, np.float64)
            factor = 1 / np.sqrt(variance + layer.epsilon)
            if layer.scale:
                factor = factor * np.asarray(layer.gamma, np.float64)
            beta = np.asarray(layer.beta, np.float64) if layer.center else 0.0
            old = folded[before.name]
            bias = 0.0 if old.bias is None else old.bias
            wide = factor[:, np.newaxis] if isinstance(before, keras.layers.DepthwiseConv2D) else factor
            folded[before.name] = Folded(old.kernel * wide, (bias - mean) * factor + beta)
            gone.add(layer.name)
    return folded, frozenset(gone)


def fused_activation(layer: Layer) -> str:
    """Return the activation of a layer by name; "linear" if it has none."""
    if isinstance(layer, keras.layers.ReLU):
        if layer.max_value is not None or layer.threshold or layer.negative_slope:
            raise UnsupportedLayer(f"layer {layer.name!r}: ReLU must have no max_value, threshold or negative_slope")
        return "relu"
    if isinstance(layer, keras.layers.LeakyReLU):
        return "leaky_relu"
    if isinstance(layer, keras.layers.Softmax):
        return "softmax"
    return str(getattr(getattr(layer, "activation", None), "__name__", "linear"))


def source_of(layer: Layer) -> Layer:
    """Return the layer whose output `layer` reads."""
    return layer._inbound_nodes[-1].parent_nodes[0].operation

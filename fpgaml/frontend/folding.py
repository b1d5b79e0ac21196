"""Batch normalization worked into the weights before it."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np

from fpgaml.errors import DataError, UnsupportedLayer
from fpgaml.frontend.findings import Code
from fpgaml.frontend.graph import WEIGHTED, Graph, Node, activation_of
from fpgaml.ir.fixed import Array, Floats

DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)


@dataclass(frozen=True)
class Folded:
    """Weights of one layer with the batch normalization behind it worked in."""

    kernel: Array
    bias: Array | None


def fold(graph: Graph, *, all_of_them: bool = True) -> tuple[dict[str, Folded], frozenset[str]]:
    """Return the weights of every weighted node, batch normalization worked in, and the names of the nodes so gone.

    Source: y = gamma (W x + b - mean) / sqrt(variance + epsilon) + beta, solved for a new W and b.
    Raises: UnsupportedLayer for a batch normalization that no weighted layer feeds alone; unless not `all_of_them` have
    to go.
    """
    folded: dict[str, Folded] = {}
    gone: set[str] = set()
    for node in graph:
        layer = node.layer
        if isinstance(layer, WEIGHTED):
            kernel = np.asarray(layer.kernel, np.float64)
            folded[node.name] = Folded(kernel, np.asarray(layer.bias, np.float64) if layer.use_bias else None)
        elif isinstance(layer, keras.layers.BatchNormalization):
            try:
                before = _foldable(graph, node)
            except UnsupportedLayer:
                if all_of_them:
                    raise
                continue
            folded[before.name] = _worked_in(folded[before.name], before, node)
            gone.add(node.name)
    return folded, frozenset(gone)


def _foldable(graph: Graph, node: Node) -> Node:
    """Return the weighted node into which a batch normalization can be worked."""
    before = graph.before(node)
    assert before is not None
    if not isinstance(before.layer, WEIGHTED) or activation_of(before.layer) != "linear" or before.ahead is None:
        raise UnsupportedLayer(
            f"layer {node.name!r}: batch normalization must directly follow a dense or convolution layer "
            f"without activation, to be folded into it; it follows {before.name!r}"
        )
    return before


def _worked_in(old: Folded, before: Node, node: Node) -> Folded:
    layer = node.layer
    mean, variance = np.asarray(layer.moving_mean, np.float64), np.asarray(layer.moving_variance, np.float64)
    factor = 1 / np.sqrt(variance + layer.epsilon)
    if layer.scale:
        factor = factor * np.asarray(layer.gamma, np.float64)
    beta = np.asarray(layer.beta, np.float64) if layer.center else 0.0
    bias = 0.0 if old.bias is None else old.bias
    wide = factor.reshape(old.kernel.shape[-2:]) if isinstance(before.layer, DEPTHWISE) else factor
    return Folded(old.kernel * wide, (bias - mean) * factor + beta)


def scale_and_bias(node: Node, rank: int) -> tuple[Floats, Floats]:
    """Return what a batch normalization of maps with `rank` axes multiplies by and adds, (channels,) each.

    Raises: UnsupportedLayer for another axis than the last; DataError for NaN or infinite values.
    """
    layer = node.layer
    if layer.axis not in (-1, rank):
        raise UnsupportedLayer(f"layer {node.name!r}: axis must be the last, not {layer.axis}")
    mean, variance = (np.asarray(v, np.float64) for v in (layer.moving_mean, layer.moving_variance))
    gamma = np.asarray(layer.gamma, np.float64) if layer.scale else np.ones(mean.shape)
    beta = np.asarray(layer.beta, np.float64) if layer.center else np.zeros(mean.shape)
    if not all(np.isfinite(values).all() for values in (mean, variance, gamma, beta)):
        raise DataError(f"layer {node.name!r} has NaN or infinite values; train it again", code=Code.BAD_WEIGHTS)
    scale = gamma / np.sqrt(variance + layer.epsilon)
    return scale, beta - mean * scale

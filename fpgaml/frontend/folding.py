"""Batch normalization worked into the weights before it."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np

from fpgaml.errors import UnsupportedLayer
from fpgaml.frontend.graph import WEIGHTED, Graph, Node, activation_of
from fpgaml.ir.fixed import Array

DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)


@dataclass(frozen=True)
class Folded:
    """Weights of one layer with the batch normalization behind it worked in."""

    kernel: Array
    bias: Array | None


def fold(graph: Graph) -> tuple[dict[str, Folded], frozenset[str]]:
    """Return the weights of every weighted node, batch normalization worked in, and the names of the nodes so gone.

    Source: y = gamma (W x + b - mean) / sqrt(variance + epsilon) + beta, solved for a new W and b.
    Raises: UnsupportedLayer for a batch normalization that no weighted layer feeds alone.
    """
    folded: dict[str, Folded] = {}
    gone: set[str] = set()
    for node in graph:
        layer = node.layer
        if isinstance(layer, WEIGHTED):
            kernel = np.asarray(layer.kernel, np.float64)
            folded[node.name] = Folded(kernel, np.asarray(layer.bias, np.float64) if layer.use_bias else None)
        elif isinstance(layer, keras.layers.BatchNormalization):
            before = _foldable(graph, node)
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
    wide = factor[:, np.newaxis] if isinstance(before.layer, DEPTHWISE) else factor
    return Folded(old.kernel * wide, (bias - mean) * factor + beta)

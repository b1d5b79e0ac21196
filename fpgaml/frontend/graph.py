"""The graph of a Keras model, walked once for all who read one: quantized, float, folding, inspection, the twin.

    graph = walk(model)
    for node in graph: ...         in the order of execution: what a layer reads, who reads it, the shape of its output
    graph[name]                    the node of that name
    layer_outputs(model, {...})    what Keras computes at nodes, for given inputs

A node is one use of a layer. All edges are those of the model given: a layer may be part of other models too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from fpgaml.errors import UnsupportedLayer
from fpgaml.ir.fixed import Floats
from fpgaml.ir.network import Shape

Layer = Any  # a Keras layer; Keras and QKeras ship no types

WEIGHTED = (
    keras.layers.Dense,
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv1D,
    keras.layers.DepthwiseConv2D,
)


@dataclass(frozen=True, eq=False)
class Node:
    """One use of a Keras layer: the names of the nodes it reads, the nodes that read it, and its output tensor."""

    name: str
    layer: Layer
    sources: tuple[str, ...]
    readers: tuple[Node, ...]
    output: Any

    @property
    def kind(self) -> str:
        """The class of the layer."""
        return type(self.layer).__name__

    @property
    def last(self) -> bool:
        """Whether this is the model's output."""
        return not self.readers

    @property
    def ahead(self) -> Node | None:
        """The one node that reads this one; None if there are none or several."""
        return self.readers[0] if len(self.readers) == 1 else None

    @property
    def shape(self) -> tuple[int | None, ...]:
        """The output's shape without the images axis; None where it is open."""
        return tuple(self.output.shape[1:])


@dataclass(frozen=True)
class Graph:
    """The nodes of a model in the order of execution, by name; the first is its input."""

    nodes: dict[str, Node]

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes.values())

    def __getitem__(self, name: str) -> Node:
        return self.nodes[name]

    def before(self, node: Node) -> Node | None:
        """Return the first node that `node` reads; None for the input."""
        return self.nodes[node.sources[0]] if node.sources else None


def walk(model: Any) -> Graph:
    """Return the graph of a Sequential or functional model.

    Raises: UnsupportedLayer for several inputs or outputs, shared layers and nested models.
    """
    if not getattr(model, "built", True) or not getattr(model, "inputs", None):
        raise UnsupportedLayer("the model has no input shape yet; build it, or give it an Input layer")
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise UnsupportedLayer(
            f"the model has {len(model.inputs)} inputs and {len(model.outputs)} outputs; one of each is supported"
        )
    depths = (getattr(model, "_functional", None) or model)._nodes_by_depth
    steps = [step for depth in sorted(depths, reverse=True) for step in depths[depth]]
    seen: set[str] = set()
    for step in steps:
        layer = step.operation
        if layer.name in seen:
            raise UnsupportedLayer(f"layer {layer.name!r} is used more than once; shared layers are not supported")
        if hasattr(layer, "layers"):
            raise UnsupportedLayer(f"layer {layer.name!r} is a model inside the model; flatten it first")
        seen.add(layer.name)
    return _linked(steps)


def _linked(steps: list[Any]) -> Graph:
    """Return the graph of Keras' own nodes, which are in the order of execution."""
    sources = {
        step.operation.name: tuple(tensor._keras_history.operation.name for tensor in step.input_tensors)
        for step in steps
    }
    made: dict[str, Node] = {}
    for step in reversed(steps):
        name = step.operation.name
        readers = tuple(made[other] for other in sources if name in sources[other])
        made[name] = Node(name, step.operation, sources[name], readers, step.outputs[0])
    return Graph({name: made[name] for name in sources})


def layer_outputs(model: Any, names: dict[str, str], values: Any) -> dict[str, Floats]:
    """Return the outputs (images, *shape) of nodes for input `values`, by the keys of `names`, as float64.

    `names` maps each key to the name of a node, which is that of its Keras layer.
    """
    if not names:
        return {}
    graph = walk(model)
    probe = keras.Model(model.inputs[0], {key: graph[name].output for key, name in names.items()})
    found = probe(np.asarray(values, np.float32), training=False)
    return {key: np.asarray(value, np.float64) for key, value in found.items()}


def input_of(node: Node) -> tuple[str, Shape]:
    """Return what the input is called and its shape: Keras' default names say nothing, so they become "image".

    Raises: UnsupportedLayer for a dynamic shape.
    """
    if None in node.shape:
        raise UnsupportedLayer(f"the input has the dynamic shape {node.shape}; every axis but the images must be fixed")
    return re.sub(r"^(input_layer|input)(_\d+)?$", "image", node.name), tuple(int(n or 0) for n in node.shape)


def activation_of(layer: Layer) -> str:
    """Return the function of a layer, or inside it, by name: "linear" if it has none, "" if it is a quantizer.

    Raises: UnsupportedLayer for a ReLU that is bounded.
    """
    match layer:
        case keras.layers.ReLU():
            if layer.max_value is not None or layer.threshold:
                raise UnsupportedLayer(f"layer {layer.name!r}: a ReLU must have no max_value and no threshold")
            return "leaky_relu" if layer.negative_slope else "relu"
        case keras.layers.LeakyReLU():
            return "leaky_relu"
        case keras.layers.Softmax():
            return "softmax"
    activation = getattr(layer, "activation", None)
    return "linear" if activation is None else str(getattr(activation, "__name__", ""))

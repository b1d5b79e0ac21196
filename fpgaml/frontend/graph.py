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
from functools import partial
from itertools import count
from typing import Any

import keras
import numpy as np
import qkeras
import tensorflow as tf

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


BY_STEP = (  # layers that go over the last axis, or value by value
    keras.layers.Dense,
    keras.layers.Activation,
    keras.layers.ReLU,
    keras.layers.LeakyReLU,
    keras.layers.Dropout,
    keras.layers.BatchNormalization,
    qkeras.QActivation,
)
NOTES = "_fpgaml_notes"  # the attribute of a model that says what was done to it on reading


@dataclass(frozen=True, eq=False)
class Node:
    """One use of a Keras layer: the names of the nodes it reads, the nodes that read it, and its output tensor.

    `arguments` are the tensors and settings that the layer was called with, as Keras keeps them.
    """

    name: str
    layer: Layer
    sources: tuple[str, ...]
    readers: tuple[Node, ...]
    output: Any
    arguments: Any = None

    @property
    def kind(self) -> str:
        """The class of the layer; that of an operator on tensors begins with "ops."."""
        name = type(self.layer).__name__
        return name if self.layer is None or isinstance(self.layer, keras.layers.Layer) else f"ops.{name}"

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

    @property
    def numbers(self) -> list[float]:
        """The numbers among what the layer was called with."""
        arguments = (*self.arguments.args, *self.arguments.kwargs.values())
        numbers = [one for one in arguments if isinstance(one, (int, float, np.number))]
        return [float(one) for one in numbers if not isinstance(one, bool)]


@dataclass(frozen=True)
class Graph:
    """The nodes of a model in the order of execution, by name; the first is its input."""

    nodes: dict[str, Node]
    notes: tuple[str, ...] = ()  # what was done to the model on reading it

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes.values())

    def __getitem__(self, name: str) -> Node:
        return self.nodes[name]

    def before(self, node: Node) -> Node | None:
        """Return the first node that `node` reads; None for the input."""
        return self.nodes[node.sources[0]] if node.sources else None

    @property
    def input(self) -> Node:
        """The first node."""
        return next(iter(self.nodes.values()))

    @property
    def output(self) -> Node:
        """The last node."""
        return next(node for node in self.nodes.values() if node.last)


def walk(model: Any) -> Graph:
    """Return the graph of a Sequential or functional model; models inside the model are flattened into it.

    A layer that is used more than once has a node for each use.

    Raises: UnsupportedLayer for several inputs or outputs, and for a model that has no graph.
    """
    if isinstance(model, keras.Sequential) and not model.inputs:
        raise UnsupportedLayer("the model has no input shape yet; build it, or give it an Input layer")
    _functional(model)
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise UnsupportedLayer(
            f"the model has {len(model.inputs)} inputs and {len(model.outputs)} outputs; one of each is supported, "
            "such as keras.Model(model.inputs[0], model.outputs[0])"
        )
    model = flat(model)
    return _linked(_steps(model), getattr(model, NOTES, ()))


def flat(model: Any) -> Any:
    """Return a Sequential or functional model without models inside; the same one if there are none.

    Raises: UnsupportedLayer for a model inside that has no graph.
    """
    inside = [step.operation for step in _steps(model) if hasattr(step.operation, "layers")]
    if not inside:
        return model
    names: set[str] = set()
    inputs = [keras.Input(batch_shape=one.shape, name=one._keras_history.operation.name) for one in model.inputs]
    names.update(one._keras_history.operation.name for one in inputs)
    found = keras.Model(inputs, _run(model, inputs, {}, names), name=model.name)
    notes = tuple(f"the model {one.name!r} in the model is flattened" for one in inside)
    setattr(found, NOTES, (*getattr(model, NOTES, ()), *notes))
    return found


def _steps(model: Any) -> list[Any]:
    """Return Keras' own nodes of a model, in the order of execution."""
    depths = _functional(model)._nodes_by_depth
    return [step for depth in sorted(depths, reverse=True) for step in depths[depth]]


def _functional(model: Any) -> Any:
    """Return the functional model behind a Sequential one. Raises: UnsupportedLayer if it has no graph."""
    found = getattr(model, "_functional", None) or model
    if not hasattr(found, "_nodes_by_depth"):
        raise UnsupportedLayer(
            f"model {model.name!r} is a {type(model).__name__}, a class whose Python code says what it does; build it "
            "of layers instead, as a Sequential or functional model"
        )
    return found


def _run(model: Any, inputs: list[Any], used: dict[int, Layer], names: set[str]) -> list[Any]:
    """Call every layer of a model on new tensors, those of models inside it too; return the outputs."""

    def call(layer: Layer, *args: Any, **options: Any) -> Any:
        if hasattr(layer, "layers"):
            found = _run(layer, keras.tree.flatten((args, options)), used, names)
            return found[0] if len(found) == 1 else found
        if id(layer) not in used:
            used[id(layer)] = layer if layer.name not in names else _renamed(layer, names)
            names.add(used[id(layer)].name)
        return used[id(layer)](*args, **options)

    graph = _functional(model)
    return list(keras.tree.flatten(graph._run_through_graph(inputs, operation_fn=lambda layer: partial(call, layer))))


def _renamed(layer: Layer, names: set[str]) -> Layer:
    """Return a copy of a layer under a name that no other has."""
    number = next(n for n in count(2) if f"{layer.name}_{n}" not in names)
    made = type(layer).from_config({**layer.get_config(), "name": f"{layer.name}_{number}"})
    made.build(layer.input.shape if not isinstance(layer.input, list) else [one.shape for one in layer.input])
    made.set_weights(layer.get_weights())
    return made


def _linked(steps: list[Any], notes: tuple[str, ...]) -> Graph:
    """Return the graph of Keras' own nodes, which are in the order of execution."""
    names: dict[int, str] = {}
    for step in steps:
        name, number = step.operation.name, 2
        while name in names.values():
            name, number = f"{step.operation.name}_{number}", number + 1
        names[id(step)] = name
    sources = {names[id(step)]: tuple(names[id(_maker(one))] for one in step.input_tensors) for step in steps}
    made: dict[str, Node] = {}
    for step in reversed(steps):
        name = names[id(step)]
        readers = tuple(made[other] for other in sources if name in sources[other])
        made[name] = Node(name, _inside(step.operation), sources[name], readers, step.outputs[0], step.arguments)
    twice = {step.operation.name for step in steps if names[id(step)] != step.operation.name}
    uses = (f"layer {name!r} is used more than once: each use is a layer of its own" for name in sorted(twice))
    return Graph({name: made[name] for name in sources}, (*notes, *uses))


def _inside(layer: Layer) -> Layer:
    """Return the layer that is done at each step, if it does the same to a whole map; else the layer itself."""
    inner = layer.layer if isinstance(layer, keras.layers.TimeDistributed) else None
    return inner if isinstance(inner, BY_STEP) and getattr(inner, "axis", -1) == -1 else layer


def _maker(tensor: Any) -> Any:
    """Return Keras' own node that gives a tensor."""
    history = tensor._keras_history
    return history.operation._inbound_nodes[history.node_index]


def layer_outputs(model: Any, names: dict[str, str], values: Any) -> dict[str, Floats]:
    """Return the outputs (images, *shape) of nodes for input `values`, by the keys of `names`, as float64.

    `names` maps each key to the name of a node, which is that of its Keras layer.

    Raises: UnsupportedLayer if Keras cannot run the model.
    """
    if not names:
        return {}
    graph = walk(model)
    probe = keras.Model(graph.input.output, {key: graph[name].output for key, name in names.items()})
    try:
        found = probe(np.asarray(values, np.float32), training=False)
    except (ValueError, TypeError, tf.errors.OpError) as error:
        reason = next((line for line in str(error).splitlines() if line and "calling" not in line), "no reason given")
        raise UnsupportedLayer(f"model {model.name!r} cannot be run by Keras itself: {reason.strip()}") from error
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

"""A network before its numbers have types: layers as a Network has them, weights as real numbers.

    model = from_network(network)          the exact values of a quantized network
    model = frontend.floats.read(model) a float Keras model
    model.tensors                          the names that need a type, in network order
    build(model, types)                    the Network with these types

Every tensor has a name: ``fc1.kernel`` and ``fc1.bias`` for weights, ``fc1_relu`` for the output of an `Activation`,
an `AveragePool` or the `Input`. Outputs of all other layers are exact and have no type to choose. This is the form in
which types are swept (sweep.py) and searched (posttraining.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from fpgaml.errors import ConfigError, DataError, nearest
from fpgaml.ir.fixed import FixedPoint, Floats
from fpgaml.ir.network import Layer, Network, Weights, has_own_type, weights_of


@dataclass(frozen=True, eq=False)
class FloatLayer:
    """A layer of class `kind`: the fields that are neither weights nor a type in `settings`, the weights in `arrays`.

    arrays: shapes as in network.py, by field name.
    """

    kind: type[Layer]
    name: str
    sources: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, Floats] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class FloatModel:
    """Layers in topological order, the first an `Input`."""

    name: str
    layers: tuple[FloatLayer, ...]

    def __post_init__(self) -> None:
        for name, values in self.weights.items():
            if not np.isfinite(values).all():
                bad = int(np.count_nonzero(~np.isfinite(values)))
                raise DataError(f"weights {name!r} must be finite; {bad} of {values.size} are NaN or infinite")

    @property
    def weights(self) -> dict[str, Floats]:
        """Every weight array by tensor name, in network order."""
        return {f"{layer.name}.{field}": values for layer in self.layers for field, values in layer.arrays.items()}

    @property
    def activations(self) -> tuple[str, ...]:
        """Tensors that are rounded while the network runs, the input first."""
        return tuple(layer.name for layer in self.layers if has_own_type(layer.kind))

    @property
    def tensors(self) -> tuple[str, ...]:
        """Every tensor that needs a type."""
        return (*self.weights, *self.activations)


def from_network(network: Network) -> FloatModel:
    """Return the values of a quantized network as a FloatModel; `build` with `types_of` gives it back."""
    return FloatModel(network.name, tuple(_describe(layer) for layer in network))


def types_of(network: Network) -> dict[str, FixedPoint]:
    """Return the type of every tensor that has one, by tensor name."""
    found: dict[str, FixedPoint] = {}
    for layer in network:
        if layer.learned:
            found |= {f"{layer.name}.{field}": weights.type for field, weights in weights_of(layer).items()}
        if layer.own_type:
            found[layer.name] = layer.own_type
    return found


def build(model: FloatModel, types: Mapping[str, FixedPoint]) -> Network:
    """Return the Network of `model` with a type for every tensor; weights are rounded as their types say.

    Weights keep width, integer bits and sign of their type: how they were rounded is no longer of concern.

    Raises: ConfigError if a tensor has no type or a type no tensor.
    """
    names = model.tensors
    if missing := [name for name in names if name not in types]:
        raise ConfigError(f"tensor {missing[0]!r} of {model.name!r} has no type")
    if unknown := [name for name in types if name not in names]:
        raise ConfigError(f"{model.name!r} has no tensor {unknown[0]!r}{nearest(unknown[0], names)}")
    return Network(model.name, tuple(_build_layer(layer, types) for layer in model.layers))


def network_sizes(network: Network) -> dict[str, int]:
    """Return the number of values of each tensor of a network: of a weight array, or of one image."""
    found = {layer.name: int(np.prod(network.shapes[layer.name])) for layer in network}
    for layer in network:
        found |= {f"{layer.name}.{field}": weights.codes.size for field, weights in weights_of(layer).items()}
    return found


def weight_bits(sizes: Mapping[str, int], types: Mapping[str, FixedPoint]) -> int:
    """Return the bits of all weights and biases together."""
    return sum(sizes[name] * kind.width for name, kind in types.items() if "." in name)


def activation_bits(sizes: Mapping[str, int], types: Mapping[str, FixedPoint]) -> int:
    """Return the bits of all rounded tensors of one image together."""
    return sum(sizes[name] * kind.width for name, kind in types.items() if "." not in name)


def quantized_weights(values: Floats, kind: FixedPoint) -> Weights:
    """Return real `values` (any shape) as weights of a type."""
    return Weights(kind.encode(values), FixedPoint(kind.width, kind.integer, kind.signed))


def _describe(layer: Layer) -> FloatLayer:
    arrays = {name: one.values for name, one in weights_of(layer).items()} if layer.learned else {}
    typed = ("type",) if layer.own_type else ()
    left_out = {"name", "sources", *arrays, *typed}
    settings = {f.name: getattr(layer, f.name) for f in fields(layer) if f.name not in left_out}
    return FloatLayer(type(layer), layer.name, layer.sources, settings, arrays)


def _build_layer(layer: FloatLayer, types: Mapping[str, FixedPoint]) -> Layer:
    made: dict[str, Any] = dict(layer.settings)
    for name, values in layer.arrays.items():
        made[name] = quantized_weights(values, types[f"{layer.name}.{name}"])
    if has_own_type(layer.kind):
        made["type"] = types[layer.name]
    return layer.kind(layer.name, layer.sources, **made)

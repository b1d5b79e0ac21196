"""Pruning with small masks of our own: single weights set to zero while training, or whole neurons cut out.

    pruner = Pruner(model, sparsity=0.9, scope=Scope.GLOBAL, ramp=0.5)
    train(model, dataset, training, pruner=pruner)        # zeros grow over the first half of the epochs, then stay

    smaller = cut_neurons(model, {"fc1": 0.5})            # a smaller float model with the strongest neurons' weights

A mask is applied by the weight's constraint, inside TensorFlow, after every step; which weights are masked is decided
again from their size as training goes on, so a weight may come back while sparsity still grows. A weight counts by its
size; under `Scope.GLOBAL` by its size against all layers' weights. Where all of a layer would go, its largest stays.

Source of the gradual schedule: M. Zhu, S. Gupta, "To prune, or not to prune", arXiv:1710.01878, equation 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from fpgaml.card.sections import Scope
from fpgaml.errors import ConfigError, UnsupportedLayer, nearest
from fpgaml.frontend.graph import WEIGHTED
from fpgaml.ir.fixed import Array

Layer = Any  # a Keras layer; Keras ships no types

PASSING = (
    keras.layers.Activation, keras.layers.ReLU, keras.layers.LeakyReLU, keras.layers.Softmax, keras.layers.Dropout,
    keras.layers.MaxPooling1D, keras.layers.MaxPooling2D, keras.layers.AveragePooling1D, keras.layers.AveragePooling2D,
    keras.layers.UpSampling1D, keras.layers.UpSampling2D,
)  # fmt: skip


class Pruner:
    """Masks over the kernels of a model; `advance` moves them along the schedule, `attached` puts them to work."""

    def __init__(
        self,
        model: keras.Model,
        *,
        sparsity: float,
        scope: Scope = Scope.LAYER,
        ramp: float = 0.5,
        per_layer: Mapping[str, float] | None = None,
    ) -> None:
        """Prune to `sparsity` of all weights; `per_layer` fixes the share of single layers, whatever the scope.

        Raises: ConfigError for a sparsity outside 0 to below 1, or an unknown layer.
        """
        self.variables = kernels(model)
        self.fixed = dict(per_layer or {})
        for name, share in [("", sparsity), *self.fixed.items()]:
            if not 0 <= share < 1:
                raise ConfigError(
                    f"sparsity{f' of layer {name!r}' if name else ''} must be 0 to below 1, not {share:g}"
                )
            if name and name not in self.variables:
                raise ConfigError(f"sparsity of layer {name!r}: no such layer{nearest(name, self.variables)}")
        self.sparsity, self.scope, self.ramp = sparsity, scope, ramp
        self.masks = {name: tf.Variable(tf.ones(v.shape), trainable=False) for name, v in self.variables.items()}
        self.start = self.zeros()
        self.settled = False

    @classmethod
    def keeping(cls, model: keras.Model) -> Pruner:
        """Return a pruner that keeps the zeros a model has and adds none."""
        kept = cls(model, sparsity=0.0)
        for name, variable in kept.variables.items():
            kept.masks[name].assign(np.asarray(variable) != 0)
        kept.settled = True
        return kept

    def zeros(self) -> float:
        """Return the share of all weights that is zero now."""
        values = [np.asarray(variable) for variable in self.variables.values()]
        return 1 - sum(map(np.count_nonzero, values)) / sum(value.size for value in values)

    def advance(self, done: float) -> None:
        """Choose the masks for a training of which the share `done` (0 to 1) is over."""
        if self.settled:
            return
        at = 1.0 if self.ramp == 0 else min(done / self.ramp, 1.0)
        growth = 1 - (1 - at) ** 3
        self._mask({name: np.abs(np.asarray(variable)) for name, variable in self.variables.items()}, growth)
        self.settled = at >= 1.0
        for name, variable in self.variables.items():
            variable.assign(variable * self.masks[name])

    def _mask(self, sizes: Mapping[str, Array], growth: float) -> None:
        free = {name: size for name, size in sizes.items() if name not in self.fixed}
        share = self.start + (self.sparsity - self.start) * growth
        common = _threshold(np.concatenate([size.ravel() for size in free.values()]), share) if free else 0.0
        for name, size in sizes.items():
            if name in self.fixed:
                least = _threshold(size.ravel(), self.fixed[name] * growth)
            else:
                least = common if self.scope is Scope.GLOBAL else _threshold(size.ravel(), share)
            self.masks[name].assign(size > min(least, np.nextafter(size.max(), 0, dtype=size.dtype)))

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Keep masked weights at zero after every training step inside the block."""
        before = {name: variable.constraint for name, variable in self.variables.items()}
        try:
            for name, variable in self.variables.items():
                variable.constraint = _masked(self.masks[name], before[name])
                variable.assign(variable * self.masks[name])
            yield
        finally:
            for name, variable in self.variables.items():
                variable.constraint = before[name]


def kernels(model: keras.Model) -> dict[str, Any]:
    """Return the kernel variable of every weighted layer, by layer name."""
    return {layer.name: layer.kernel for layer in model.layers if isinstance(layer, WEIGHTED)}


def cut_neurons(model: keras.Model, shares: Mapping[str, float]) -> keras.Model:
    """Return a smaller float model without the weakest neurons (channels) of some layers.

    `shares` gives for each layer the share of its neurons that go; at least one stays. A neuron counts by the size of
    its incoming weights times that of its outgoing ones. Input and output shapes stay as they are.

    Raises: ConfigError for an unknown layer or the last one; UnsupportedLayer if the model is not a plain stack.
    """
    stack = _stack(model)
    weighted = [
        layer for layer in stack if isinstance(layer, keras.layers.Dense | keras.layers.Conv1D | keras.layers.Conv2D)
    ]
    names = [layer.name for layer in weighted[:-1]]
    for name in shares:
        if name not in names:
            raise ConfigError(f"neurons of layer {name!r} cannot be cut{nearest(name, names)}")
    image = keras.Input(model.input_shape[1:], name=stack[0].name)
    tensor: Any = image
    made: list[tuple[Layer, list[Array]]] = []
    channels = np.arange(model.input_shape[-1])  # which channels of the old tensor are left
    for layer in stack[1:]:
        config, weights = layer.get_config(), layer.get_weights()
        if layer in weighted:
            weights[0] = np.take(weights[0], channels, axis=-2)
            channels = np.arange(weights[0].shape[-1])
            if layer.name in shares:
                channels = _strongest(layer, weighted[weighted.index(layer) + 1], shares[layer.name])
            weights = [np.take(weight, channels, axis=-1) for weight in weights]
            config["units" if isinstance(layer, keras.layers.Dense) else "filters"] = len(channels)
        elif isinstance(layer, keras.layers.BatchNormalization):
            weights = [weight[channels] for weight in weights]
        elif isinstance(layer, keras.layers.Flatten):
            places = int(np.prod(layer.input.shape[1:-1]))
            channels = (np.arange(places)[:, np.newaxis] * layer.input.shape[-1] + channels).ravel()
        elif isinstance(layer, keras.layers.PReLU) and weights[0].shape[-1] > 1:
            weights = [np.take(weights[0], channels, axis=-1)]
        elif not isinstance(layer, (keras.layers.PReLU, *PASSING)):
            raise UnsupportedLayer(f"layer {layer.name!r}: neurons cannot be cut through a {type(layer).__name__}")
        new = layer.__class__.from_config(config)
        tensor = new(tensor)
        made.append((new, weights))
    smaller = keras.Model(image, tensor, name=model.name)
    for new, weights in made:
        new.set_weights(weights)
    return smaller


def _stack(model: keras.Model) -> list[Layer]:
    """Return the layers of a model without branches, in order, the input first."""
    layers = list(model.layers)
    for before, layer in pairwise(layers):
        parents = [node.operation for node in layer._inbound_nodes[-1].parent_nodes]
        if parents != [before]:
            raise UnsupportedLayer(f"layer {layer.name!r}: neurons can be cut in a plain stack of layers only")
    return layers


def _strongest(layer: Layer, after: Layer, share: float) -> Array:
    """Return the numbers of the neurons that stay, ascending."""
    incoming = np.asarray(layer.kernel, np.float64)
    size = np.sqrt((incoming.reshape(-1, incoming.shape[-1]) ** 2).sum(axis=0))
    outgoing = np.asarray(after.kernel, np.float64)
    rows = (outgoing**2).sum(axis=-1).reshape(-1)  # one an input of the next layer: places x channels, channels last
    size = size * np.sqrt(rows.reshape(-1, len(size)).sum(axis=0))
    stay = max(1, len(size) - round(len(size) * share))
    return np.sort(np.argsort(-size, kind="stable")[:stay])


def _masked(mask: Any, inner: Any) -> Any:
    """Return a weight constraint: an older one, then the mask."""
    return lambda weights: (inner(weights) if inner else weights) * mask


def _threshold(sizes: Array, share: float) -> float:
    """Return the size up to which weights go, so that `share` of them do."""
    count = round(len(sizes) * share)
    return float(np.partition(sizes, count - 1)[count - 1]) if count else -1.0

"""The network a run card describes, before it is trained: every shape, no weight but zero.

What follows from shapes alone (reuse factors, whether windows fit) can so be refused before hours of training.
"""

from __future__ import annotations

import numpy as np

from fpgaml.errors import ConfigError
from fpgaml.fixed import FixedPoint
from fpgaml.network import Conv, Dense, Flatten, Input, Layer, MaxPool, Network, Reshape, Shape, Weights
from fpgaml.runcard import (
    Conv1DLayer,
    Conv2DLayer,
    DenseLayer,
    FlattenLayer,
    Padding,
    PoolLayer,
    ReshapeLayer,
    RunCard,
    Stage,
    Structure,
)

NOTHING = FixedPoint(2, 2)


def skeleton(card: RunCard, shape: Shape) -> Network | None:
    """Return the card's layers with zero weights for images of `shape`.

    None where the layers are not known before training: a Python function makes the model, or compression reshapes it.

    Raises: ConfigError where the layers do not fit the images or each other.
    """
    neurons = Stage.PRUNE in card.compress and card.compression.structure is Structure.NEURONS
    if card.model.function or Stage.SVD in card.compress or neurons:
        return None
    layers: list[Layer] = [Input("image", (), shape, FixedPoint(8, 0, signed=False))]
    for entry in card.model.layers:
        before, x = layers[-1].name, shape
        made: Layer | None = None
        match entry:
            case DenseLayer(units=units):
                made = Dense(entry.name, (before,), _zeros(x[-1], units), _zeros(units))
            case Conv1DLayer() | Conv2DLayer():
                rank = 1 if isinstance(entry, Conv1DLayer) else 2
                window, strides = _per_axis(entry.kernel, rank), _per_axis(entry.strides, rank)
                kernel = _zeros(*window, x[-1], entry.filters)
                padding = _pads(entry.name, x, window, strides, entry.padding)
                made = Conv(entry.name, (before,), kernel, _zeros(entry.filters), strides, padding)
            case PoolLayer():
                rank = 1 if entry.kind.endswith("1d") else 2
                window = _per_axis(entry.pool, rank)
                strides = window if entry.strides is None else _per_axis(entry.strides, rank)
                made = MaxPool(
                    entry.name, (before,), window, strides, _pads(entry.name, x, window, strides, entry.padding)
                )
            case FlattenLayer():
                made = Flatten(entry.name, (before,))
            case ReshapeLayer():
                made = Reshape(entry.name, (before,), entry.shape)
            case _:
                continue  # keeps the shape
        shape = made.shape(x)
        layers.append(made)
    return Network(card.name, tuple(layers))


def _zeros(*shape: int) -> Weights:
    return Weights(np.zeros(shape, np.int64), NOTHING)


def _per_axis(value: int | tuple[int, int], rank: int) -> Shape:
    return (value,) * rank if isinstance(value, int) else value


def _pads(name: str, x: Shape, window: Shape, strides: Shape, padding: Padding) -> tuple[tuple[int, int], ...]:
    if len(x) != len(window) + 1:
        raise ConfigError(
            f"layer {name!r}: its {len(window)}-axis window needs {len(window)} spatial axes, not shape {x}"
        )
    if padding is Padding.VALID:
        return ((0, 0),) * len(window)
    totals = [max((-(-n // s) - 1) * s + k - n, 0) for n, k, s in zip(x, window, strides, strict=False)]
    return tuple((total // 2, total - total // 2) for total in totals)

"""The network a run card describes, before it is trained: every shape and type, weights drawn at random.

What follows from shapes alone (reuse factors, whether windows fit) can so be refused before hours of training, and
what follows from bits (cost) be estimated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from fpgaml.card.layers import (
    ActivationKind,
    Active,
    Conv1DLayer,
    Conv2DLayer,
    DenseLayer,
    FlattenLayer,
    Padding,
    PoolLayer,
    ReshapeLayer,
    UpSampling1DLayer,
    UpSampling2DLayer,
)
from fpgaml.card.runcard import RunCard
from fpgaml.card.sections import Stage, Structure
from fpgaml.errors import ConfigError
from fpgaml.ir.fixed import FixedPoint, Overflow, Rounding
from fpgaml.ir.network import (
    Activation,
    Conv,
    Dense,
    Flatten,
    Function,
    Input,
    Layer,
    MaxPool,
    Network,
    PRelu,
    Reshape,
    Shape,
    Upsample,
    Weights,
)

# Before training nobody knows the weights; a bell curve of this share of the range is what trained layers look like.
SPREAD = 0.25


def input_name(shape: Sequence[int]) -> str:
    """Return what the input of a network is called: an image has height, width and channels."""
    return "image" if len(shape) == 3 else "sample"


def skeleton(card: RunCard, shape: Shape) -> Network | None:
    """Return the card's network with random weights for images of `shape`.

    None where the layers are not known before training: a Python function makes the model, or compression reshapes it.

    Raises: ConfigError where the layers do not fit the images or each other, or the model was made elsewhere.
    """
    card.model.must_be_made_here()
    neurons = Stage.PRUNE in card.compress and card.compression.structure is Structure.NEURONS
    if card.model.function or Stage.SVD in card.compress or neurons:
        return None
    rng = np.random.default_rng(0)
    layers: list[Layer] = [Input(input_name(shape), (), shape, FixedPoint(8, 0, signed=False))]
    for entry in card.model.layers:
        before, x = layers[-1].name, shape
        own = card.quantization.of(entry.name)
        weights = partial(_drawn, rng, own.weight_bits or 6)
        bias = partial(_drawn, rng, own.bias_bits or 8)
        made: Layer | None = None
        match entry:
            case DenseLayer(units=units):
                made = Dense(entry.name, (before,), weights(x[-1], units), bias(units))
            case Conv1DLayer() | Conv2DLayer():
                rank = 1 if isinstance(entry, Conv1DLayer) else 2
                window, strides = _per_axis(entry.kernel, rank), _per_axis(entry.strides, rank)
                kernel = weights(*window, x[-1], entry.filters)
                padding = _pads(entry.name, x, window, strides, entry.padding)
                made = Conv(entry.name, (before,), kernel, bias(entry.filters), strides, padding)
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
            case UpSampling1DLayer() | UpSampling2DLayer():
                rank = 1 if isinstance(entry, UpSampling1DLayer) else 2
                made = Upsample(entry.name, (before,), _per_axis(entry.size, rank))
            case _:
                continue  # keeps the shape
        shape = made.shape(x)
        layers.append(made)
        if isinstance(entry, Active):
            slopes = partial(weights, *(1,) * (len(shape) - 1), shape[-1])
            layers += _activation(entry, made.name, own.activation_bits or 6, slopes)
    return Network(card.name, tuple(layers))


def _activation(entry: Active, source: str, bits: int, slopes: Callable[[], Weights]) -> list[Layer]:
    """Return the layers of the activation inside a layer, for its output `source`; `slopes` draws those it learns."""
    name = f"{entry.name}_{entry.activation}"
    match entry.activation:
        case ActivationKind.RELU:
            kind = FixedPoint(bits, 2, False, Rounding.RND_CONV, Overflow.SAT)
            return [Activation(name, (source,), Function.RELU, kind)]
        case ActivationKind.PRELU:
            kind = FixedPoint(bits, 3, True, Rounding.RND_CONV, Overflow.SAT)
            inner = f"{entry.name}_linear"
            return [
                Activation(inner, (source,), Function.LINEAR, kind),
                PRelu(f"{name}_slope", (inner,), slopes()),
                Activation(name, (f"{name}_slope",), Function.LINEAR, kind),
            ]
        case _:
            return []


def _drawn(rng: np.random.Generator, bits: int, *shape: int) -> Weights:
    top = (1 << (bits - 1)) - 1
    codes = np.clip(np.rint(rng.normal(0, SPREAD * (top + 1), shape)), -top - 1, top)
    return Weights(codes.astype(np.int64), FixedPoint(max(bits, 2), 1))


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

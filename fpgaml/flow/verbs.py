"""The verbs, each usable alone: what the steps do one by one, as functions on values.

    data    = load_data(card)
    model,  = train(card, data)[:1]            a float Keras model
    qmodel, = quantize(card, model, data)[:1]  its QKeras twin, trained on
    reading = read_model(qmodel, card)         the Network, with where its layers come from
    built, design = as_built(card, reading.network)
    project = convert(built, design, folder)
    logits  = simulate(project, data.x_test)   C simulation: codes in, codes out

Keras is imported when a function that needs it is called, and not before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fpgaml.card.runcard import RunCard
from fpgaml.datasets.dataset import Dataset
from fpgaml.exact.history import History, Progress
from fpgaml.ir.fixed import Array, FixedPoint, Floats

if TYPE_CHECKING:
    from fpgaml.frontend.read import Reading
    from fpgaml.frontend.scale_bits import Settled
    from fpgaml.training.compression import Compressed, StageProgress

KerasModel = Any


def train(card: RunCard, data: Dataset, *, progress: Progress | None = None) -> tuple[KerasModel, History]:
    """Build the card's float model and train it. Raises: ConfigError, DataError."""
    from fpgaml.training import build, fit

    model = build.build(card.model, data.shape, seed=card.training.seed, folder=card.folder)
    build.check_outputs(model, data.classes)
    return model, fit.train(model, data, card.training, progress=progress)


def quantize(
    card: RunCard, model: KerasModel, data: Dataset, *, progress: Progress | None = None
) -> tuple[KerasModel, History]:
    """Return the quantized model that the card's `compress` stages make of a float one, and its last fit."""
    found = compress(card, model, data, progress=None if progress is None else lambda _, epoch: progress(epoch))
    return found.model, found.stages[-1].history


def compress(card: RunCard, model: KerasModel, data: Dataset, *, progress: StageProgress | None = None) -> Compressed:
    """Take a float `model` through the card's `compress` stages; each one's accuracy and cost are in the result.

    `progress` gets the stage's name and each epoch. Raises: ConfigError, UnsupportedLayer.
    """
    from fpgaml.training import compression

    return compression.compress(card, model, data, progress=progress)


def read_model(model: KerasModel, name: str, input_type: FixedPoint, scale_bits: int | None = None) -> Reading:
    """Return the Network that a QKeras model computes; `scale_bits` rounds what is on no grid, as `read` says.

    Raises: UnsupportedLayer, DataError.
    """
    from fpgaml.frontend.read import read

    return read(model, name=name, input_type=input_type, scale_bits=scale_bits)


def settle(
    model: KerasModel, name: str, input_type: FixedPoint, codes: Array, scale_bits: int | None = None
) -> Settled | None:
    """Return the Network with scales of the fewest bits for which nothing differs on `codes`, or of `scale_bits`.

    None if the model has no batch normalization or slope that must be rounded.
    """
    from fpgaml.frontend import scale_bits as bits

    return bits.settle(model, name=name, input_type=input_type, codes=codes, stated=scale_bits)


def keras_logits(model: KerasModel, data: Dataset, codes: Array) -> Floats:
    """Return the logits (images, classes) that Keras computes for images given as codes, as float64."""
    from fpgaml.training.fit import predict

    return predict(model, data, codes).astype(np.float64)


def keras_layers(model: KerasModel, names: dict[str, str], values: Array) -> dict[str, Floats]:
    """Return what Keras computes in each layer, by network layer name, for input `values` (images, *shape).

    `names` maps network layers to Keras layers, as `Reading.keras_names` does.
    """
    from fpgaml.frontend.graph import layer_outputs

    return layer_outputs(model, names, values)

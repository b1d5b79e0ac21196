"""The verbs, each usable alone: what the pipeline does step by step, as functions on values.

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

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fpgaml import emulate
from fpgaml.accumulate import tensor_types
from fpgaml.comparison import float32_limit
from fpgaml.dataset import Dataset, load
from fpgaml.design import Design
from fpgaml.external import csim, hls4ml
from fpgaml.fixed import FixedPoint, Floats
from fpgaml.head import head_design, with_head
from fpgaml.history import History, Progress
from fpgaml.network import Network
from fpgaml.runcard import RunCard

if TYPE_CHECKING:
    from fpgaml.learn.compression import Compressed, StageProgress
    from fpgaml.learn.read import Reading

KerasModel = Any


@dataclass(frozen=True)
class Project:
    """An HLS project on disk and the network it was made from."""

    network: Network
    design: Design
    folder: Path


def load_data(card: RunCard) -> Dataset:
    """Return the images and labels that a card names. Raises: DataError."""
    data = load(card.data.source, card.folder, card.data)
    return data.subset(card.data.classes) if card.data.classes else data


def train(card: RunCard, data: Dataset, *, progress: Progress | None = None) -> tuple[KerasModel, History]:
    """Build the card's float model and train it. Raises: ConfigError, DataError."""
    from fpgaml.learn import architectures, training

    model = architectures.build(card.model, data.shape, seed=card.training.seed, folder=card.folder)
    architectures.check_outputs(model, data.classes)
    return model, training.train(model, data, card.training, progress=progress)


def quantize(
    card: RunCard, model: KerasModel, data: Dataset, *, progress: Progress | None = None
) -> tuple[KerasModel, History]:
    """Return the quantized model that the card's `compress` stages make of a float one, and its last training."""
    found = compress(card, model, data, progress=None if progress is None else lambda _, epoch: progress(epoch))
    return found.model, found.stages[-1].history


def compress(card: RunCard, model: KerasModel, data: Dataset, *, progress: StageProgress | None = None) -> Compressed:
    """Take a float `model` through the card's `compress` stages; each one's accuracy and cost are in the result.

    `progress` gets the stage's name and each epoch. Raises: ConfigError, UnsupportedLayer.
    """
    from fpgaml.learn import compression

    return compression.compress(card, model, data, progress=progress)


def read_model(model: KerasModel, name: str, input_type: FixedPoint, *, scale_bits: int | None = None) -> Reading:
    """Return the Network that a QKeras model computes; scale_bits as in `learn.read.read`.

    Raises: UnsupportedLayer, DataError.
    """
    from fpgaml.learn.read import read

    return read(model, name=name, input_type=input_type, scale_bits=scale_bits)


def keras_logits(model: KerasModel, data: Dataset, codes: NDArray[Any]) -> Floats:
    """Return the logits (images, classes) that Keras computes for images given as codes, as float64."""
    from fpgaml.learn.training import predict

    return predict(model, data, codes).astype(np.float64)


def keras_layers(model: KerasModel, names: dict[str, str], values: NDArray[Any]) -> dict[str, Floats]:
    """Return what Keras computes in each layer, by network layer name, for input `values` (images, *shape).

    `names` maps network layers to Keras layers, as `Reading.keras_names` does.
    """
    from fpgaml.learn.activations import layer_outputs

    return layer_outputs(model, names, values)


def convert(network: Network, design: Design, folder: Path, *, log: Path | None = None) -> Project:
    """Write the HLS project of `network` into `folder`, read it back, and return it.

    Raises: ConfigError, ToolFailed, ConversionMismatch.
    """
    hls4ml.convert(network, design, folder, log=log or folder.with_suffix(".log"))
    return Project(network, design, folder)


def as_built(card: RunCard, network: Network) -> tuple[Network, Design]:
    """Return the network that becomes hardware, with the outputs that `card.design.output` asks for, and its design.

    Raises: ConfigError if these outputs cannot be.
    """
    head = card.design.output
    return with_head(network, head), head_design(card.design.resolve(), head)


def simulate(
    project: Project, codes: NDArray[np.integer], *, log: Path | None = None, progress: csim.Progress | None = None
) -> NDArray[np.int64]:
    """Compile the project with g++ (once) and return the output codes for images given as codes."""
    log = log or project.folder.with_suffix(".g++.log")
    program = csim.build(project.network, project.folder, log=log, images=len(codes))
    return csim.simulate(program, codes, progress=progress)[0]


def mismatches(network: Network, design: Design, codes: NDArray[np.integer], keras_logits: Floats, folder: Path) -> int:
    """Convert `network` into `folder`, simulate all images, and count the logits in which the executions differ.

    A logit counts once if C simulation differs from the emulator or, where float32 is exact, QKeras does.
    Raises: as `convert` and `simulate`.
    """
    ours = emulate.run(network, codes).reshape(len(codes), -1)
    theirs = simulate(convert(network, design, folder), codes).reshape(ours.shape)
    wrong = theirs != ours
    if float32_limit(network) is None:
        wrong |= tensor_types(network)[network.output.name].decode(ours) != keras_logits.reshape(ours.shape)
    return int(wrong.sum())

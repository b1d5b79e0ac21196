"""What the commands `profile`, `quantize` and `sweep` work on, and the three as functions on values.

    subject = open_subject(Path("models/mnist_mlp.toml"))     a card's run, a saved network, or a Keras model
    subject.network, subject.model, subject.data              quantized, in real numbers, the images
    found = quantize_model(subject, loss=0.005)               post-training quantization, measured on held-out images
    prove(network, codes, folder)                             C simulation equals the emulator, or BitMismatch

A subject that is a float Keras model has no network of its own; `starting_network` gives it types of 8 bits.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fpgaml.card.sections import Data
from fpgaml.datasets import raw
from fpgaml.datasets.dataset import NAMED, Dataset
from fpgaml.datasets.proof_images import load_images, tests_alone
from fpgaml.datasets.sources import load_source
from fpgaml.errors import ConfigError, DataError, FormatError
from fpgaml.exact.accuracy import right_answers
from fpgaml.ir.fixed import PIXEL, Codes, FixedPoint
from fpgaml.ir.floatmodel import FloatModel, build, from_network, types_of
from fpgaml.ir.network import Network, identifier
from fpgaml.ir.saving import load as load_network
from fpgaml.precision.histogram import Histogram, Statistics, summarize
from fpgaml.precision.posttraining import Quantized, quantize, start_types
from fpgaml.precision.profile import profile_floats
from fpgaml.runs.opener import data_of, find_run

if TYPE_CHECKING:
    from fpgaml.frontend.floats import FloatReading

CALIBRATION_IMAGES = 2000  # whose float activations give the ranges
SEARCH_IMAGES = 10_000  # that the search for types may see
FLOAT_IMAGES = 10_000
CHOICE_IMAGES = 4000  # that choose between two ways to set integer bits
HELD_OUT = 0.2  # of the training images, as a run card's validation_split


@dataclass(frozen=True)
class Subject:
    """A network and its images. network: None for a float model; keras, reading: None for what is no float model."""

    name: str
    data: Dataset
    network: Network | None
    keras: Any = None
    reading: FloatReading | None = None

    @property
    def model(self) -> FloatModel:
        """The network in real numbers."""
        if self.network is not None:
            return from_network(self.network)
        assert self.reading is not None
        return self.reading.model

    @cached_property
    def ranges(self) -> dict[str, Histogram]:
        """Histograms of the float activations over training images, by tensor name."""
        return self._float_ranges(self.training[0][:CALIBRATION_IMAGES])

    def float_statistics(self) -> dict[str, Statistics]:
        """Return the statistics of the float weights and activations over the test images; empty if there are none."""
        if self.reading is None:
            return {}
        found = self._float_ranges(self.images[:FLOAT_IMAGES]) | profile_floats([self.reading.model.weights])
        return {name: summarize(one) for name, one in found.items() if one.total}

    def _float_ranges(self, codes: Codes) -> dict[str, Histogram]:
        from fpgaml.frontend import floats

        assert self.reading is not None
        return profile_floats(floats.batches(self.keras, self.reading, self.data.values(codes)))

    @property
    def training(self) -> tuple[Codes, NDArray[np.int64]]:
        """Training images as codes of the network's input, with labels: those that `fpgaml run` holds out."""
        from fpgaml.training.fit import split_of

        held_out = split_of(self.data, HELD_OUT, 0)[1]
        return self._shaped(self.data.x_train[held_out]), self.data.y_train[held_out].astype(np.int64)

    @property
    def images(self) -> Codes:
        """Test images as codes of the network's input."""
        return self._shaped(self.data.x_test)

    @property
    def labels(self) -> NDArray[np.int64] | None:
        """Labels of the test images, if there are any."""
        return self.data.y_test.astype(np.int64) if self.data.labelled else None

    @property
    def test(self) -> tuple[Codes, NDArray[np.int64]]:
        """Test images as codes of the network's input, with labels. Raises: DataError if there are none."""
        if (labels := self.labels) is None:
            raise DataError(f"the images of {self.name!r} have no labels to count right answers with; give --data")
        return self.images, labels

    def _shaped(self, images: NDArray[Any]) -> Codes:
        """Return images in the shape that the network takes, e.g. (784,) for (28, 28, 1)."""
        first = self.model.layers[0].settings["dims"]
        if np.prod(first) != np.prod(images.shape[1:]):
            raise DataError(
                f"{self.name!r} takes images of shape {first}, and the data are of shape {images.shape[1:]}; "
                "give the data that it was trained on"
            )
        return images.reshape(len(images), *first)


def open_subject(path: Path, data: str | Mapping[str, str] | None = None) -> Subject:
    """Return what a command works on: a card's run (.toml, or its folder), a saved network (.npz) or a Keras model.

    `data` replaces the card's, or some keys of its [data]; without a card, the default is the MNIST set in the package.

    Raises: ConfigError if a card was not run yet; FormatError, DataError, UnsupportedLayer.
    """
    given = {"source": data} if isinstance(data, str) else data or {}
    if not path.exists():
        raise DataError(f"{path} does not exist; name a run card, a run's folder, a saved network or a Keras model")
    if path.is_dir() or path.suffix == ".toml":
        found = find_run(path)
        assert found.run is not None
        images = data_of(found.run, found.card, given)
        return _checked(Subject(found.card.name, images, found.network))
    match path.suffix:
        case ".npz":
            network = load_network(path)
            return _checked(Subject(network.name, _data_for(network, given, path), network))
        case ".keras" | ".h5":
            return _checked(_open_keras(path, given))
    raise FormatError(f"{path} must be a run card (.toml), a saved network (.npz) or a Keras model (.keras, .h5)")


def starting_network(subject: Subject, bits: int = 8) -> Network:
    """Return the subject's network; of a float model, the one with types of `bits` bits by its ranges."""
    if subject.network is not None:
        return subject.network
    types = start_types(subject.model, subject.ranges, bits=bits, input_type=subject.data.input_type)
    return build(subject.model, types)


def sweep_types(subject: Subject) -> Mapping[str, FixedPoint]:
    """Return the types of the tensors that a sweep leaves alone: the network's, or 16 bits for a float model."""
    return types_of(starting_network(subject, bits=16))


def quantize_model(
    subject: Subject,
    *,
    loss: float = 0.005,
    bits: int = 8,
    refine: bool = True,
    progress: Callable[[str], None] | None = None,
) -> Quantized:
    """Quantize the subject's float model after training; types are searched on held-out training images.

    Raises: ConfigError if the subject is quantized already, or no types stay within the loss.
    """
    if subject.reading is None:
        raise ConfigError(f"{subject.name!r} is quantized already; post-training quantization takes a float model")
    codes, labels = subject.training
    codes, labels = codes[:SEARCH_IMAGES], labels[:SEARCH_IMAGES]
    return quantize(
        subject.model,
        subject.ranges,
        codes,
        labels,
        float_right=float_answers(subject, codes) == labels,
        input_type=subject.data.input_type,
        loss=loss,
        bits=bits,
        refine=refine,
        progress=progress,
    )


def at_equal_bits(subject: Subject, bits: int) -> int:
    """Return the right answers over the test images of the subject's float model with `bits` bits, not refined.

    This is what to hold against quantization-aware training with as many bits: of the two ways to choose integer
    bits, the one that answers more of the held-out training images right.
    """
    best: tuple[int, Network] | None = None
    for clip in (False, True):
        types = start_types(subject.model, subject.ranges, bits=bits, clip=clip, input_type=subject.data.input_type)
        network = build(subject.model, types)
        codes, labels = subject.training
        found = right_answers(network, codes[:CHOICE_IMAGES], labels[:CHOICE_IMAGES])
        best = (found, network) if best is None or found > best[0] else best
    assert best is not None
    return right_answers(best[1], *subject.test)


def float_answers(subject: Subject, codes: Codes) -> NDArray[np.int64]:
    """Return the class (images,) that the subject's Keras model gives each image."""
    from fpgaml.frontend import floats

    return floats.answers(subject.keras, subject.data.values(codes))


def open_float(path: Path, data: Dataset) -> Subject:
    """Return a float Keras model as a Subject. Raises: UnsupportedLayer, FormatError, DataError."""
    from fpgaml.frontend import floats, store

    model, name = store.load(path), identifier(path.stem)
    return _checked(Subject(name, data, None, model, floats.read(model, name=name)))


def _open_keras(path: Path, given: Mapping[str, str]) -> Subject:
    from fpgaml.frontend import store

    model, name = store.load(path), identifier(path.stem)
    from fpgaml.frontend.read import read

    if not any(type(layer).__module__.startswith("qkeras") for layer in model.layers):
        return open_float(path, _data(given))
    learned = raw.beside(path)
    kind = FixedPoint.parse(given["input_type"]) if "input_type" in given else learned.kind if learned else PIXEL
    network = read(model, name=name, input_type=kind).network
    return Subject(name, _data_for(network, given, path), network)


def _data(given: Mapping[str, str]) -> Dataset:
    """Return the data that options name, to learn from and to test with; MNIST without any."""
    return load_source(given.get("source", "mnist"), data=Data.model_validate({"source": "mnist", **given}))


def _data_for(network: Network, given: Mapping[str, str], path: Path) -> Dataset:
    """Return samples to test `network` with: those that options name, as codes of its input; MNIST's without any.

    If the model at `path` lies in a run, the codes are made as that run learned from them.
    """
    if given.get("source", "mnist") in NAMED and not given.get("test"):
        return _data(given)
    source, scale, label = given.get("test", given.get("source")), given.get("input_scale"), given.get("label")
    kind = network.input.type
    images = load_images(source, network.input.dims, kind, sys.maxsize, scale, label, raw.beside(path))
    return tests_alone(images, kind)


def _checked(subject: Subject) -> Subject:
    """Refuse data of another shape or type than the network takes before any work."""
    _ = subject.images
    if subject.network is not None and subject.network.input.type != subject.data.input_type:
        raise DataError(
            f"{subject.name!r} takes codes of {subject.network.input.type}, and the data are codes of "
            f"{subject.data.input_type}; give the data that it was trained on"
        )
    return subject

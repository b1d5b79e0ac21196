"""What the commands `profile`, `quantize` and `sweep` work on, and the three as functions on values.

    subject = opener.open_subject(Path("models/mnist_mlp.toml"))    a card's run, a saved network, or a Keras model
    subject.network, subject.model, subject.data              quantized, in real numbers, the images
    found = quantize_model(subject, loss=0.005)               post-training quantization, measured on held-out images

A subject that is a float Keras model has no network of its own; `starting_network` gives it types of 8 bits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fpgaml.datasets.dataset import Dataset
from fpgaml.errors import ConfigError, DataError
from fpgaml.exact.accuracy import right_answers
from fpgaml.ir.fixed import Array, Codes, FixedPoint
from fpgaml.ir.floatmodel import FloatModel, build, from_network, types_of
from fpgaml.ir.network import Network
from fpgaml.precision.histogram import Histogram, Statistics, summarize
from fpgaml.precision.posttraining import Quantized, quantize, start_types
from fpgaml.precision.profile import profile_floats

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

    def _shaped(self, images: Array) -> Codes:
        """Return images in the shape that the network takes, e.g. (784,) for (28, 28, 1)."""
        first = self.model.layers[0].settings["dims"]
        if np.prod(first) != np.prod(images.shape[1:]):
            raise DataError(
                f"{self.name!r} takes images of shape {first}, and the data are of shape {images.shape[1:]}; "
                "give the data that it was trained on"
            )
        return images.reshape(len(images), *first)


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

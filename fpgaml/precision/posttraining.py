"""Post-training quantization: the types, with the fewest bits, that keep a float network's accuracy.

    start = start_types(model, ranges)                     8 bits a weight and an activation
    found = quantize(model, ranges, codes, labels, ...)    then bit by bit less, as far as the emulator allows

The start gives each tensor the integer bits that hold its largest value. If that loses too much, it tries those with
the least squared error, which clip rare large values and round all others finer; then one bit more. `quantize` then
goes in rounds. In each it takes one bit, the lowest or the highest, from every weight array and activation alone,
measures the right answers, and takes those bits that cost least for what they save, one after the other, as long as
the network stays within the stated loss. Every measurement is the emulator's, so the accuracy found is the
hardware's, exactly.

Measured on the lecture's network: at 8 bits, clipping weights by least squared error costs 3 points of accuracy
(95.0 against 98.2 %), for the few large weights matter more than their number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from fpgaml.errors import ConfigError, DataError
from fpgaml.exact.accuracy import answers_right, right_answers
from fpgaml.ir.fixed import PIXEL, Array, FixedPoint, Floats, Integers, Overflow, Rounding
from fpgaml.ir.floatmodel import FloatModel, activation_bits, build, network_sizes, weight_bits
from fpgaml.ir.network import Activation, Function, Network
from fpgaml.precision.histogram import Histogram

BIAS_BITS = 8  # never fewer: there are few biases, and an error in one moves every image
MOST_BITS = 16  # beyond, no accuracy is lost to rounding but to something else
MARGIN = 2.0  # standard errors; measured with 1: 0.57 points lost on test images where 0.5 were allowed
CLIPPING = 5  # integer bits tried below those that hold the largest value

Progress = Callable[[str], None]
Move = tuple[float, int, str, FixedPoint]  # cost, less its size, tensor, its new type: sorts by what to do first


@dataclass(frozen=True)
class Attempt:
    """One network that was measured: what changed, the right answers, and the bits of weights and activations."""

    change: str
    correct: int
    weight_bits: int
    activation_bits: int
    kept: bool


@dataclass(frozen=True)
class Quantized:
    """The network found, what it costs and what it was allowed to lose.

    correct, float_correct: right answers over `images`. weight_bits: of all weights and biases together.
    activation_bits: of all rounded tensors of one image together, the input among them.
    """

    network: Network
    types: Mapping[str, FixedPoint]
    images: int
    float_correct: int
    correct: int
    loss: float
    weight_bits: int
    activation_bits: int
    trials: tuple[Attempt, ...]

    @property
    def accuracy(self) -> float:
        """Share of right answers of the network found."""
        return self.correct / self.images

    @property
    def float_accuracy(self) -> float:
        """Share of right answers of the float network."""
        return self.float_correct / self.images


def quantize(
    model: FloatModel,
    ranges: Mapping[str, Histogram],
    codes: Integers,
    labels: Integers,
    *,
    float_right: NDArray[np.bool_],
    input_type: FixedPoint = PIXEL,
    loss: float = 0.005,
    bits: int = 8,
    refine: bool = True,
    progress: Progress | None = None,
) -> Quantized:
    """Return the network with the fewest bits that answers at most a share `loss` of the images worse than float.

    ranges: histograms of the float activations by tensor name (`profile_floats`). codes: (images, *input shape),
    labels: (images,). float_right: (images,), whether the float model answers right. bits: to start from; more are
    taken if these lose too much. refine: False keeps the start types.

    The loss counts with `MARGIN` standard errors on top, so that it holds on images that the search has not seen too.
    The standard error is the square root of the number of images that only one of the two answers right.

    Raises: DataError for data that do not fit; ConfigError if not even 16 bits stay within the loss.
    """
    if not 0 <= loss < 1:
        raise ConfigError(f"loss must be a share of the images from 0 to below 1, not {loss}")
    if np.shape(float_right) != (len(codes),):
        raise DataError(f"float_right must have shape ({len(codes)},), one for each image, not {np.shape(float_right)}")
    float_correct = int(np.count_nonzero(float_right))
    allowed = float_correct - loss * len(codes) - 1e-9
    search = _Search(model, codes, labels, np.asarray(float_right, bool), progress)
    types = search.start(_Chooser(model, ranges, input_type), bits, allowed)
    if refine:
        types = search.refine(types, allowed)
    network = build(model, types)
    return Quantized(
        network=network,
        types=types,
        images=len(codes),
        float_correct=float_correct,
        correct=right_answers(network, codes, labels),
        loss=loss,
        weight_bits=weight_bits(network_sizes(network), types),
        activation_bits=activation_bits(network_sizes(network), types),
        trials=tuple(search.trials),
    )


def start_types(
    model: FloatModel,
    ranges: Mapping[str, Histogram],
    *,
    bits: int = 8,
    clip: bool = False,
    input_type: FixedPoint = PIXEL,
) -> dict[str, FixedPoint]:
    """Return types of `bits` bits for every tensor of `model`; the input has its own.

    clip: choose integer bits by the least squared error instead of the largest value.

    Raises: DataError if an activation has no range.
    """
    return _Chooser(model, ranges, input_type).types(bits, clip=clip)


def best_type(values: Floats, counts: Array | None, bits: int, *, signed: bool, clip: bool = True) -> FixedPoint:
    """Return the type of `bits` bits with the least squared error over `values`, each occurring `counts` times.

    Of two equally good the one with more integer bits. Without `clip`, the one that just holds the largest value.
    Rounds to nearest (ties to even) and saturates.
    """
    values = np.asarray(values, np.float64).ravel()
    largest = float(np.abs(values).max(initial=0.0))
    top = int(np.frexp(largest)[1]) + signed if largest else int(signed)
    kinds = [
        FixedPoint(bits, top - less, signed, Rounding.RND_CONV, Overflow.SAT) for less in range(CLIPPING if clip else 1)
    ]
    weight = np.ones(len(values)) if counts is None else np.asarray(counts, np.float64)
    errors = [float((weight * (values - kind.decode(kind.encode(values))) ** 2).sum()) for kind in kinds]
    return kinds[int(np.argmin(errors))]


class _Chooser:
    """The values of every tensor, for choosing its type."""

    def __init__(self, model: FloatModel, ranges: Mapping[str, Histogram], input_type: FixedPoint) -> None:
        self.model, self.input, self.input_type = model, model.layers[0].name, input_type
        self._weights, self._ranges = model.weights, ranges
        self._relu = {
            layer.name
            for layer in model.layers
            if layer.kind is Activation and layer.settings["function"] is Function.RELU and not layer.settings["slope"]
        }
        for name in model.activations[1:]:
            if name not in ranges or not ranges[name].total:
                raise DataError(f"activation {name!r} of {model.name!r} has no float range; profile it first")

    def types(self, bits: int, *, clip: bool) -> dict[str, FixedPoint]:
        """Return types of `bits` bits (biases: at least `BIAS_BITS`); without `clip`, each holds its largest value."""
        return {name: self._choose(name, bits, clip) for name in self.model.tensors}

    def _choose(self, name: str, bits: int, clip: bool) -> FixedPoint:
        if name == self.input:
            return self.input_type
        if name in self._weights:
            wanted = max(bits, BIAS_BITS) if name.endswith(".bias") else bits
            kind = best_type(self._weights[name], None, wanted, signed=True, clip=clip)
            return FixedPoint(kind.width, kind.integer, True)
        found = self._ranges[name]
        signed = name not in self._relu and found.minimum < 0
        return best_type(found.values, found.counts, bits, signed=signed, clip=clip)


class _Search:
    """Measures networks of given types, and keeps what it measured."""

    def __init__(
        self,
        model: FloatModel,
        codes: Integers,
        labels: Integers,
        float_right: NDArray[np.bool_],
        progress: Progress | None,
    ) -> None:
        self.model, self.codes, self.labels, self.float_right = model, codes, labels, float_right
        self.free = [n for n in model.tensors if n != model.layers[0].name and not n.endswith(".bias")]
        self.trials: list[Attempt] = []
        self._progress = progress
        self._sizes: dict[str, int] = {}
        self._score = 0.0  # of the last network that was kept

    def measure(self, types: Mapping[str, FixedPoint], change: str, least: float | None = None) -> float:
        """Return the right answers with these types less `MARGIN` standard errors of their difference from float's.

        The network is kept if that is `least` or more (None: measured only to compare).
        """
        network = build(self.model, types)
        self._sizes = self._sizes or network_sizes(network)
        right = answers_right(network, self.codes, self.labels)
        correct, score = (
            int(right.sum()),
            float(right.sum() - MARGIN * sqrt(np.count_nonzero(right != self.float_right))),
        )
        totals = weight_bits(self._sizes, types), activation_bits(self._sizes, types)
        kept = least is not None and score >= least
        self.trials.append(Attempt(change, correct, *totals, kept))
        self._score = score if kept else self._score
        if self._progress:
            self._progress(f"{change}: {correct} of {len(self.codes)} right")
        return score

    def start(self, chooser: _Chooser, bits: int, allowed: float) -> dict[str, FixedPoint]:
        """Return types of the fewest bits, equal everywhere and at least `bits`, that stay within the loss."""
        most = max(bits, MOST_BITS)
        for width in range(bits, most + 1):
            for clip in (False, True):
                types = chooser.types(width, clip=clip)
                how = "least squared error" if clip else "no clipping"
                if self.measure(types, f"all {width} bits, {how}", allowed) >= allowed:
                    return types
        best = max(trial.correct for trial in self.trials)
        raise ConfigError(
            f"no types of up to {most} bits keep {self.model.name!r} within the loss: float has "
            f"{int(self.float_right.sum())} of {len(self.codes)} right answers, the best types {best}; allow a larger "
            "loss or give more images, and check that the float model was trained on the values that the input type "
            "gives (pixels are uint8 / 256)"
        )

    def refine(self, types: dict[str, FixedPoint], allowed: float) -> dict[str, FixedPoint]:
        """Return `types` less every bit that can go; see the module's docstring."""
        free = set(self.free)
        while free:
            moves: list[Move] = []
            for name in sorted(free):
                tried = [(self.measure(types | {name: kind}, f"try {name} {kind}"), kind) for kind in less(types[name])]
                found, kind = max(tried, key=lambda one: one[0], default=(-1.0, types[name]))
                if found < allowed:
                    free.discard(name)
                else:
                    cost = max(0.0, self._score - found) / self._sizes[name]  # right answers for each bit saved
                    moves.append((cost, -self._sizes[name], name, kind))
            types, took = self._take(sorted(moves, key=lambda move: move[:3]), types, allowed)
            if not took:
                break
        return types

    def _take(
        self, moves: list[Move], types: dict[str, FixedPoint], allowed: float
    ) -> tuple[dict[str, FixedPoint], bool]:
        """Make the moves in order, each if the network then stays within the loss."""
        took = False
        for *_, name, kind in moves:
            fewer = types | {name: kind}
            if self.measure(fewer, f"take {name} {kind}", allowed) >= allowed:
                types, took = fewer, True
        return types, took


def less(kind: FixedPoint) -> tuple[FixedPoint, ...]:
    """Return the types with one bit less: without the lowest, and without the highest; none below 2 bits."""
    if kind.width <= 2:
        return ()
    return (replace(kind, width=kind.width - 1), replace(kind, width=kind.width - 1, integer=kind.integer - 1))

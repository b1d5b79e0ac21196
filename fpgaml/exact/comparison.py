"""Compare executions of one network: float, as trained (QKeras), emulated, and as C++.

    Comparison             accuracies, agreement, mismatching bits and the images where float and hardware disagree
    first_difference       the first layer, in topological order, where two executions differ, and the cause if known

Two executions are compared as *numbers*, without tolerance: a mismatch is one value out of all that differs at all.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from fpgaml.errors import DataError
from fpgaml.exact.cause import Cause, Diagnosis, case_of, diagnose
from fpgaml.ir.accumulate import Interval, intervals, tensor_types
from fpgaml.ir.fixed import FLOAT32_EXACT, Array, Codes, Floats
from fpgaml.ir.network import Activation, Layer, Network
from fpgaml.ir.shown import Shown, Summary

EXAMPLES = 5


class Executor(StrEnum):
    """Who ran a network; the texts stand in reports and files."""

    FLOAT = "float"
    QKERAS = "QKeras"
    KERAS = "Keras"
    EMULATOR = "emulator"
    CSIM = "C simulation"


@dataclass(frozen=True)
class Example:
    """One value that differs: where, and what either execution has."""

    image: int
    place: tuple[int, ...]
    left: float
    right: float


@dataclass(frozen=True)
class Difference:
    """Where two executions of a network first differ, by how much, and why if that is known.

    `largest` is a real number; `codes` is the same in units of the layer's last place, if its type is known.
    """

    layer: str
    count: int
    total: int
    left: str
    right: str
    examples: tuple[Example, ...]
    largest: float
    codes: float | None = None
    diagnosis: Diagnosis | None = None

    def __str__(self) -> str:
        first = self.examples[0]
        at = ", ".join(map(str, first.place))
        return (
            f"layer {self.layer!r}: {self.count} of {self.total} values differ; the first at image {first.image}, "
            f"channel ({at}): {self.left} {first.left!r}, {self.right} {first.right!r}{self.closing}"
        )

    @property
    def closing(self) -> str:
        """What is known beyond the values, as the end of a sentence; empty if nothing is."""
        text = "" if self.codes is None else f"; the largest distance is {self.codes:,g} in units of the last place"
        return text + (f"; cause: {self.diagnosis}" if self.diagnosis else "")


def first_difference(
    left: Mapping[str, Floats],
    right: Mapping[str, Floats],
    order: list[str],
    names: tuple[str, str],
    network: Network | None = None,
) -> Difference | None:
    """Return the first layer of `order` whose values (images, *shape) differ, among those both have; None if equal.

    `names` says who ran the two, e.g. ``(Executor.EMULATOR, Executor.CSIM)``. With the `network`,
    distances are also given in codes, and the layer is recomputed from its inputs to find the cause (cause.py).
    """
    for layer in order:
        if layer not in left or layer not in right:
            continue
        a, b = np.asarray(left[layer], np.float64), np.asarray(right[layer], np.float64)
        if a.shape != b.shape:
            raise DataError(f"layer {layer!r}: {names[0]} has shape {a.shape}, {names[1]} {b.shape}")
        wrong = np.argwhere(a != b)
        if len(wrong):
            examples = tuple(
                Example(int(i), tuple(map(int, at)), float(a[(i, *at)]), float(b[(i, *at)]))
                for i, *at in wrong[:EXAMPLES]
            )
            largest = float(np.abs(a - b).max())
            found = Difference(layer, len(wrong), a.size, *names, examples, largest)
            return found if network is None else _explained(network, found, left, right)
    return None


def _explained(
    network: Network, found: Difference, left: Mapping[str, Floats], right: Mapping[str, Floats]
) -> Difference:
    """Add the distance in codes and the cause."""
    fraction = tensor_types(network)[found.layer].fraction
    codes = float(np.ldexp(found.largest, fraction))
    inputs = {s: _codes(network, s, left, right) for s in network[found.layer].sources}
    known = {name: array for name, array in inputs.items() if array is not None}
    diagnosis = None
    if known and len(known) == len(inputs):
        for name, values in ((found.right, right), (found.left, left)):
            shaped = np.asarray(values[found.layer], np.float64).reshape(-1, *network.shapes[found.layer])
            diagnosis = _left_out(network, found.layer, values, known, shaped)
            diagnosis = diagnosis or diagnose(network, found.layer, known, shaped)
            if diagnosis:
                diagnosis = Diagnosis(diagnosis.cause, f"in {name}, {diagnosis.text}")
                break
    return replace(found, codes=codes, diagnosis=diagnosis)


def _left_out(
    network: Network, layer: str, values: Mapping[str, Floats], inputs: Mapping[str, Codes], seen: Floats
) -> Diagnosis | None:
    """Return the requantizer just before `layer` that an execution has not, if passing it by gives what was `seen`."""
    for source in network[layer].sources:
        before = network[source]
        if source in values or not isinstance(before, Activation):
            continue
        thinner = _without(network, before)
        own = _codes(network, before.sources[0], values, {})
        if own is None:
            continue
        given = {name: codes for name, codes in inputs.items() if name != source} | {before.sources[0]: own}
        case = case_of(thinner, layer, given)
        text = f"layer {source!r} is missing, and with it the cast to {before.type}"
        if np.array_equal(np.ldexp(case.output.astype(np.float64), -case.fraction), seen):
            return Diagnosis(Cause.MISSING_REQUANTIZER, text)
        besides = diagnose(thinner, layer, given, seen)
        if besides:
            return Diagnosis(Cause.MISSING_REQUANTIZER, f"{text}; besides, {besides.text}")
    return None


def _without(network: Network, gone: Activation) -> Network:
    """Return the network with the readers of `gone` reading what it read."""
    layers = []
    for layer in network:
        if layer.name != gone.name:
            sources = tuple(gone.sources[0] if s == gone.name else s for s in layer.sources)
            layers.append(replace(layer, sources=sources))
    return Network(network.name, tuple(layers))


def _codes(network: Network, layer: str, left: Mapping[str, Floats], right: Mapping[str, Floats]) -> Codes | None:
    """Return a layer's codes (images, *shape): as either execution has them, else computed from what it reads."""
    for values in (left, right):
        if layer in values:
            kind = tensor_types(network)[layer]
            scaled = np.ldexp(np.asarray(values[layer], np.float64), kind.fraction)
            return np.rint(scaled).astype(np.int64).reshape(-1, *network.shapes[layer])
    sources = {s: _codes(network, s, left, right) for s in network[layer].sources}
    known = {name: array for name, array in sources.items() if array is not None}
    return case_of(network, layer, known).output if known and len(known) == len(sources) else None


def float32_limit(network: Network, besides: Collection[str] = ()) -> str | None:
    """Return the first layer where float32 is not provably exact, so that Keras is no reference; None if none.

    besides: layers that Keras does not compute, for what they compute is rounded to a grid.
    """
    found = intervals(network)
    judged = (layer for layer in network if layer.name not in besides)
    return next((layer.name for layer in judged if not float32_exact(layer, found[layer.name])), None)


def float32_exact(layer: Layer, interval: Interval) -> bool:
    """Return whether float32 holds what `layer` computes: sums within `interval` that fit 24 bits, and no quotient.

    A mean over a number of values that is no power of two is on no grid, and float32 may round it to the other side.
    """
    return interval.size <= FLOAT32_EXACT and layer.divisor.bit_count() == 1


def classify(logits: Array) -> NDArray[np.int64]:
    """Return the class of each image for logits (images, classes): the largest, or above 0 if there is one output."""
    flat = logits.reshape(len(logits), -1)
    return (flat[:, 0] > 0).astype(np.int64) if flat.shape[1] == 1 else flat.argmax(axis=1)


@dataclass(frozen=True)
class Execution:
    """One way to run the network over the test images."""

    name: Executor
    logits: Floats  # (images, classes)

    @property
    def classes(self) -> NDArray[np.int64]:
        """The class of each image."""
        return classify(self.logits)


@dataclass(frozen=True, repr=False)
class Comparison(Shown):
    """Executions of one network on the same labelled images; the last is the reference for bits (C simulation)."""

    labels: NDArray[np.int64]
    executions: tuple[Execution, ...]

    @property
    def summary(self) -> Summary:
        """Each execution: its accuracy, and the logits in which it differs from the reference."""
        last = self.executions[-1].name
        labelled = len(self.labels) > 0
        names = [one.name for one in self.executions]
        rows = [
            (str(name), f"{100 * self.accuracy(name):.2f}" if labelled else "-", f"{self.mismatches(name, last):,}")
            for name in names
        ]
        line = f"{len(self.executions[-1].logits):,} images, {', '.join(map(str, names))}"
        return Summary(line, ("execution", "accuracy (%)", f"logits unlike {last}"), rows)

    def accuracy(self, name: str) -> float:
        """Return the share of right classes."""
        return float((self[name].classes == self.labels).mean())

    def agreement(self, name: str, other: str) -> float:
        """Return the share of images with the same class in two executions."""
        return float((self[name].classes == self[other].classes).mean())

    def mismatches(self, name: str, other: str) -> int:
        """Return how many logits differ between two executions, as numbers."""
        return int((self[name].logits != self[other].logits).sum())

    def disagreements(self, name: str, other: str) -> Codes:
        """Return the images that two executions put into different classes."""
        return np.flatnonzero(self[name].classes != self[other].classes)

    def confusion(self, name: str) -> NDArray[np.int64]:
        """Return the confusion matrix (true class, predicted class)."""
        size = max(int(self.labels.max()), *(int(e.classes.max()) for e in self.executions)) + 1
        matrix = np.zeros((size, size), np.int64)
        np.add.at(matrix, (self.labels, self[name].classes), 1)
        return matrix

    def __getitem__(self, name: str) -> Execution:
        for execution in self.executions:
            if execution.name == name:
                return execution
        raise KeyError(name)

"""Compare executions of one network: float, as trained (QKeras), emulated, and as C++.

    Comparison             accuracies, agreement, mismatching bits and the images where float and hardware disagree
    first_difference       the first layer, in topological order, where two executions differ

Two executions are compared as *numbers*, without tolerance: a mismatch is one value out of all that differs at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpgaml.accumulate import intervals
from fpgaml.errors import DataError
from fpgaml.fixed import Codes, Floats
from fpgaml.network import Network

FLOAT32_EXACT = 1 << 24  # every integer up to this is a float32


@dataclass(frozen=True)
class Difference:
    """Where two executions of a network first differ."""

    layer: str
    count: int
    total: int
    image: int
    place: tuple[int, ...]
    left: str
    right: str
    left_value: float
    right_value: float
    largest: float

    def __str__(self) -> str:
        at = ", ".join(map(str, self.place))
        return (
            f"layer {self.layer!r}: {self.count} of {self.total} values differ; the first at image {self.image}, "
            f"channel ({at}): {self.left} {self.left_value!r}, {self.right} {self.right_value!r}"
        )


def first_difference(
    left: Mapping[str, Floats], right: Mapping[str, Floats], order: list[str], names: tuple[str, str]
) -> Difference | None:
    """Return the first layer of `order` whose values (images, *shape) differ, among those both have; None if equal.

    `names` says what the two executions are called, e.g. ``("emulator", "C simulation")``.
    """
    for layer in order:
        if layer not in left or layer not in right:
            continue
        a, b = np.asarray(left[layer], np.float64), np.asarray(right[layer], np.float64)
        if a.shape != b.shape:
            raise DataError(f"layer {layer!r}: {names[0]} has shape {a.shape}, {names[1]} {b.shape}")
        wrong = np.argwhere(a != b)
        if len(wrong):
            at = tuple(int(i) for i in wrong[0])
            largest = float(np.abs(a - b).max())
            return Difference(layer, len(wrong), a.size, at[0], at[1:], *names, float(a[at]), float(b[at]), largest)
    return None


def float32_limit(network: Network) -> str | None:
    """Return the first layer whose sums can leave float32, so that Keras cannot be the reference; None if none."""
    for name, interval in intervals(network).items():
        if interval.size > FLOAT32_EXACT:
            return name
    return None


def classify(logits: NDArray[Any]) -> NDArray[np.int64]:
    """Return the class of each image for logits (images, classes): the largest, or above 0 if there is one output."""
    flat = logits.reshape(len(logits), -1)
    return (flat[:, 0] > 0).astype(np.int64) if flat.shape[1] == 1 else flat.argmax(axis=1)


@dataclass(frozen=True)
class Execution:
    """One way to run the network over the test images."""

    name: str
    logits: Floats  # (images, classes)

    @property
    def classes(self) -> NDArray[np.int64]:
        """The class of each image."""
        return classify(self.logits)


@dataclass(frozen=True)
class Comparison:
    """Executions of one network on the same labelled images; the last is the reference for bits (C simulation)."""

    labels: NDArray[np.int64]
    executions: tuple[Execution, ...]

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

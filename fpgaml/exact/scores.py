"""How good a classifier is, from its logits and the labels: float, quantized and C simulation alike.

    scores = score(logits, labels, names)     logits (images, classes), or (images, 1) for yes and no
    scores.accuracy, scores.loss, scores.confusion
    scores.classes[3].recall                  precision, recall, F1 and AUC of one class against the rest
    scores.curves["micro"]                    the ROC curve over all classes together

scikit-learn computes them; its import takes a second and waits for the first call. Probabilities are the softmax
(sigmoid) of the logits, in float64, wherever those come from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpgaml.errors import DataError
from fpgaml.exact.comparison import classify
from fpgaml.ir.fixed import Array, Floats

CURVE_POINTS = 200  # of a ROC curve that is kept; its area is computed from all


@dataclass(frozen=True)
class ClassScore:
    """One class against the rest. `precision` is 0 where the class was never found."""

    name: str
    images: int
    precision: float
    recall: float
    f1: float
    auc: float


@dataclass(frozen=True, eq=False)
class Curve:
    """A ROC curve: true against false positive rate, and the area under it."""

    false_positive_rate: Floats
    true_positive_rate: Floats
    auc: float


@dataclass(frozen=True, eq=False)
class Scores:
    """All figures of one classifier on one set of images."""

    accuracy: float
    loss: float
    confusion: NDArray[np.int64]  # (true class, class found)
    classes: tuple[ClassScore, ...]
    curves: dict[str, Curve]  # by class name, "micro" and "macro"

    @property
    def macro_f1(self) -> float:
        """Mean F1 over the classes."""
        return float(np.mean([one.f1 for one in self.classes]))

    def to_json(self) -> dict[str, Any]:
        """Return all figures but the curves' points as plain values."""
        return {
            "accuracy": self.accuracy,
            "loss": self.loss,
            "macro_f1": self.macro_f1,
            "auc": {name: self.curves[name].auc for name in ("micro", "macro")},
            "classes": [vars(one) for one in self.classes],
            "confusion": self.confusion.tolist(),
        }


def score(logits: Array, labels: Array, names: tuple[str, ...]) -> Scores:
    """Return all figures for `logits` (images, outputs) against `labels` (images,), named by `names`.

    Raises: DataError if the numbers of images or classes do not fit, or a class has no image.
    """
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

    values, wanted = np.asarray(logits, np.float64), np.asarray(labels).reshape(-1).astype(np.int64)
    if values.ndim != 2 or len(values) != len(wanted):
        raise DataError(f"logits must be (images, outputs) for {len(wanted)} labels, not of shape {values.shape}")
    if values.shape[1] != len(names) and not (values.shape[1] == 1 and len(names) == 2):
        raise DataError(f"logits must have one column a class, {len(names)}, not {values.shape[1]}")
    if not np.isfinite(values).all():
        raise DataError("logits must be finite numbers, not NaN or infinite")
    empty = np.setdiff1d(np.arange(len(names)), wanted)
    if empty.size:
        raise DataError(f"class {names[int(empty[0])]!r} must have at least one image to be scored; it has none")
    chance, found = probabilities(values), classify(values)
    kinds = np.arange(len(names))
    precision, recall, f1, images = precision_recall_fscore_support(wanted, found, labels=kinds, zero_division=0)
    hot = wanted[:, np.newaxis] == kinds
    curves = {name: _curve(hot[:, at], chance[:, at]) for at, name in enumerate(names)}
    rows = zip(names, images, precision, recall, f1, strict=True)
    classes = tuple(
        ClassScore(name, int(n), float(p), float(r), float(f), curves[name].auc) for name, n, p, r, f in rows
    )
    curves["macro"] = _mean([curves[name] for name in names])
    curves["micro"] = _curve(hot.ravel(), chance.ravel())
    return Scores(
        accuracy=float((found == wanted).mean()),
        loss=cross_entropy(values, wanted),
        confusion=np.asarray(confusion_matrix(wanted, found, labels=kinds), np.int64),
        classes=classes,
        curves=curves,
    )


def probabilities(logits: Array) -> Floats:
    """Return the softmax of logits (images, outputs) as (images, classes); of one output, (1 - sigmoid, sigmoid)."""
    values = np.asarray(logits, np.float64)
    if values.shape[1] == 1:
        values = np.concatenate([np.zeros_like(values), values], axis=1)
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def cross_entropy(logits: Array, labels: Array) -> float:
    """Return the mean cross-entropy of logits (images, outputs) in nats."""
    values = np.asarray(logits, np.float64)
    if values.shape[1] == 1:
        values = np.concatenate([np.zeros_like(values), values], axis=1)
    top = values.max(axis=1)
    total = np.log(np.exp(values - top[:, np.newaxis]).sum(axis=1)) + top
    return float((total - values[np.arange(len(values)), np.asarray(labels).reshape(-1).astype(np.int64)]).mean())


def _curve(right: Array, chance: Array) -> Curve:
    from sklearn.metrics import auc, roc_curve

    false, true, _ = roc_curve(right, chance)
    area = float(auc(false, true))
    keep = np.unique(np.linspace(0, len(false) - 1, min(len(false), CURVE_POINTS)).round().astype(int))
    return Curve(false[keep], true[keep], area)


def _mean(curves: list[Curve]) -> Curve:
    """Return the mean of curves at common false positive rates; its area is the mean of theirs."""
    grid = np.unique(np.concatenate([curve.false_positive_rate for curve in curves]))
    true = np.mean([np.interp(grid, c.false_positive_rate, c.true_positive_rate) for c in curves], axis=0)
    return Curve(grid, np.asarray(true), float(np.mean([curve.auc for curve in curves])))

"""Figures about classifiers: ROC curves, precision and recall by class, folds and seeds, accuracy against cost.

Each takes values and returns (figure, caption), as in figures.py; nothing here computes a result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fpgaml.metrics import Scores
from fpgaml.pareto import pareto

COLORS = ("#2a6f97", "#e07a1f", "#2b7a3d", "#8c2f5a", "#8a8f98", "#5b4b9a")


def roc(scores: Mapping[str, Scores]) -> tuple[Figure, str]:
    """ROC curves of each execution: classes thin, micro and macro mean bold; false positive rate on a log axis."""
    figure = Figure(figsize=(4.6 * len(scores), 4.2), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, len(scores), sharey=True))
    for ax, (title, own) in zip(axes, scores.items(), strict=True):
        for name, curve in own.curves.items():
            x = np.maximum(curve.false_positive_rate, 1e-5)
            bold = name in ("micro", "macro")
            label = f"{name}: {curve.auc:.4f}"
            ax.plot(
                x, curve.true_positive_rate, lw=2.2 if bold else 0.9, ls="--" if name == "macro" else "-", label=label
            )
        ax.set_xscale("log")
        ax.set_xlim(1e-4, 1)
        ax.set_title(title, fontsize=10)
        _label(ax, "false positive rate (log)", "true positive rate")
        ax.legend(frameon=False, fontsize=7, title="area under the curve", title_fontsize=7)
    caption = (
        "ROC curves, each class against the rest: how many of its images are found (up) for how many false alarms "
        "(right) as the threshold falls. The closer to the upper left, the better; guessing has an area of 0.5."
    )
    return figure, caption


def per_class(scores: Mapping[str, Scores]) -> tuple[Figure, str]:
    """Precision, recall and F1 of every class, one bar an execution."""
    figure = Figure(figsize=(10, 3.4), layout="constrained")
    width = 0.8 / len(scores)
    low = 1.0
    for ax, what in zip(figure.subplots(1, 3, sharey=True), ("precision", "recall", "f1"), strict=True):
        for at, (title, own) in enumerate(scores.items()):
            values = [getattr(one, what) for one in own.classes]
            low = min(low, *values)
            places = np.arange(len(values)) + (at - (len(scores) - 1) / 2) * width
            ax.bar(places, [100 * value for value in values], width, label=title, color=COLORS[at % len(COLORS)])
            class_ticks(ax, [one.name for one in own.classes])
        _label(ax, "class", f"{what if what != 'f1' else 'F1'} (%)")
        ax.set_ylim(max(0.0, 100 * low - 2), 100)
        ax.grid(visible=False, axis="x")
    figure.axes[0].legend(frameon=False, fontsize=8)
    caption = (
        "Precision: how many of the images put into a class belong there. Recall: how many of a class's images were "
        "found. F1: their harmonic mean. The axis does not start at zero."
    )
    return figure, caption


def spread(rows: Mapping[str, Sequence[float]], what: str) -> tuple[Figure, str]:
    """Accuracy over folds or seeds (`what`), one column an execution: every value, mean and standard deviation."""
    figure = Figure(figsize=(1.6 + 1.7 * len(rows), 3.6), layout="constrained")
    ax = figure.subplots()
    for at, values in enumerate(rows.values()):
        percent = 100 * np.asarray(values, np.float64)
        color = COLORS[at % len(COLORS)]
        offsets = np.linspace(-0.12, 0.12, len(percent)) if len(percent) > 1 else [0.0]
        ax.plot(at + np.asarray(offsets), percent, "o", color=color, alpha=0.55, ms=5)
        deviation = percent.std(ddof=1) if len(percent) > 1 else 0
        ax.errorbar(at + 0.25, percent.mean(), deviation, fmt="_", ms=14, color=color, capsize=4)
        ax.text(at + 0.3, percent.mean(), f" {percent.mean():.2f}", va="center", fontsize=8)
    ax.set_xticks(range(len(rows)), list(rows))
    ax.set_xlim(-0.5, len(rows) - 0.2)
    _label(ax, "", "accuracy (%)")
    return figure, f"Accuracy of each of the {what}s (dots), with mean and standard deviation (bars)."


def trade_off(points: Sequence[Mapping[str, Any]]) -> tuple[Figure, str]:
    """Accuracy against the bits of all weights that are not zero; one colour a group, the Pareto front as a line.

    Each point has `group` (float, QAT, QAP, distilled, searched, ...), `accuracy` (0 to 1) and `weight_bits`.
    """
    figure = Figure(figsize=(7.5, 4.4), layout="constrained")
    ax = figure.subplots()
    groups = list(dict.fromkeys(point["group"] for point in points))
    for at, group in enumerate(groups):
        own = [point for point in points if point["group"] == group]
        x, y = [p["weight_bits"] for p in own], [100 * p["accuracy"] for p in own]
        ax.plot(x, y, "o", color=COLORS[at % len(COLORS)], label=group, ms=6)
    front = pareto([(point["weight_bits"], point["accuracy"]) for point in points])
    ax.step([x for x, _ in front], [100 * y for _, y in front], where="post", color="#b0b4ba", lw=1, zorder=0)
    ax.set_xscale("log")
    _label(ax, "bits of all non-zero weights (log)", "accuracy on the test images (%)")
    ax.legend(frameon=False, fontsize=8)
    caption = (
        "Accuracy against cost. Upper left is better; no network shown is both cheaper and better than one on the line."
    )
    return figure, caption


def class_ticks(ax: Axes, names: Sequence[str]) -> None:
    """Put class names below an axis, aslant where they are words."""
    if are_words(names):
        ax.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor", fontsize=8)
    else:
        ax.set_xticks(range(len(names)), names)


def are_words(names: Sequence[str]) -> bool:
    """Return whether class names are too long to stand side by side as digits do."""
    return max(map(len, names)) > 3


def _label(ax: Axes, x: str, y: str) -> None:
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    ax.grid(color="#e3e3e3", lw=0.6)
    ax.set_axisbelow(True)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)

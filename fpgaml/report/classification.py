"""Figures about classifiers: ROC curves, precision and recall by class, folds and seeds, accuracy against cost.

Each takes values and returns (figure, caption), as in figures.py; nothing here computes a result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter, StrMethodFormatter
from matplotlib.transforms import Bbox

from fpgaml.exact.pareto import pareto
from fpgaml.exact.scores import Curve, Scores
from fpgaml.report.style import BLUE, GREEN, GRID, LINES

LOG_FROM = 1 / 500  # share of false alarms that one is; with fewer samples a logarithmic axis shows single ones

# Of accuracy against cost: colour, mark and size of each group; the front's colour; percent below the best drawn.
STYLES = {
    "float": ("#3d434b", "s", 7.0),
    "QAT": (BLUE, "o", 7.5),
    "QAP": ("#d9690f", "D", 6.5),
    "distilled": (GREEN, "^", 8.5),
    "searched": ("#a05c8c", "X", 6.5),
}
FRONT = "#a3a9b2"
REACH = 8.0
SIDES = (  # of a mark, where its label may stand: offset in points, which end of it, which height
    ((8, 0), "left", "center"), ((-8, 0), "right", "center"), ((0, 7), "center", "bottom"), ((0, -7), "center", "top"),
    ((6, 5), "left", "bottom"), ((6, -5), "left", "top"), ((-6, 5), "right", "bottom"), ((-6, -5), "right", "top"),
)  # fmt: skip


def roc(scores: Mapping[str, Scores], noun: str = "image") -> tuple[Figure, str]:
    """ROC curves of each execution: classes thin, micro and macro mean bold.

    Of two classes one curve says all. The axis of false alarms is logarithmic where there are enough samples for it.
    """
    figure = Figure(figsize=(4.6 * len(scores), 4.2), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, len(scores), sharey=True))
    least = 1 / max(1, min(_negatives(own) for own in scores.values()))  # one false alarm
    log = least < LOG_FROM
    for ax, (title, own) in zip(axes, scores.items(), strict=True):
        for name, curve in _told_apart(own).items():
            x = np.maximum(curve.false_positive_rate, least / 10) if log else curve.false_positive_rate
            bold = name in ("micro", "macro")
            label = f"{name}: {curve.auc:.4f}"
            ax.plot(
                x, curve.true_positive_rate, lw=2.2 if bold else 0.9, ls="--" if name == "macro" else "-", label=label
            )
        if log:
            ax.set_xscale("log")
        ax.set_xlim(max(least, 1e-4) if log else 0, 1)
        ax.set_title(title, fontsize=10)
        _label(ax, f"false positive rate{' (log)' if log else ''}", "true positive rate")
        ax.legend(frameon=False, fontsize=7, title="area under the curve", title_fontsize=7, loc="lower right")
    against = (
        "each class against the rest" if len(next(iter(scores.values())).classes) > 2 else "one class against the other"
    )
    caption = (
        f"ROC curves, {against}: how many of its {noun}s are found (up) for how many false alarms "
        "(right) as the threshold falls. The closer to the upper left, the better; guessing has an area of 0.5."
    )
    return figure, caption


def _told_apart(scores: Scores) -> Mapping[str, Curve]:
    """Return the curves that say different things: of two classes that of the second."""
    if len(scores.classes) > 2:
        return scores.curves
    last = scores.classes[-1].name
    return {last: scores.curves[last]}


def _negatives(scores: Scores) -> int:
    """Return the fewest samples that are not of a class."""
    counts = [one.images for one in scores.classes]
    return sum(counts) - max(counts)


def per_class(scores: Mapping[str, Scores], noun: str = "image") -> tuple[Figure, str]:
    """Precision, recall and F1 of every class, one bar an execution."""
    figure = Figure(figsize=(10, 3.4), layout="constrained")
    width = 0.8 / len(scores)
    low = 1.0
    for ax, what in zip(figure.subplots(1, 3, sharey=True), ("precision", "recall", "f1"), strict=True):
        for at, (title, own) in enumerate(scores.items()):
            values = [getattr(one, what) for one in own.classes]
            low = min(low, *values)
            places = np.arange(len(values)) + (at - (len(scores) - 1) / 2) * width
            ax.bar(places, [100 * value for value in values], width, label=title, color=LINES[at % len(LINES)])
            class_ticks(ax, [one.name for one in own.classes])
        _label(ax, "class", f"{what if what != 'f1' else 'F1'} (%)")
        ax.set_ylim(max(0.0, 100 * low - 2), 100)
        ax.grid(visible=False, axis="x")
    figure.axes[0].legend(frameon=False, fontsize=8)
    caption = (
        f"Precision: how many of the {noun}s put into a class belong there. Recall: how many of a class's {noun}s were "
        f"found. F1: their harmonic mean.{' The axis does not start at zero.' if low > 0.02 else ''}"
    )
    return figure, caption


def spread(rows: Mapping[str, Sequence[float]], what: str) -> tuple[Figure, str]:
    """Accuracy over folds or seeds (`what`), one column an execution: every value, mean and standard deviation."""
    figure = Figure(figsize=(1.6 + 1.7 * len(rows), 3.6), layout="constrained")
    ax = figure.subplots()
    for at, values in enumerate(rows.values()):
        percent = 100 * np.asarray(values, np.float64)
        color = LINES[at % len(LINES)]
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
    """Accuracy against the bits of all weights that are not zero; each group its colour and mark, the front a line.

    Each point has `group` (float, QAT, QAP, distilled, searched, ...), `accuracy` (0 to 1) and `weight_bits`, and may
    have `label` (drawn where there is room), `deviation` (of accuracy) and `data` (one panel each).
    """
    panels = list(dict.fromkeys(point.get("data", "") for point in points))
    figure = Figure(figsize=(8, 0.6 + 4.4 * len(panels)), layout="constrained")
    groups = list(dict.fromkeys(point["group"] for point in points))
    low = 0
    for ax, data in zip(np.atleast_1d(figure.subplots(len(panels), 1)), panels, strict=True):
        own = [point for point in points if point.get("data", "") == data]
        low += _draw_points(ax, own, groups)
        if len(panels) > 1:
            ax.set_title(data, fontsize=10)
    marks = [Line2D([], [], ls="", label=group, **_style(group, groups)) for group in groups]
    line = Line2D([], [], color=FRONT, lw=1.3, label="Pareto front")
    figure.legend(handles=[*marks, line], loc="outside upper center", ncols=len(groups) + 1, frameon=False, fontsize=9)
    figure.draw_without_rendering()  # now everything has its place
    for ax, data in zip(figure.axes, panels, strict=True):
        _draw_labels(ax, figure.dpi / 72, [point for point in points if point.get("data", "") == data], groups)
    caption = (
        "Accuracy against cost. Upper left is better; no network shown is both cheaper and better than one on the line."
    )
    if any(point.get("deviation") for point in points):
        caption += " Bars: standard deviation."
    if low:
        caption += f" {low} point(s) more than {REACH:g} points (percent) below the best are not drawn."
    return figure, caption


def _style(group: str, groups: Sequence[str]) -> dict[str, Any]:
    """Return colour and mark of a group: its own, or what is left for one that has none."""
    color, mark, size = STYLES.get(group, (LINES[groups.index(group) % len(LINES)], "p", 7.0))
    return {"color": color, "marker": mark, "ms": size, "mec": "white", "mew": 0.6}


def _draw_points(ax: Axes, points: Sequence[Mapping[str, Any]], groups: Sequence[str]) -> int:
    """Draw the points of one set of data and their front; return how many lie too low to be drawn."""
    best = max(point["accuracy"] for point in points)
    shown = [point for point in points if 100 * (best - point["accuracy"]) <= REACH]
    for point in shown:
        style = _style(point["group"], groups)
        error = 100 * point["deviation"] if point.get("deviation") else None
        order = 3 if point["group"] != "searched" else 2
        ax.errorbar(
            point["weight_bits"], 100 * point["accuracy"], error, ls="", elinewidth=1, capsize=2, zorder=order, **style
        )
    ax.set_xscale("log")
    ax.margins(x=0.09, y=0.1)
    ax.autoscale_view()
    left, right = ax.get_xlim()
    ax.set_xlim(left, right)
    front = pareto([(point["weight_bits"], 100 * point["accuracy"]) for point in shown])
    xs, ys = [x for x, _ in front], [y for _, y in front]
    ax.step([*xs, right], [*ys, ys[-1]], where="post", color=FRONT, lw=1.3, zorder=1)
    wide = np.log10(right / left) > 2.5
    ax.xaxis.set_major_locator(LogLocator(subs=(1.0,) if wide else (1.0, 2.0, 5.0)))
    ax.xaxis.set_major_formatter(EngFormatter(unit="bit"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    _label(ax, "bits of all non-zero weights (log)", "accuracy on the test images (%)")
    return len(points) - len(shown)


def _draw_labels(ax: Axes, scale: float, points: Sequence[Mapping[str, Any]], groups: Sequence[str]) -> None:
    """Write the labels of points beside them, each where it covers no mark, no line and no other label, or nowhere.

    `scale` is pixels a point (1/72 inch).
    """
    low = ax.get_ylim()[0]
    shown = [point for point in points if 100 * point["accuracy"] >= low]
    xy = [(point["weight_bits"], 100 * point["accuracy"]) for point in shown]
    taken = [Bbox.from_extents(*(place - 5 * scale), *(place + 5 * scale)) for place in ax.transData.transform(xy)]
    line = next(line for line in ax.get_lines() if line.get_drawstyle() == "steps-post")
    for (x, y), (to_x, to_y) in pairwise(ax.transData.transform(line.get_xydata())):  # a step goes right, then up
        taken += [Bbox.from_extents(x, y - 1, to_x, y + 1), Bbox.from_extents(to_x - 1, y, to_x + 1, to_y)]
    for point, place in zip(shown, xy, strict=True):
        for offset, side, foot in SIDES if point.get("label") else ():
            written = ax.annotate(
                point["label"], place, offset, textcoords="offset points", ha=side, va=foot, fontsize=8,
                color=_style(point["group"], groups)["color"],
            )  # fmt: skip
            written.set_in_layout(False)
            box = written.get_window_extent()
            inside = ax.bbox.x0 < box.x0 and box.x1 < ax.bbox.x1 and ax.bbox.y0 < box.y0 and box.y1 < ax.bbox.y1
            if inside and not any(box.overlaps(other) for other in taken):
                taken.append(box)
                break
            written.remove()


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
    ax.grid(color=GRID, lw=0.6)
    ax.set_axisbelow(True)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)

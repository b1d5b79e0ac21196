"""The figures of a report, each a function from facts to one drawing, written as PNG and SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fpgaml.errors import ConfigError
from fpgaml.exact.comparison import Executor
from fpgaml.exact.history import History
from fpgaml.ir.fixed import Array
from fpgaml.precision.profile import from_record, statistics_from
from fpgaml.quoting import drawn
from fpgaml.report import classification
from fpgaml.report.estimates import cost_by_layer
from fpgaml.report.profile_figures import draw_profile
from fpgaml.report.results import Facts
from fpgaml.report.style import BLUE, GREEN, GREY, GRID, ON_PALE, ORANGE

if TYPE_CHECKING:
    from fpgaml.runs.workspace import Workspace

KINDS = ("svg", "png")  # in this order: text is wider in SVG, and the first finds room for it
SHOWN = 24  # disagreeing images in one figure
LOG_FROM = 5  # times the least loss: a smaller range needs no logarithmic axis
FEW_VALUES = 24  # of a sample, that are drawn as dots with their names


Drawing = tuple[Figure | None, str]


def draw_all(workspace: Workspace, facts: Facts) -> dict[str, Drawn]:
    """Draw every figure that has something to show into figures/; return them by name."""
    facts = _drawable(facts)
    made: dict[str, Drawing] = {
        "learning_curves": learning_curves(facts.histories, facts.record["noun"]),
        "confusion": confusion(facts),
        "disagreements": disagreements(facts),
        "cost_by_layer": cost_by_layer(facts.record["estimate"]),
        **drawn_profile(facts.record["profile"], facts.record["noun"], facts.record["labels"]),
    }
    if facts.scores:
        pair = {str(name): facts.scores[name] for name in (Executor.FLOAT, Executor.CSIM)}
        noun = facts.record["noun"]
        made["roc"], made["per_class"] = classification.roc(pair, noun), classification.per_class(pair, noun)
    for name, (figure, _) in made.items():
        if figure is None:
            workspace.remove(f"figures/{name}.{kind}" for kind in KINDS)
        else:
            save(figure, workspace, name)
    return {name: Drawn(caption, figure is not None) for name, (figure, caption) in made.items()}


def _drawable(facts: Facts) -> Facts:
    """Return facts with names of classes and columns as they are drawn."""
    names = {key: tuple(map(drawn, facts.record[key])) for key in ("labels", "features")}
    scores = {
        execution: replace(
            own,
            classes=tuple(replace(one, name=drawn(one.name)) for one in own.classes),
            curves={drawn(name): curve for name, curve in own.curves.items()},
        )
        for execution, own in facts.scores.items()
    }
    return replace(facts, record=facts.record | names, scores=scores)


class Drawn(NamedTuple):
    """What stands below a figure, or, if there is nothing to show, instead of it."""

    caption: str
    shown: bool


def drawn_profile(record: Mapping[str, Any], noun: str = "image", classes: Sequence[str] = ()) -> Mapping[str, Drawing]:
    """Draw the profile of a run from its record."""
    floats = {name: statistics_from(one) for name, one in record["floats"].items()}
    return draw_profile(from_record(record["profile"]), floats, noun, classes)


def save(figure: Figure, workspace: Workspace, name: str) -> None:
    """Write a figure into a run's figures/, as SVG and PNG."""
    (workspace / "figures").mkdir(exist_ok=True)
    for kind in KINDS:
        workspace.write(f"figures/{name}.{kind}", partial(_write, figure, kind=kind))


def write(figure: Figure, stem: Path) -> None:
    """Write a figure as ``stem``.svg and ``stem``.png."""
    for kind in KINDS:
        _write(figure, Path(f"{stem}.{kind}"), kind)


def save_beside(figure: Figure, path: Path, record: str) -> Path:
    """Write a figure as .png and .svg and its `record` as .json, all named as `path`; return the .png.

    Raises: ConfigError if they cannot be written.
    """
    stem = path.with_suffix("") if path.suffix in (".png", ".svg", ".json") else path
    try:
        stem.parent.mkdir(parents=True, exist_ok=True)
        write(figure, stem)
        Path(f"{stem}.json").write_text(record, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"figure {stem}.png cannot be written: {error.strerror}; name another file") from error
    return Path(f"{stem}.png")


def _write(figure: Figure, path: Path, kind: str) -> None:
    """Write a figure without dates, so that the same figure gives the same file."""
    metadata = {"Date": None} if kind == "svg" else {"Software": None}
    with rc_context({"svg.hashsalt": "fpgaml"}):  # else the names inside an SVG are random
        figure.savefig(path, format=kind, dpi=130, metadata=metadata)
    figure.set_layout_engine("none")  # the next kind need not find the places again


def learning_curves(histories: dict[str, History], noun: str = "image") -> Drawing:
    """Loss and accuracy over the epochs, training and validation, float then quantized on one axis."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    loss, accuracy = figure.subplots(1, 2)
    start = 0
    for name, history in histories.items():
        numbers = [start + epoch.number for epoch in history.epochs]
        color = BLUE if name == "float" else ORANGE
        loss.plot(
            numbers, [e.loss for e in history.epochs], color=color, alpha=0.45, ls="--", label=f"{name}, training"
        )
        accuracy.plot(numbers, [100 * e.accuracy for e in history.epochs], color=color, alpha=0.45, ls="--")
        held = [e for e in history.epochs if e.val_loss is not None and e.val_accuracy is not None]
        if held:
            at = [start + e.number for e in held]
            loss.plot(at, [e.val_loss for e in held], color=color, label=f"{name}, validation")
            accuracy.plot(at, [100 * (e.val_accuracy or 0) for e in held], color=color)
        if history.kept and held:
            kept = history.best
            accuracy.plot(start + kept.number, 100 * (kept.val_accuracy or 0), "o", color=color, ms=5)
        start += len(history.epochs)
    _label(loss, "epoch", "loss (cross-entropy)")
    _label(accuracy, "epoch", "accuracy (%)")
    losses = np.concatenate([np.asarray(line.get_ydata(), float) for line in loss.get_lines()] or [np.ones(1)])
    if losses.max() > LOG_FROM * losses.min():
        loss.set_yscale("log")
    loss.legend(frameon=False, fontsize=8)
    _zoom_accuracy(accuracy)
    caption = (
        f"Loss and accuracy by epoch; dashed on training {noun}s, solid on held-out ones. Quantization-aware training "
        "(orange) goes on from the float weights (blue). Dots: the epochs kept. Look for solid lines "
        "that rise away from the dashed ones: overfitting."
    )
    return figure, caption


def confusion(facts: Facts) -> Drawing:
    """Confusion matrices of float and C simulation, side by side on one colour scale of wrong counts."""
    figure = Figure(figsize=(10, 4.8), layout="constrained")
    matrices = {name: np.array(rows) for name, rows in facts.record["comparison"]["confusion"].items()}
    wrong = {name: m - np.diag(np.diag(m)) for name, m in matrices.items()}
    top = max(1, *(int(m.max()) for m in wrong.values()))
    labels = facts.record["labels"]
    for ax, (name, matrix) in zip(figure.subplots(1, 2), matrices.items(), strict=True):
        ax.imshow(wrong[name], cmap="Oranges", vmin=0, vmax=1.3 * top)
        for (row, column), count in np.ndenumerate(matrix):
            if count:
                right = row == column
                color = GREY if right else ON_PALE
                ax.text(
                    column,
                    row,
                    str(count),
                    ha="center",
                    va="center",
                    fontsize=7 if len(labels) > 6 else 11,
                    color=color,
                )
        classification.class_ticks(ax, labels)
        ax.set_yticks(range(len(labels)), labels, fontsize=8 if classification.are_words(labels) else None)
        accuracy = np.trace(matrix) / matrix.sum()
        ax.set_title(f"{name}: {accuracy:.2%} right", fontsize=10)
        _label(ax, "class found", "true class")
        ax.grid(visible=False)
    caption = "How often each true class (row) was put into each class (column). Colour: wrong; grey numbers: right."
    return figure, caption


def disagreements(facts: Facts) -> Drawing:
    """The test samples that float and hardware put into different classes; none if there are none."""
    found, noun = facts.record["comparison"]["disagreements"], facts.record["noun"]
    count = f"{facts.record['test_images']:,} test {noun}s"
    if not found:
        return None, f"Float and hardware put each of the {count} into the same class."
    shown = found[:SHOWN]
    columns, height = (8, 1.35) if noun == "image" else (4, 1.6)
    rows = -(-len(shown) // columns)
    labels = facts.record["labels"]
    words = classification.are_words(labels)
    figure = Figure(figsize=(9, 0.35 + (height + 0.3 * words) * rows), layout="constrained")
    axes = np.atleast_1d(figure.subplots(rows, columns)).ravel()
    for number, (ax, entry) in enumerate(zip(axes, shown, strict=False)):
        values = facts.images[entry["image"]]
        if noun == "image":
            ax.imshow(values if values.shape[-1] == 3 else values[..., 0], cmap="gray_r")
            ax.set_axis_off()
        else:
            _draw_values(ax, values, facts, named=number >= len(shown) - columns)
        right = entry["hardware"] == entry["label"]
        names = (labels[entry[key]] for key in ("label", "float", "hardware"))
        title = ("is {}:\n{}\n→ {}" if words else "is {}: {} → {}").format(*names)
        ax.set_title(title, fontsize=8, color=GREEN if right else "black")
    for ax in axes[len(shown) :]:
        ax.set_axis_off()
    mended = sum(entry["hardware"] == entry["label"] for entry in found)
    broken = sum(entry["float"] == entry["label"] for entry in found)
    caption = (
        f"{len(found)} of {count} get another class in hardware than in float (float → hardware); {broken} were right "
        f"before and are wrong now, {mended} the other way round (green)."
    )
    if noun != "image":
        caption += " Dots: the values as the network gets them; grey: what nine of ten test samples lie within."
    if len(found) > SHOWN:
        caption += f" The first {SHOWN} are shown."
    return figure, caption


def _draw_values(ax: Axes, values: Array, facts: Facts, *, named: bool) -> None:
    """Draw the values of a sample that is no image, over the range in which most samples lie."""
    every = facts.images.reshape(len(facts.images), -1)
    low, high = np.quantile(every, (0.05, 0.95), axis=0)
    at = np.arange(values.size)
    many = values.size > FEW_VALUES
    if many:
        ax.fill_between(at, low, high, color="#e1e4e8", lw=0)
    else:
        ax.bar(at, high - low, 0.7, low, color="#e1e4e8")
    ax.plot(at, values.ravel(), color=BLUE, lw=1 if many else 0, marker="" if many else "o", ms=4)
    ax.tick_params(labelsize=6)
    names = facts.record["features"] if named and not many else ()
    ax.set_xticks(at if names else [], names, rotation=60, ha="right", rotation_mode="anchor")
    ax.set_xlim(-0.5, values.size - 0.5)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)


def _zoom_accuracy(ax: Axes) -> None:
    """Leave out the first epochs' low accuracies, or all the rest is one line at the top."""
    values = np.concatenate(
        [np.asarray(line.get_ydata(), float) for line in ax.get_lines()] or [np.array([0.0, 100.0])]
    )
    low = float(np.quantile(values, 0.08))
    ax.set_ylim(max(0.0, low - 0.15 * (values.max() - low) - 0.2), min(100.0, values.max() + 0.25))


def _label(ax: Axes, x: str, y: str) -> None:
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    ax.grid(color=GRID, lw=0.6)
    ax.set_axisbelow(True)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)

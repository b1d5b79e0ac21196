"""The figures of a report, each a function from facts to one drawing, written as PNG and SVG."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fpgaml.errors import ConfigError
from fpgaml.exact.comparison import Executor
from fpgaml.exact.history import History
from fpgaml.precision.profile import from_record, statistics_from
from fpgaml.report import classification
from fpgaml.report.estimates import cost_by_layer
from fpgaml.report.profile_figures import draw_profile
from fpgaml.report.results import Facts
from fpgaml.report.style import BLUE, GREEN, GREY, GRID, ORANGE

if TYPE_CHECKING:
    from fpgaml.runs.workspace import Workspace

KINDS = ("svg", "png")  # in this order: text is wider in SVG, and the first finds room for it
SHOWN = 24  # disagreeing images in one figure


def draw_all(workspace: Workspace, facts: Facts) -> dict[str, str]:
    """Draw every figure into figures/; return {name: caption}."""
    made = {
        "learning_curves": learning_curves(facts.histories),
        "confusion": confusion(facts),
        "disagreements": disagreements(facts),
        "cost_by_layer": cost_by_layer(facts.record["estimate"]),
        **drawn_profile(facts.record["profile"]),
    }
    if facts.scores:
        pair = {str(name): facts.scores[name] for name in (Executor.FLOAT, Executor.CSIM)}
        made["roc"], made["per_class"] = classification.roc(pair), classification.per_class(pair)
    for name, (figure, _) in made.items():
        save(figure, workspace, name)
    return {name: caption for name, (_, caption) in made.items()}


def drawn_profile(record: Mapping[str, Any]) -> dict[str, tuple[Figure, str]]:
    """Draw the profile of a run from its record."""
    floats = {name: statistics_from(one) for name, one in record["floats"].items()}
    return draw_profile(from_record(record["profile"]), floats)


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


def learning_curves(histories: dict[str, History]) -> tuple[Figure, str]:
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
    loss.set_yscale("log")
    loss.legend(frameon=False, fontsize=8)
    _zoom_accuracy(accuracy)
    caption = (
        "Loss and accuracy by epoch; dashed on training images, solid on held-out ones. Quantization-aware training "
        "(orange) goes on from the float weights (blue). Dots: the epochs kept. Look for solid lines "
        "that rise away from the dashed ones: overfitting."
    )
    return figure, caption


def confusion(facts: Facts) -> tuple[Figure, str]:
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
                color = GREY if right else "black"
                ax.text(column, row, str(count), ha="center", va="center", fontsize=7, color=color)
        classification.class_ticks(ax, labels)
        ax.set_yticks(range(len(labels)), labels, fontsize=8 if classification.are_words(labels) else None)
        accuracy = np.trace(matrix) / matrix.sum()
        ax.set_title(f"{name}: {accuracy:.2%} right", fontsize=10)
        _label(ax, "class found", "true class")
        ax.grid(visible=False)
    caption = "How often each true class (row) was put into each class (column). Colour: wrong; grey numbers: right."
    return figure, caption


def disagreements(facts: Facts) -> tuple[Figure, str]:
    """The test images that float and hardware put into different classes."""
    found = facts.record["comparison"]["disagreements"]
    shown = found[:SHOWN]
    columns = 8
    rows = max(1, -(-len(shown) // columns))
    labels = facts.record["labels"]
    words = classification.are_words(labels)
    figure = Figure(figsize=(9, 0.35 + (1.65 if words else 1.35) * rows), layout="constrained")
    axes = np.atleast_1d(figure.subplots(rows, columns)).ravel()
    for ax in axes:
        ax.set_axis_off()
    for ax, entry in zip(axes, shown, strict=False):
        image = facts.images[entry["image"]]
        if image.ndim >= 2:
            ax.imshow(image[..., 0] if image.ndim == 3 else image, cmap="gray_r")
        right = entry["hardware"] == entry["label"]
        names = (labels[entry[key]] for key in ("label", "float", "hardware"))
        title = ("is {}:\n{}\n→ {}" if words else "is {}: {} → {}").format(*names)
        ax.set_title(title, fontsize=8, color=GREEN if right else "black")
    if not shown:
        axes[0].text(0, 0.5, "float and hardware agree on every test image", fontsize=10)
    mended = sum(entry["hardware"] == entry["label"] for entry in found)
    broken = sum(entry["float"] == entry["label"] for entry in found)
    caption = (
        f"{len(found)} of {facts.record['test_images']:,} test images get another class in hardware than in float "
        f"(float → hardware); {broken} were right before and are wrong now, {mended} the other way round (green)."
    )
    if len(found) > SHOWN:
        caption += f" The first {SHOWN} are shown."
    return figure, caption


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

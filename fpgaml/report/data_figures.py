"""The figure of data before anything is learned: the first samples of each class, or how each feature is spread."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fpgaml.datasets.dataset import Dataset
from fpgaml.ir.fixed import Array
from fpgaml.report.style import GREY, LINES

COLUMNS, ROWS = 8, 10  # samples of a class, and classes
CURVES = 12  # of a class, one over the other
FEATURES = 16  # of a table, that are drawn
BINS = 40


def draw_data(data: Dataset) -> Mapping[str, tuple[Figure, str]]:
    """Return the figure of the test samples, as the source has them, with its caption."""
    rows = data.raw(len(data.x_test)).rows
    if data.noun == "image":
        return {"samples": _images(data, rows)}
    flat = rows.reshape(len(rows), -1)
    names = data.encoding.names if data.encoding else ()
    if names or flat.shape[1] <= FEATURES:
        return {"samples": _histograms(data, flat, names or [f"value {n}" for n in range(flat.shape[1])])}
    return {"samples": _curves(data, rows)}


def _images(data: Dataset, rows: Array) -> tuple[Figure, str]:
    classes = min(data.classes, ROWS)
    figure = Figure(figsize=(9, 1.15 * classes + 0.2), layout="constrained")
    axes = np.atleast_2d(figure.subplots(classes, COLUMNS, squeeze=False))
    for label in range(classes):
        chosen = rows[data.y_test == label][:COLUMNS]
        for ax in axes[label]:
            ax.set_axis_off()
        for ax, image in zip(axes[label], chosen, strict=False):
            whole = image.reshape(data.shape)
            ax.imshow(whole if whole.shape[-1] == 3 else whole[..., 0], cmap="gray_r")
        axes[label][0].set_title(data.names[label], fontsize=8, loc="left")
    return figure, f"The first test images of each class, as the source has them{_of(data, classes)}."


def _of(data: Dataset, shown: int) -> str:
    return f"; {shown} of {data.classes} classes" if shown < data.classes else ""


def _histograms(data: Dataset, flat: Array, names: tuple[str, ...] | list[str]) -> tuple[Figure, str]:
    shown = min(len(names), FEATURES)
    columns = min(4, shown)
    figure = Figure(figsize=(9, 1.9 * -(-shown // columns) + 0.4), layout="constrained")
    axes = np.atleast_1d(figure.subplots(-(-shown // columns), columns, squeeze=False)).ravel()
    for at, ax in enumerate(axes):
        if at >= shown:
            ax.set_axis_off()
            continue
        bins = np.histogram_bin_edges(flat[:, at].astype(np.float64), BINS)
        for label, name in enumerate(data.names):
            values = flat[data.y_test == label, at]
            ax.hist(values, bins, histtype="step", color=_colour(label), label=name, lw=1.2)
        ax.set_title(names[at], fontsize=8)
        _plain(ax)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=6, fontsize=8, frameon=False)
    part = f"; the first {shown} of {len(names)}" if shown < len(names) else ""
    return figure, f"How the values of each feature are spread in each class, over {len(flat):,} test samples{part}."


def _curves(data: Dataset, rows: Array) -> tuple[Figure, str]:
    classes = min(data.classes, ROWS)
    columns = min(3, classes)
    figure = Figure(figsize=(9, 2.2 * -(-classes // columns)), layout="constrained")
    axes = np.atleast_1d(figure.subplots(-(-classes // columns), columns, squeeze=False, sharey=True)).ravel()
    for label, ax in enumerate(axes):
        if label >= classes:
            ax.set_axis_off()
            continue
        for row in rows[data.y_test == label][:CURVES]:
            ax.plot(row.reshape(row.shape[0], -1)[:, 0], color=_colour(label), lw=0.8, alpha=0.7)
        ax.set_title(data.names[label], fontsize=8)
        _plain(ax)
    text = f"The first {CURVES} test samples of each class, one over the other, as the source has them"
    return figure, f"{text}{_of(data, classes)}."


def _colour(label: int) -> str:
    return LINES[label] if label < len(LINES) else GREY


def _plain(ax: Axes) -> None:
    ax.tick_params(labelsize=7)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)

"""The figures of a profile and a precision sweep: each returns (Figure, caption).

ranges          a box a tensor on a log2 axis, before (float) and after, the type's range shaded
bit_use         how often each bit of each tensor is set
overflow_map    where which class saturates or wraps
accumulators    bits that the worst case needs against bits ever used
sweep_map       accuracy by total and integer bits
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import floor, log2

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from fpgaml.ir.fixed import FixedPoint
from fpgaml.precision.histogram import LEVELS, Statistics
from fpgaml.precision.profile import Profile, Role, TensorProfile
from fpgaml.precision.sweep import Sweep
from fpgaml.report.classification import class_ticks
from fpgaml.report.style import BLUE, GREY, GRID, ON_PALE, ORANGE, RED

BAND = "#e4ebe0"  # of what a type holds
LEAST = -24  # smallest power of two that is drawn

Drawing = tuple[Figure, str]
Perhaps = tuple[Figure | None, str]  # without a figure the text says why there is nothing to show


def draw_profile(
    profile: Profile, floats: Mapping[str, Statistics] | None = None, noun: str = "image", classes: Sequence[str] = ()
) -> dict[str, Perhaps]:
    """Draw all that there is of a profile, by file name; `floats` are the float model's tensors.

    `noun` is what one of the samples is called; `classes` are the names of the labels 0, 1, ...
    """
    return {
        "ranges": ranges(profile, floats, noun),
        "bit_use": bit_use(profile),
        "overflow_map": overflow_map(profile, noun, classes),
        "accumulators": accumulators(profile, noun),
    }


def ranges(profile: Profile, floats: Mapping[str, Statistics] | None = None, noun: str = "image") -> Drawing:
    """Draw |value| of every tensor as a box, the float model's above the network's, and each type's range shaded."""
    tensors = [t for t in profile.tensors if t.statistics.magnitudes]
    known = dict(floats or {})
    figure = Figure(figsize=(9.5, 1.3 + 0.42 * len(tensors)), layout="constrained")
    ax = figure.subplots()
    for row, tensor in enumerate(tensors):
        low, high = -tensor.type.fraction, log2(_largest(tensor.type))
        ax.barh(row, high - low, left=low, height=0.86, color=BAND, zorder=1)
        before = known.get(tensor.name)
        if before is not None and before.magnitudes:
            _box(ax, row - 0.2, before, BLUE)
            _box(ax, row + 0.2, tensor.statistics, ORANGE)
        else:
            _box(ax, row, tensor.statistics, ORANGE)
        ax.text(1.01, row, _beside(tensor), transform=ax.get_yaxis_transform(), va="center", fontsize=8)
    ax.set_yticks(range(len(tensors)), [f"{t.name}  {_short(t.type)}" for t in tensors], fontsize=8)
    ax.set_ylim(len(tensors) - 0.4, -0.6)
    _log_axis(ax, tensors, known)
    ax.text(1.01, 1.005, "zeros / overflow", transform=ax.transAxes, fontsize=8, va="bottom", color=GREY)
    handles: list[Artist] = [
        Patch(color=BAND, label="range of the type"),
        Patch(color=ORANGE, alpha=0.6, label="quantized"),
    ]
    handles += [Patch(color=BLUE, alpha=0.6, label="float")] if known else []
    handles.append(Line2D([], [], color="black", marker="|", ls="", label="median, largest"))
    figure.legend(handles=handles, loc="outside upper left", ncols=4, frameon=False, fontsize=8)
    caption = (
        f"Size of the values of every tensor over {profile.images:,} {noun}s: half of the non-zero values are in the "
        "box, 98 % within the line, the last mark is the largest. The band runs from the smallest step of the type "
        "to its largest value. Look for boxes that leave the band: to the right they overflow, to the left they are "
        "rounded to zero. A band that goes far beyond its box has bits to save."
    )
    return figure, caption


def bit_use(profile: Profile) -> Drawing:
    """Draw, for every tensor and every bit of its type, the share of the values that has the bit set."""
    tensors = list(profile.tensors)
    top = max(t.type.integer for t in tensors)
    bottom = min(-t.type.fraction for t in tensors)
    shares = np.full((len(tensors), top - bottom), np.nan)
    for row, tensor in enumerate(tensors):
        for bit, share in enumerate(tensor.bit_use):
            shares[row, top - 1 - (bit - tensor.type.fraction)] = share
    figure = Figure(figsize=(max(7.0, 2.6 + 0.33 * shares.shape[1]), 1.5 + 0.3 * len(tensors)), layout="constrained")
    ax = figure.subplots()
    image = ax.imshow(shares, cmap="YlGnBu", vmin=0, vmax=0.5, aspect="auto", interpolation="nearest")
    for row, tensor in enumerate(tensors):
        for column in np.flatnonzero(shares[row] == 0):
            ax.text(int(column), row, "\N{MULTIPLICATION SIGN}", ha="center", va="center", color=RED, fontsize=9)
        if tensor.type.signed:
            color = "white" if tensor.bit_use[-1] > 0.25 else ON_PALE
            ax.text(top - tensor.type.integer, row, "±", ha="center", va="center", color=color, fontsize=9)
    ax.axvline(top - 0.5, color="black", lw=1)
    exponents = range(top - 1, bottom - 1, -1)
    step = 1 if len(exponents) <= 16 else 2
    ax.set_xticks(range(0, len(exponents), step), [f"$2^{{{k}}}$" for k in exponents][::step], fontsize=8)
    ax.set_yticks(range(len(tensors)), [f"{t.name}  {_short(t.type)}" for t in tensors], fontsize=8)
    ax.set_xlabel("weight of the bit; the line is the binary point")
    bar = figure.colorbar(image, ax=ax, extend="max", pad=0.01)
    bar.set_label("share of values with the bit set", fontsize=8)
    caption = (
        "How often each bit of each tensor is set (of the magnitude; at the sign ± the share of negative values). "
        "A red cross is a bit that no value ever sets: on the left of a row integer bits to save, on the right "
        "fraction bits. Information is densest where about half of the values have the bit set."
    )
    return figure, caption


def overflow_map(profile: Profile, noun: str = "image", classes: Sequence[str] = ()) -> Perhaps:
    """Draw the share of the values that overflow, for every rounded tensor and class; nothing if none does."""
    tensors = [t for t in profile.of(Role.ACTIVATION) if t.cast is not None]
    if not any(t.cast.overflowed for t in tensors if t.cast is not None):
        return None, f"No value of any tensor overflows on these {profile.images:,} {noun}s."
    names = [classes[label] if label < len(classes) else str(label) for label in profile.classes]
    figure = Figure(
        figsize=(max(5.5, 2.4 + 0.62 * len(profile.classes)), 1.6 + 0.42 * len(tensors)), layout="constrained"
    )
    ax = figure.subplots()
    rows = [t.cast.overflow_by_class or (t.cast.overflow_share,) for t in tensors if t.cast is not None]
    shares = 100 * np.array(rows) if rows else np.zeros((1, 1))
    image = ax.imshow(shares, cmap="Oranges", vmin=0, vmax=1.15 * shares.max() or 1.0, aspect="auto")
    for (row, column), share in np.ndenumerate(shares):
        text = "0" if share == 0 else f"{share:.2g}" if share >= 0.01 else "<.01"
        color = GREY if share == 0 else "white" if share > 0.7 * shares.max() else ON_PALE
        ax.text(column, row, text, ha="center", va="center", fontsize=8, color=color)
    class_ticks(ax, names or ["all"])
    ax.set_yticks(range(len(tensors)), [f"{t.name}  {_short(t.type)}" for t in tensors], fontsize=8)
    ax.set_xlabel(f"class of the {noun}")
    figure.colorbar(image, ax=ax, pad=0.01).set_label("values that overflow (%)", fontsize=8)
    caption = (
        f"Share of the values, in percent, that their type cannot hold, by layer and class of the {noun}: they "
        "saturate (or wrap, if the type says so). Look for single dark columns: a class that suffers more than the "
        "others loses accuracy first."
    )
    return figure, caption


def accumulators(profile: Profile, noun: str = "image") -> Drawing:
    """Draw, for every exact sum, the width that no image can exceed and the width that these images used."""
    tensors = profile.of(Role.ACCUMULATOR)
    figure = Figure(figsize=(7.5, 1.4 + 0.42 * len(tensors)), layout="constrained")
    ax = figure.subplots()
    rows = np.arange(len(tensors))
    ax.barh(rows, [t.proved_bits for t in tensors], height=0.7, color="#d8dde3", label="worst case (proved)")
    ax.barh(rows, [t.used_bits for t in tensors], height=0.4, color=BLUE, label=f"ever used on these {noun}s")
    for row, tensor in enumerate(tensors):
        ax.text(tensor.proved_bits + 0.2, row, f"{tensor.used_bits} of {tensor.proved_bits}", va="center", fontsize=8)
    ax.set_yticks(rows, [t.name for t in tensors], fontsize=8)
    ax.set_ylim(len(tensors) - 0.4, -0.6)
    ax.set_xlim(0, max((t.proved_bits for t in tensors), default=1) + 3.5)
    ax.set_xlabel("width of the accumulator (bits)")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    _plain(ax)
    figure.legend(loc="outside upper left", ncols=2, frameon=False, fontsize=8)
    caption = (
        f"Width of every accumulator: what the worst {noun} imaginable needs with these very weights (so that no "
        f"partial sum can overflow), and what the {noun}s of this set ever used. The hardware gets the worst case, "
        "which is a proof."
    )
    return figure, caption


def sweep_map(sweep: Sweep) -> Drawing:
    """Draw the accuracy of every point of a precision sweep."""
    shares = 100 * sweep.accuracies
    figure = Figure(figsize=(2.2 + 0.78 * len(sweep.integers), 1.6 + 0.5 * len(sweep.widths)), layout="constrained")
    ax = figure.subplots()
    low = float(shares.min())
    top = max(float(shares.max()), low + 1)
    norm = PowerNorm(4, vmin=low, vmax=top)
    image = ax.imshow(shares, cmap="viridis", norm=norm, aspect="auto", origin="lower")
    best = sweep.best
    for (row, column), share in np.ndenumerate(shares):
        found = (sweep.widths[row], sweep.integers[column]) == (best.width, best.integer)
        color = ON_PALE if norm(share) > 0.5 else "white"
        ax.text(
            column,
            row,
            f"{share:.2f}",
            ha="center",
            va="center",
            fontsize=8,
            color=color,
            weight="bold" if found else "normal",
        )
    ax.set_xticks(range(len(sweep.integers)), [str(i) for i in sweep.integers])
    ax.set_yticks(range(len(sweep.widths)), [str(w) for w in sweep.widths])
    ax.set_xlabel("integer bits (sign included)")
    ax.set_ylabel("total bits")
    marks = _apart([t for t in (*range(0, 101, 5), 98, 99) if low <= t <= top], norm)
    figure.colorbar(image, ax=ax, pad=0.02, ticks=marks).set_label("accuracy (%)", fontsize=8)
    where = f"layer {sweep.setting.layer}" if sweep.setting.layer else "all layers"
    what = {"all": "weights and activations", "weights": "weights", "activations": "activations"}[sweep.setting.tensors]
    caption = (
        f"Accuracy in percent over {sweep.images:,} images when {what} of {where} are ap_fixed<total, integer> "
        f"({sweep.setting.rounding}, {sweep.setting.overflow}), by exact emulation. Columns too far left overflow; "
        f"rows too low round too coarsely. Bold: the best point, {best.width} bits with {best.integer} integer bits."
    )
    return figure, caption


def _apart(marks: Sequence[float], norm: PowerNorm) -> list[float]:
    """Return the marks of a colour bar that are far enough from the next one to be read, from the highest down."""
    kept: list[float] = []
    for mark in sorted(marks, reverse=True):
        place = float(norm(mark))
        if not kept or float(norm(kept[-1])) - place > 0.07:
            kept.append(mark)
    return kept


def _box(ax: Axes, row: float, statistics: Statistics, color: str) -> None:
    """Draw box (25 to 75 %), line (1 to 99 %), median and largest of |value| on a log2 axis."""
    at = {level: log2(value) for level, value in zip(LEVELS, statistics.magnitudes, strict=True)}
    at = {level: max(value, LEAST) for level, value in at.items()}
    largest = log2(max(abs(statistics.minimum), abs(statistics.maximum)))
    ax.plot([at[0.01], at[0.99]], [row, row], color=color, lw=1.2, zorder=3, solid_capstyle="butt")
    ax.plot([at[0.99], largest], [row, row], color=color, lw=0.8, ls=":", zorder=3)
    ax.plot([largest], [row], color=color, marker="|", ms=7, mew=1.5, zorder=4)
    width = max(at[0.75] - at[0.25], 0.04)
    ax.barh(row, width, left=at[0.25], height=0.3, color=color, alpha=0.6, zorder=3)
    ax.plot([at[0.5]], [row], color="black", marker="|", ms=7, mew=1.2, zorder=5)


def _log_axis(ax: Axes, tensors: Sequence[TensorProfile], known: Mapping[str, Statistics]) -> None:
    found = [t.statistics for t in tensors]
    found += [known[t.name] for t in tensors if t.name in known and known[t.name].magnitudes]
    lows = [-t.type.fraction for t in tensors] + [log2(s.magnitudes[1]) for s in found]
    highs = [log2(_largest(t.type)) for t in tensors] + [log2(max(-s.minimum, s.maximum)) for s in found]
    low, high = max(LEAST, floor(min(lows, default=0)) - 1), floor(max(highs, default=1)) + 2
    step = 2 if high - low > 14 else 1
    ticks = range(low + low % step, high, step)
    ax.set_xticks(list(ticks), [f"$2^{{{k}}}$" for k in ticks], fontsize=8)
    ax.set_xlim(low, high)
    ax.set_xlabel("size of the values that are not zero")
    _plain(ax)


def _beside(tensor: TensorProfile) -> str:
    zeros = f"{100 * tensor.statistics.zero_share:.0f} %"
    if tensor.cast is None or not tensor.cast.overflowed:
        return f"{zeros} / {'-' if tensor.cast is None else '0'}"
    share = 100 * tensor.cast.overflow_share
    return f"{zeros} / {share:.2g} %" if share >= 0.01 else f"{zeros} / <.01 %"


def _largest(kind: FixedPoint) -> float:
    return float(np.ldexp(float(max(kind.high, -kind.low)), -kind.fraction))


def _short(kind: FixedPoint) -> str:
    """Return a type without its modes."""
    return f"{'' if kind.signed else 'u'}fixed<{kind.width},{kind.integer}>"


def _plain(ax: Axes) -> None:
    ax.grid(color=GRID, lw=0.6, axis="x")
    ax.set_axisbelow(True)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)

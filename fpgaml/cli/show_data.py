"""What a person sees of data: a table of columns, one of classes, the first samples as numbers, curves or pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from fpgaml.cli.console import shown
from fpgaml.datasets.survey import Column, Survey
from fpgaml.ir.fixed import Array

SHADES = " .:-=+*#%@"
BARS = "▁▂▃▄▅▆▇█"
TABLE_COLUMNS = 10  # of the first samples; more are drawn as a curve
LONGEST = 64  # of a curve, or a picture's line


def show_survey(console: Console, found: Survey) -> None:
    """Print what a survey found, what it means for the network last."""
    if found.columns:
        console.print(_columns(found.columns))
        console.print()
    console.print(f"missing values: {found.missing:,}" if found.missing else "no value is missing")
    if found.problem:
        return
    size = " x ".join(map(str, found.shape))
    console.print(f"{found.source}: {found.noun}s of {size} values, codes of {found.input_type}", soft_wrap=True)
    console.print()
    console.print(_classes(found))
    console.print()
    console.print(f"split: {shown(found.split)}", soft_wrap=True)
    console.print(f"preprocessing: {shown(found.preprocessing)}", soft_wrap=True)
    console.print(f"\nfirst test {found.noun}s, as the source has them:")
    _first(console, found)


def _columns(columns: tuple[Column, ...]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("value", "least", "largest", "mean", "deviation", "different", "missing"):
        table.add_column(heading, justify="left" if heading == "value" else "right")
    for one in columns:
        kind = ["words", "", "", ""] if one.words else [_short(x) for x in (one.low, one.high, one.mean, one.deviation)]
        table.add_row(shown(one.name or "(no name)"), *kind, f"{one.distinct:,}", f"{one.missing:,}")
    return table


def _short(value: float | None) -> str:
    return "" if value is None else f"{value:.5g}"


def _classes(found: Survey) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("class", "to learn from", "to test", "share"):
        table.add_column(heading, justify="left" if heading == "class" else "right")
    total = sum(train + test for _, train, test in found.classes)
    for name, train, test in found.classes:
        table.add_row(shown(name), f"{train:,}", f"{test:,}", f"{(train + test) / total:.1%}")
    return table


def _first(console: Console, found: Survey) -> None:
    """Print the first samples: a table of few values, a curve of many, a picture of an image."""
    if found.noun == "image":
        pictures = [[f"{label}:", *picture(image)] for label, image in found.first]
        width = max(len(line) for lines in pictures for line in lines) + 2
        picked = pictures[: max(1, console.width // width)]
        for lines in zip(*picked, strict=True):
            console.print("".join(f"{line:<{width}}" for line in lines).rstrip(), markup=False, soft_wrap=True)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("class")
    few = found.first[0][1].size <= TABLE_COLUMNS
    count = found.first[0][1].size
    for name in (found.features or [str(n) for n in range(count)]) if few else ["values"]:
        table.add_column(shown(name), justify="right" if few else "left")
    for label, values in found.first:
        cells = [_short(float(value)) for value in values.ravel()] if few else [curve(values)]
        table.add_row(shown(label), *cells)
    console.print(table)


def curve(values: Array) -> str:
    """Return the values of a sample as bars, of its first channel from its least to its largest."""
    series = values.reshape(values.shape[0], -1)[:, 0].astype(np.float64)
    series = series[np.linspace(0, len(series) - 1, min(len(series), LONGEST)).astype(int)]
    span = np.ptp(series)
    level = (series - series.min()) / span if span else np.zeros(len(series))
    return "".join(BARS[round(one * (len(BARS) - 1))] for one in level)


def picture(image: Array) -> list[str]:
    """Return an image (height, width, channels) as lines of characters, two rows of pixels a line."""
    grey = image.reshape(*image.shape[:2], -1).mean(axis=2)
    step = -(-grey.shape[1] // LONGEST)
    grey = grey[::step, ::step]
    grey = np.vstack([grey, grey[-1:]]) if len(grey) % 2 else grey
    lines = grey.reshape(-1, 2, grey.shape[1]).mean(axis=1)
    span = np.ptp(lines)
    level = (lines - lines.min()) / span if span else np.zeros(lines.shape)
    return ["".join(SHADES[round(one * (len(SHADES) - 1))] for one in row) for row in level]


def survey_record(found: Survey) -> dict[str, Any]:
    """Return a survey as JSON-ready data."""
    classes = [{"name": name, "learn": train, "test": test} for name, train, test in found.classes]
    first = [{"class": label, "values": values.tolist()} for label, values in found.first]
    columns = [vars(one) for one in found.columns]
    return vars(found) | {"columns": columns, "classes": classes, "first": first, "missing": found.missing}

"""Tables for a terminal: results in, rich tables out. Nothing here prints or decides anything.

Numbers of the estimator carry ``~`` and their 80 % range; `error_statement` says how far they have been off on designs
the fit had not seen, and stands under every table of estimates.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table

from fpgaml.estimate.estimator import Estimate, EstimateStage, utilisation
from fpgaml.estimate.model import model
from fpgaml.estimate.proposals import Proposal
from fpgaml.target.boards import Board
from fpgaml.target.measurement import ESTIMATED, RESOURCES, MedianRange, Metric


def error_statement() -> str:
    """Return one sentence on the cross-validated errors of the estimates."""
    known = model()
    parts = []
    for metric in ESTIMATED:
        row = known.errors["design"][metric]
        parts.append(f"{metric} {100 * row['median']:.0f} %")
    return (
        f"~ estimated; median error on repositories the fit had not seen ({known.designs} designs, "
        f"{known.repositories} repositories): " + ", ".join(parts) + "; in brackets the 80 % range"
    )


def boards_table(boards: Iterable[Board], *, sources: bool = False) -> Table:
    """Return a table of boards and what their parts hold; with `sources` where each figure is from."""
    table = _table("board")
    table.add_column("part")
    for name in ("LUT", "FF", "DSP", "BRAM18", "URAM", "ns"):
        table.add_column(name, justify="right")
    if sources:
        table.add_column("source")
    for board in boards:
        part = board.part
        counts = (part.lut, part.ff, part.dsp, part.bram18, part.uram)
        cells = [board.name, board.part_number, *(_compact(count) for count in counts), f"{board.clock_ns:g}"]
        table.add_row(*cells, *([f"{board.source}; {part.source}"] if sources else []))
    return table


def estimate_table(found: Estimate) -> Table:
    """Return medians of each layer for csynth: reuse factor, cycles, resources."""
    design = found.design
    title = f"{found.network}: {found.part.device}, {design.tool}, {design.io_type}, {design.clock_ns:g} ns"
    table = _table("layer", title=title)
    for name in ("reuse", *(SHORT[metric] for metric in ESTIMATED)):
        table.add_column(name, justify="right")
    for layer in found.layers:
        cells = (_compact(layer.values[metric].value.median) for metric in ESTIMATED)
        table.add_row(layer.name, str(layer.reuse_factor), *cells)
    return table


def design_table(found: Estimate) -> Table:
    """Return the whole design: each metric by csynth and after logic synthesis, with ranges, against the part."""
    table = _table("design", caption=_caption(found))
    for stage in EstimateStage:
        table.add_column(f"~ {stage}", justify="right")
    table.add_column("of", justify="right")
    used = {stage: utilisation(found, stage) for stage in EstimateStage}
    table.add_row("latency (cycles)", _spread(found.csynth[Metric.LATENCY].value))
    table.add_row("latency (µs)", _spread(found.latency_us))
    table.add_row("II (cycles)", _spread(found.csynth[Metric.INTERVAL].value))
    for metric in RESOURCES:
        available = next(use.available for use in used[EstimateStage.CSYNTH].uses if use.metric is metric)
        cells = (_spread(found.at(stage)[metric].value) for stage in EstimateStage)
        table.add_row(str(metric), *cells, f"{available:,}")
    table.add_row("likely to fit", *(f"{100 * used[stage].probability:.0f} %" for stage in EstimateStage))
    table.add_row("limited by", *(str(used[stage].limiting.metric) for stage in EstimateStage))
    table.add_row(
        "verdict", *(str(used[stage].verdict) if stage is EstimateStage.SYNTHESIS else "" for stage in EstimateStage)
    )
    return table


def verdict_text(found: Estimate) -> str:
    """Return the one verdict in words: what becomes of the design after logic synthesis, and what csynth would say."""
    real, early = (utilisation(found, stage) for stage in (EstimateStage.SYNTHESIS, EstimateStage.CSYNTH))
    after, before = (f"{100 * used.probability:.0f} %" for used in (real, early))
    return (
        f"{real.verdict} ({after} likely {EstimateStage.SYNTHESIS}, {before} by the counts of {EstimateStage.CSYNTH}), "
        f"{real.limiting.metric} limits"
    )


def proposals_table(proposals: Sequence[Proposal]) -> Table:
    """Return one column a proposal: strategy, reuse factor of each layer, time and resources, verdict."""
    table = _table("proposal", caption=error_statement())
    for number in range(len(proposals)):
        table.add_column(str(number + 1), justify="right")
    layers = list(dict.fromkeys(name for one in proposals for name in one.reuse_factors))
    table.add_row("strategy", *(str(one.design.strategy) for one in proposals))
    for name in layers:
        table.add_row(f"reuse factor of {name}", *(str(one.reuse_factors.get(name, "")) for one in proposals))
    table.add_row("latency (µs)", *(_spread(one.estimate.latency_us) for one in proposals))
    table.add_row("one image every (µs)", *(_spread(one.estimate.interval_us) for one in proposals))
    for metric in RESOURCES:
        cells = (_spread(use.used) for one in proposals for use in one.utilisation.uses if use.metric is metric)
        table.add_row(f"{metric}, {proposals[0].utilisation.stage}", *cells)
    table.add_row("verdict", *(str(one.utilisation.verdict) for one in proposals))
    table.add_row("likely to fit", *(f"{100 * one.utilisation.probability:.0f} %" for one in proposals))
    table.add_row("limited by", *(str(one.utilisation.limiting.metric) for one in proposals))
    return table


def proposal_record(one: Proposal) -> dict[str, Any]:
    """Return a proposal as JSON-ready data: times in microseconds, resources with their 80 % range."""
    used = one.utilisation
    return {
        "strategy": str(one.design.strategy),
        "reuse_factors": one.reuse_factors,
        "latency_us": asdict(one.estimate.latency_us),
        "interval_us": asdict(one.estimate.interval_us),
        "uses": {str(use.metric): asdict(use.used) | {"available": use.available} for use in used.uses},
        "verdict": str(used.verdict),
        "probability": used.probability,
        "limiting": str(used.limiting.metric),
    }


def _caption(found: Estimate) -> str:
    lines = [error_statement()]
    if found.extrapolated:
        lines.append("extrapolated: outside the range of the data, with a wider range")
    return "\n".join(lines + [str(wall) for wall in found.walls])


SHORT = {
    Metric.LATENCY: "latency", Metric.INTERVAL: "II", Metric.LUT: "LUT", Metric.FF: "FF", Metric.DSP: "DSP",
    Metric.BRAM18: "BRAM18",
}  # fmt: skip


def _table(first: str, title: str = "", caption: str = "") -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", title=title or None, caption=caption or None)
    table.title_justify = table.caption_justify = "left"
    table.add_column(first)
    return table


def _compact(value: float) -> str:
    """Write a count in at most five characters: 951, 10.9k, 1.30M."""
    for size, unit in ((1e6, "M"), (1e4, "k")):
        if value >= size:
            scaled = value / (1e3 if unit == "k" else size)
            return f"{scaled:.0f}{unit}" if scaled >= 100 else f"{scaled:.3g}{unit}"
    return f"{value:,.0f}" if value >= 10 or value == round(value) else f"{value:.2g}"


def _spread(value: MedianRange) -> str:
    """Write a median and its 80 % range."""
    if value.is_point:
        return _compact(value.median)
    return f"{_compact(value.median)} ({_compact(value.low)} to {_compact(value.high)})"


def _range(values: object, metric: Metric) -> str:
    found = values.get(metric) if isinstance(values, dict) else None
    return "" if found is None else _spread(found.value)

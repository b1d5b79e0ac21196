"""Tables for a terminal: results in, rich tables out. Nothing here prints or decides anything.

Numbers of the estimator carry ``~`` and their 80 % range; `error_statement` says how far they have been off on designs
the fit had not seen, and stands under every table of estimates.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.table import Table

from fpgaml.boards import Board
from fpgaml.estimate.estimator import Comparison, Estimate, Stage, Utilisation, utilisation
from fpgaml.estimate.model import model
from fpgaml.estimate.proposals import Proposal
from fpgaml.measurement import ESTIMATED, RESOURCES, Interval, Measurement, Metric

BAR = 20  # characters of a full bar


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


def boards_table(boards: Iterable[Board]) -> Table:
    """Return a table of boards and what their parts hold."""
    table = Table("board", "part", "family", title="Boards")
    for name in ("LUT", "FF", "DSP", "BRAM18", "URAM", "clock"):
        table.add_column(name, justify="right")
    table.add_column("source")
    for board in boards:
        part = board.part
        counts = (part.lut, part.ff, part.dsp, part.bram18, part.uram)
        table.add_row(
            board.name,
            board.part_number,
            part.family,
            *(f"{count:,}" for count in counts),
            f"{board.clock_ns:g} ns",
            f"{board.source}; {part.source}",
        )
    return table


def estimate_table(found: Estimate) -> Table:
    """Return a table with a row for each layer and one for the design (csynth), and the design after synthesis."""
    title = f"{found.network}: estimate for {found.part.device}, {found.design.tool}, {found.design.clock_ns:g} ns"
    table = Table("layer", "kind", title=title)
    table.add_column("reuse", justify="right")
    for metric in ESTIMATED:
        table.add_column(str(metric), justify="right")
    for layer in found.layers:
        cells = (_number(layer.values[metric].value) for metric in ESTIMATED)
        table.add_row(layer.name, str(layer.kind), str(layer.reuse_factor), *cells)
    table.add_section()
    table.add_row(f"design, {Stage.CSYNTH}", "", "", *(_range(found.csynth, metric) for metric in ESTIMATED))
    table.add_row(f"design, {Stage.SYNTHESIS}", "", "", *(_range(found.synthesis, metric) for metric in ESTIMATED))
    table.caption = _caption(found)
    return table


def utilisation_table(found: Estimate, stages: Sequence[Stage] = tuple(Stage)) -> Table:
    """Return a table of what the design takes of its part, by stage, with the verdict of each."""
    table = Table("stage", "resource", title=f"{found.network} on {found.part.device}")
    for name in ("used", "available", "share"):
        table.add_column(name, justify="right")
    table.add_column("")
    table.add_column("fits with", justify="right")
    for stage in stages:
        used = utilisation(found, stage)
        for use in used.uses:
            share = use.share
            percent = f"{100 * share.median:.0f} % ({100 * share.low:.0f} to {100 * share.high:.0f})"
            table.add_row(
                str(stage), str(use.metric), str(use.used), f"{use.available:,}", percent, bar(share.median),
                f"{100 * use.probability:.0f} %",
            )  # fmt: skip
        table.add_row("", verdict_text(used), end_section=True)
    return table


def verdict_text(used: Utilisation) -> str:
    """Return the verdict in words: what, how likely, what limits."""
    return f"{used.verdict} ({100 * used.probability:.0f} %), limited by {used.limiting.metric}"


def proposals_table(proposals: Sequence[Proposal]) -> Table:
    """Return a table of proposals: strategy, reuse factor of each layer, latency, resources, verdict."""
    table = Table("strategy", "reuse factors", title="Proposals")
    for metric in (Metric.LATENCY, Metric.INTERVAL):
        table.add_column(str(metric), justify="right")
    table.add_column("us", justify="right")
    for metric in RESOURCES:
        table.add_column(str(metric), justify="right")
    table.add_column("verdict")
    for one in proposals:
        factors = ", ".join(f"{name} {factor}" for name, factor in one.reuse_factors.items())
        values = one.estimate.csynth
        table.add_row(
            str(one.design.strategy),
            factors,
            _number(values[Metric.LATENCY].value),
            _number(values[Metric.INTERVAL].value),
            str(one.estimate.latency_us),
            *(_number(values[metric].value) for metric in RESOURCES),
            verdict_text(one.utilisation),
        )
    table.caption = error_statement()
    return table


def comparison_table(found: Comparison) -> Table:
    """Return the quantized design beside the same architecture in ap_fixed<16,6>, both estimated for csynth."""
    table = Table("", title="Quantized and float model")
    table.add_column("quantized", justify="right")
    table.add_column("ap_fixed<16,6>", justify="right")
    for metric in ESTIMATED:
        pair = (found.quantized.csynth, found.float_model.csynth)
        table.add_row(str(metric), *(_range(one, metric) for one in pair))
    table.add_row("latency, us", str(found.quantized.latency_us), str(found.float_model.latency_us))
    table.add_row("weights, bits", f"{found.weight_bits:,}", f"{found.float32_bits:,} in float32")
    table.caption = error_statement()
    return table


def measured_table(found: Estimate, measured: Sequence[tuple[str, dict[Metric, Measurement]]]) -> Table:
    """Return the estimate beside reports, a column each, never mixed: (title of the report, its measurements)."""
    table = Table("", title=f"{found.network}: estimate and reports")
    table.add_column(f"estimate of {Stage.CSYNTH}", justify="right")
    table.add_column(f"estimate {Stage.SYNTHESIS}", justify="right")
    for title, _ in measured:
        table.add_column(title, justify="right")
    for metric in ESTIMATED:
        reports = (_range(values, metric) for _, values in measured)
        table.add_row(str(metric), _range(found.csynth, metric), _range(found.synthesis, metric), *reports)
    table.caption = error_statement()
    return table


def bar(share: float) -> str:
    """Return a bar of `BAR` characters for a share; a full one ends in ``>`` if the share is above 1."""
    filled = min(BAR, round(share * BAR))
    return "#" * (BAR - 1) + ">" if share > 1 else "#" * filled + "." * (BAR - filled)


def _caption(found: Estimate) -> str:
    lines = [error_statement()]
    if found.extrapolated:
        lines.append("extrapolated: outside the range of the data, with a wider range")
    return "\n".join(lines + [str(wall) for wall in found.walls])


def _number(value: Interval) -> str:
    return str(Interval.exactly(value.median)) if value.is_point else f"~{Interval.exactly(value.median)}"


def _range(values: object, metric: Metric) -> str:
    found = values.get(metric) if isinstance(values, dict) else None
    return "" if found is None else str(found.value)

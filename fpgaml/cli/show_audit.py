"""An audit on a terminal: the table of layers, the findings, and the executions side by side."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from fpgaml.audit.audit import Audit, LayerRow, Side, Simulation, summary
from fpgaml.cli.console import shown
from fpgaml.frontend.findings import Finding, Severity
from fpgaml.quoting import markdown, printable

COLORS = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.INFO: "cyan"}


def show_audit(console: Console, found: Audit) -> None:
    """Print everything, most important last."""
    console.print(f"[bold]{shown(found.model)}[/]  input {found.input_type}\n")
    console.print(layer_table(found.rows))
    if found.findings:
        console.print("\n[bold]findings[/]")
        for severity in (Severity.ERROR, Severity.WARNING, Severity.INFO):
            for one in (f for f in found.findings if f.severity is severity):
                show_finding(console, one)
    if found.simulation:
        show_simulation(console, found.simulation)
    mark = "[bold red]✗[/]" if found.exit_code else "[bold green]✓[/]"
    console.print(f"\n{mark} {shown(summary(found))}", soft_wrap=True)


def audit_page(found: Audit, path: Path) -> None:
    """Write an audit as a page: layers, findings, executions. Raises: ConfigError."""
    from fpgaml.report.overview import save_page, table
    from fpgaml.report.page import Fact

    layers = [
        [markdown(text or "-") for text in (row.layer, row.does or row.keras, row.weight, row.bias, row.output)]
        for row in found.rows
    ]
    heads = ["layer", "what it does", "weights", "bias", "accumulator or output"]
    lines = ["# audit", "", "## Layers", "", *table(heads, layers)]
    if found.findings:
        told = [
            tuple(
                markdown(text) for text in (one.layer or "the model", f"{one.severity} {one.code}", one.found, one.mend)
            )
            for one in found.findings
        ]
        lines += ["", "## Findings", "", *table(("layer", "what", "found", "to mend it"), told)]
    done = found.simulation
    if done:
        sides = [(markdown(side.name), _unlike(side), _alike(side), _where(side)) for side in done.sides]
        origin = f"{done.images} images, {markdown(done.data)}; the reference is {markdown(done.reference)}."
        heads = ["execution", f"logits unlike it, of {done.logits:,}", "same class (%)", "first differs at"]
        lines += ["", "## Executions", "", origin, "", *table(heads, sides)]
    mood = "bad" if found.exit_code else "good"
    facts = [
        Fact("can become hardware", "no" if found.exit_code else "yes", summary(found), mood),
        Fact("layers", str(len(found.rows)), f"input {found.input_type}"),
        Fact("findings", str(len(found.findings)), f"{len(found.errors)} of them errors"),
    ]
    save_page(path, found.model, facts, "\n".join(lines), path.parent)


def _unlike(side: Side) -> str:
    return "fails" if side.failed else "-" if side.logits_unequal is None else f"{side.logits_unequal:,}"


def _alike(side: Side) -> str:
    return "-" if side.agreement is None else f"{100 * side.agreement:.1f}"


def _where(side: Side) -> str:
    return markdown(str(side.failed or side.first or "nowhere"))


def layer_table(rows: tuple[LayerRow, ...]) -> Table:
    """Return the table of layers. A layer's input is the output of the one it reads."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("layer", overflow="fold", min_width=8)
    table.add_column("what it does", overflow="fold", min_width=14)
    for heading in ("weights\nand bias", "accumulator\nor output"):
        table.add_column(heading, no_wrap=True)
    table.add_column("\nzeros", justify="right", no_wrap=True)
    table.add_column("Keras'\nfloat32", no_wrap=True)
    for row in rows:
        refused = "red" if row.does == "refused" else ""
        table.add_row(
            Text(printable(row.layer), style=refused),
            Text(printable(row.does or row.keras), style=refused),
            "\n".join(part for part in (row.weight, row.bias) if part),
            short(row.output),
            "" if row.sparsity is None else f"{row.sparsity:.0%}",
            _float32(row),
        )
    return table


def short(kind: str) -> str:
    """Return a type without its modes, which the table has in another column."""
    head, *_ = kind.rstrip(">").split(",R")
    return head if head == kind else f"{head.split(',T')[0]}>"


def _float32(row: LayerRow) -> str:
    if row.float32 is None:
        return "[dim]?[/]"
    if not row.float32:
        return f"[yellow]no: {row.bits} bits[/]" if row.bits else "[yellow]not proved[/]"
    return f"[green]exact[/] [dim]{row.bits} bits[/]" if row.bits else "[green]exact[/]"


def show_finding(console: Console, one: Finding) -> None:
    """Print a finding: what was found, then what becomes of it."""
    where = f" {shown(one.layer)}" if one.layer else ""
    console.print(f"[{COLORS[one.severity]}]{one.severity} {one.code}[/][bold]{where}[/]: {shown(one.found)}")
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=11, justify="right", style="dim")
    grid.add_column(overflow="fold")
    for name, text in (("fpgaml", one.fpgaml), ("hls4ml", one.hls4ml), ("to mend it", one.mend)):
        if text not in ("nothing", "see the message", "depends on the case"):
            grid.add_row(name, shown(text))
    console.print(grid)


def show_simulation(console: Console, done: Simulation) -> None:
    """Print the executions side by side, and under them where each first differs, and why."""
    console.print(
        f"\n[bold]{done.images} images[/], {shown(done.data)}; {done.logits:,} logits; the reference is "
        f"{done.reference}\n"
    )
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("execution", no_wrap=True)
    for heading in ("logits unlike", *(("accuracy",) if done.labelled else ()), "same class"):
        table.add_column(heading, justify="right")
    table.add_column("first differs at", overflow="fold")
    for side in done.sides:
        table.add_row(*_cells(side, done))
    console.print(table)
    for side in done.sides:
        _show_details(console, side)


def _cells(side: Side, done: Simulation) -> list[str]:
    name = shown(side.name)
    if side.failed:
        accuracy = ["[red]none[/]"] if done.labelled else []
        return [name, "[red]none[/]", *accuracy, "[red]none[/]", "[red]fails[/]"]
    wrong = side.logits_unequal
    logits = "?" if wrong is None else f"{_color(wrong == 0)}{wrong:,} of {done.logits:,}[/]"
    accuracy = ["" if side.accuracy is None else f"{side.accuracy:.1%}"] if done.labelled else []
    agreement = "" if side.agreement is None else f"{_color(side.agreement == 1)}{side.agreement:.1%}[/]"
    return [name, logits, *accuracy, agreement, _first(side)]


def _first(side: Side) -> str:
    if side.first is not None:
        cause = f": {side.first.diagnosis.cause}" if side.first.diagnosis else ""
        return f"[red]{shown(side.first.layer + cause)}[/]"
    if side.agreement is not None and side.agreement < 1:
        return "[red]its output (the softmax)[/]"
    return "[green]nowhere[/]"


def _color(good: bool) -> str:
    return "[green]" if good else "[red]"


def _show_details(console: Console, side: Side) -> None:
    """Print how an execution was made, if hls4ml made it, and its first difference with examples."""
    if side.must_agree and side.first is None:
        return
    if side.call or side.first or side.failed:
        console.print(f"\n[bold]{shown(side.name)}[/]  [dim]{shown(side.call)}[/]", soft_wrap=True)
    if side.by_handlers:
        console.print("   for its converter fails, the same layers went to hls4ml's own handlers for Keras 2")
    if side.failed:
        console.print(f"   [red]{shown(side.failed)}[/]", soft_wrap=True)
    if side.first is None:
        return
    found = side.first
    size = "" if found.codes is None else f", by up to {found.codes:,g} units of the last place"
    console.print(f"   layer [bold]{shown(found.layer)}[/]: {found.count:,} of {found.total:,} values differ{size}")
    if found.diagnosis:
        console.print(f"   cause: [bold]{shown(found.diagnosis)}[/]", soft_wrap=True)
    examples = Table(box=None, header_style="dim", padding=(0, 2, 0, 0), pad_edge=False)
    for heading in ("   image", "channel", found.left, found.right):
        examples.add_column(heading, justify="right")
    for one in found.examples:
        examples.add_row(str(one.image), ", ".join(map(str, one.place)), f"{one.left!r}", f"{one.right!r}")
    console.print(examples)

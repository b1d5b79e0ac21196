"""What a person sees of a run: one line a step with its time, a bar while it works, a closing table."""

from __future__ import annotations

import json
import shlex
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from fpgaml.cli.console import shown
from fpgaml.runs.workspace import Workspace


class _Done(ProgressColumn):
    """How much of a step is done, once it is known of how much."""

    def render(self, task: Task) -> Text:
        """Return e.g. "3/32"; nothing for a step that does not count."""
        return Text("" if task.total is None else f"{int(task.completed)}/{int(task.total)}", style="progress.download")


class StepLines:
    """A listener that prints; use it as a context manager."""

    def __init__(self, console: Console, *, quiet: bool = False, verbose: bool = False) -> None:
        self.console, self.quiet, self.verbose = console, quiet, verbose
        self._bar = Progress(
            SpinnerColumn(), TextColumn("{task.description:<9}"), BarColumn(28), _Done(),
            TextColumn("{task.fields[text]}", markup=False), TimeElapsedColumn(),
            console=console, transient=True, disable=quiet or not console.is_terminal,
        )  # fmt: skip
        self._task: Any = None

    def __enter__(self) -> StepLines:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def started(self, step: str) -> None:
        """Open a bar for a step; without a terminal, say that it begins."""
        self._task = self._bar.add_task(step, total=None, text="")
        if not self.quiet and not self.console.is_terminal:
            self.console.print(f"[dim]{step} ...[/]")

    def progress(self, done: int, total: int, text: str) -> None:
        """Move the bar."""
        if self._task is not None:
            self._bar.update(self._task, completed=done, total=total, text=text)

    def finished(self, step: str, seconds: float, summary: str, skipped: bool) -> None:
        """Print a step's line."""
        if self._task is not None:
            self._bar.remove_task(self._task)
            self._task = None
        if self.quiet:
            return
        time = "unchanged" if skipped else f"{seconds:.1f} s"
        line = Table.grid(padding=(0, 1))
        for width in (1, 9, 9):
            line.add_column(width=width, no_wrap=True)
        line.add_column()  # what was found wraps at words, below itself
        line.add_row("[green]✓[/]", step, f"[dim]{time}[/]" if skipped else f"{time:>9}", f" {shown(summary)}")
        self.console.print(line)
        if self.verbose:
            self.console.print(f"  [dim]logs/{step}.log[/]")


def closing_table(console: Console, workspace: Workspace) -> None:
    """Print the comparison of a finished run and where its report is."""
    record = json.loads((workspace / "report.json").read_text(encoding="utf-8"))
    comparison = record["comparison"]
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("execution")
    for heading in ("accuracy", "same class as float", "logits unlike C simulation"):
        table.add_column(heading, justify="right")
    for entry in comparison["executions"]:
        wrong = entry["mismatching_logits"]
        table.add_row(
            shown(entry["name"]),
            f"{entry['accuracy']:.2%}",
            f"{entry['agreement_with_float']:.2%}",
            "-" if wrong is None else f"{wrong:,} of {comparison['logits']:,}",
        )
    console.print()
    if record["note"]:
        console.print(f"[bold yellow]{shown(record['note'])}[/]\n")
    console.print(table)
    console.print(f"\nreport: {shown(workspace / 'report.html')}", soft_wrap=True)
    run = shlex.quote(str(workspace.folder))
    next_commands(
        console,
        (f"board {run}", "a package for the card's board, with its driver and test vectors"),
        (f"fit {run}", "reuse factors that fit the board, or a latency"),
        (f"profile {run}", "what the numbers do, and the types that fit them"),
        (f"export {run}", "one zip for a machine with the vendor's tools"),
    )


def next_commands(console: Console, *lines: tuple[str, str]) -> None:
    """Print what may be done next, each with what it gives."""
    for number, (line, what) in enumerate(lines):
        console.print(f"{'next:' if number == 0 else '':<8}fpgaml {shown(line)}  [dim]{what}[/]", soft_wrap=True)


def run_record(workspace: Workspace, finished: bool) -> dict[str, Any]:
    """Return what a run found as JSON-ready data: its steps, and the comparison if it came to it."""
    record = {"run": str(workspace.folder), "steps": workspace.state}
    if not finished:
        return record
    report = json.loads((workspace / "report.json").read_text(encoding="utf-8"))
    return record | {key: report[key] for key in ("note", "comparison", "estimate")}

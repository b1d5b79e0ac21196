"""What a person sees of a run: one line a step with its time, a bar while it works, a closing table."""

from __future__ import annotations

import json
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from fpgaml.runs.workspace import Workspace


class StepLines:
    """A listener that prints; use it as a context manager."""

    def __init__(self, console: Console, *, quiet: bool = False, verbose: bool = False) -> None:
        self.console, self.quiet, self.verbose = console, quiet, verbose
        self._bar = Progress(
            SpinnerColumn(), TextColumn("{task.description:<9}"), BarColumn(28), MofNCompleteColumn(),
            TextColumn("{task.fields[text]}"), TimeElapsedColumn(),
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
        time = "[dim]unchanged[/]" if skipped else f"{seconds:7.1f} s"
        self.console.print(f"[green]✓[/] {step:<9} {time:>9}  {summary}", soft_wrap=True)
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
            entry["name"],
            f"{entry['accuracy']:.2%}",
            f"{entry['agreement_with_float']:.2%}",
            "-" if wrong is None else f"{wrong:,} of {comparison['logits']:,}",
        )
    console.print()
    if record["note"]:
        console.print(f"[bold yellow]{record['note']}[/]\n")
    console.print(table)
    console.print(f"\nreport: {workspace / 'report.md'}", soft_wrap=True)

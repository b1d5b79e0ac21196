"""The command `fpgaml run`: the main job."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fpgaml.cli.console import Card, Commands, out


def run(
    card: Card,
    first: Annotated[
        str | None, typer.Option("--from", help="Begin with this step, done anew.", metavar="STEP")
    ] = None,
    last: Annotated[str | None, typer.Option("--to", help="End with this step.", metavar="STEP")] = None,
    force: Annotated[bool, typer.Option("--force", help="Do every step, changed or not.")] = False,
    fast: Annotated[
        bool, typer.Option("--fast", help="A first result in seconds: few epochs, as <name>_fast.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for runs, instead of the card's.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say where each log is.")] = False,
) -> None:
    """Do the main job: train, quantize, profile, convert, csim, compare, report."""
    from fpgaml.card.changes import hurried
    from fpgaml.card.toml import load_card
    from fpgaml.cli.show_run import StepLines, closing_table
    from fpgaml.flow import steps

    read = hurried(load_card(card)) if fast else load_card(card)
    with StepLines(out, quiet=quiet, verbose=verbose) as listener:
        workspace = steps.run(read, base=output, first=first, last=last, force=force, listener=listener)
    if not quiet and (workspace / "report.json").is_file() and last in (None, "report"):
        closing_table(out, workspace)


COMMANDS = Commands("The main job", {"run": run})

"""The command `fpgaml run`: the main job."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from fpgaml.cli.console import (
    BoardsFile,
    Card,
    Commands,
    DataOption,
    JsonOption,
    LabelOption,
    RunsFolder,
    TestOption,
    base_of,
    given,
    out,
    print_json,
)

if TYPE_CHECKING:
    from fpgaml.cli.show_run import StepLines
    from fpgaml.flow.certified import Certified
    from fpgaml.runs.workspace import Workspace


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
    prove: Annotated[
        bool, typer.Option("--prove", help="Prove the C++ equal for every input too, as fpgaml prove does.")
    ] = False,
    output: RunsFolder = None,
    data: DataOption = None,
    label: LabelOption = None,
    test: TestOption = None,
    boards_file: BoardsFile = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say where each log is.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Do the main job: train, quantize, profile, convert, csim, compare, report."""
    from fpgaml.card.changes import hurried
    from fpgaml.card.toml import load_card
    from fpgaml.cli.show_run import StepLines, closing_table, run_record
    from fpgaml.datasets.sources import with_data
    from fpgaml.flow import steps

    read = with_data(load_card(card), given(data, label, test))
    read = hurried(read) if fast else read
    quiet = quiet or as_json
    with StepLines(out, quiet=quiet, verbose=verbose) as listener:
        base = base_of(card, output)
        workspace = steps.run(read, base=base, first=first, last=last, force=force, listener=listener)
        found = _proof(workspace, listener) if prove else None
    finished = (workspace / "report.json").is_file() and last in (None, "report")
    if as_json:
        print_json(run_record(workspace, finished))
    elif not quiet and finished:
        closing_table(out, workspace)
    if found is not None and not found.certificate.proved:
        raise typer.Exit(1)


def _proof(workspace: Workspace, listener: StepLines) -> Certified:
    """Prove the project of a run, as a line among those of its steps."""
    from fpgaml.flow.certified import certify

    start = time.perf_counter()
    listener.started("prove")
    found = certify(workspace.folder)
    listener.finished("prove", time.perf_counter() - start, found.certificate.sentence, skipped=False)
    return found


COMMANDS = Commands("The main job", {"run": run})

"""The command line: parse, call one function, print.

Exit codes: 0 done; 1 the result is not what it must be (a mismatch, doctor finds the main job cannot run);
2 the input or the environment is wrong; 130 interrupted.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fpgaml import cli_learn
from fpgaml.errors import BitMismatch, ConversionMismatch, FpgamlError

app = typer.Typer(
    help="Quantized neural networks on FPGAs, proved bit for bit before synthesis.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
cli_learn.add_to(app)
out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

Card = Annotated[Path, typer.Argument(help="Run card, e.g. models/mnist_mlp.toml", show_default=False)]


def main() -> None:
    """Run the command line; every error of ours is one message and an exit code."""
    try:
        code = app(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except (BitMismatch, ConversionMismatch) as error:
        err.print(f"[bold red]mismatch:[/] {escape(str(error))}", soft_wrap=True)
        sys.exit(1)
    except FpgamlError as error:
        err.print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True)
        sys.exit(2)
    except KeyboardInterrupt:
        err.print("[yellow]interrupted;[/] what was finished is kept: run the same command again to go on")
        sys.exit(130)
    except typer.Abort:
        sys.exit(130)
    except Exception as error:  # typer's own usage errors know how to show themselves
        show = getattr(error, "show", None)
        if show is None:
            raise
        show()
        sys.exit(2)


@app.command()
def run(
    card: Card,
    first: Annotated[
        str | None, typer.Option("--from", help="Begin with this step, done anew.", metavar="STEP")
    ] = None,
    last: Annotated[str | None, typer.Option("--to", help="End with this step.", metavar="STEP")] = None,
    force: Annotated[bool, typer.Option("--force", help="Do every step, changed or not.")] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for runs, instead of the card's.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say where each log is.")] = False,
) -> None:
    """Do the main job: train, quantize, profile, convert, csim, compare, report."""
    from fpgaml import pipeline
    from fpgaml.runcard import load_card
    from fpgaml.show import StepLines, closing_table

    read = load_card(card)
    with StepLines(out, quiet=quiet, verbose=verbose) as listener:
        workspace = pipeline.run(read, base=output, first=first, last=last, force=force, listener=listener)
    if not quiet and (workspace / "report.json").is_file() and last in (None, "report"):
        closing_table(out, workspace)


Thing = Annotated[str, typer.Argument(help="Run card, run folder, network.npz or Keras model", show_default=False)]
BoardOption = Annotated[str | None, typer.Option("--board", help="Board, instead of the card's; see fpgaml boards.")]
PartOption = Annotated[str | None, typer.Option("--part", help="FPGA part, instead of the board's.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def estimate(thing: Thing, board: BoardOption = None, part: PartOption = None, as_json: JsonOption = False) -> None:
    """Estimate latency and resources before synthesis, with 80 % ranges."""
    from fpgaml import target
    from fpgaml.boards import find_part
    from fpgaml.design import check_design
    from fpgaml.estimate import estimate as estimated
    from fpgaml.estimate import show

    found = target.find(thing)
    design = target.design_of(found, board=board, part=part)
    check_design(found.network, design)
    if as_json:
        from fpgaml.report.estimates import estimate_record

        _print_json(estimate_record(found.network, design, (found.run or Path()) / "hls"))
        return
    result = estimated(found.network, design, find_part(design.part))
    out.print(f"[dim]{escape(found.origin)}[/]")
    out.print(show.estimate_table(result))
    out.print()
    out.print(show.design_table(result))


@app.command()
def fit(
    thing: Thing,
    board: BoardOption = None,
    part: PartOption = None,
    latency_us: Annotated[
        float | None, typer.Option("--latency-us", help="Latency budget in microseconds.", min=0)
    ] = None,
) -> None:
    """Find the smallest reuse factors that fit a board, or the cheapest design within a latency."""
    from fpgaml import target
    from fpgaml.boards import find_part
    from fpgaml.estimate import fit as fitted
    from fpgaml.estimate import show

    found = target.find(thing)
    design = target.design_of(found, board=board, part=part)
    proposals = fitted(found.network, design, find_part(design.part), latency_us)
    out.print(f"[dim]{escape(found.origin)}[/]")
    if not proposals:
        limit = "" if latency_us is None else f" within {latency_us:g} µs"
        out.print(
            f"no valid reuse factors make this network fit {design.part}{limit}; use fewer bits, or a larger part"
        )
        raise typer.Exit(1)
    out.print(show.proposals_table(proposals))


@app.command()
def boards(
    extra: Annotated[Path | None, typer.Option("--file", help="A TOML file with boards of your own.")] = None,
    sources: Annotated[bool, typer.Option("--sources", help="Say where each figure is from.")] = False,
) -> None:
    """List boards and what their parts hold."""
    from fpgaml.boards import catalogue
    from fpgaml.estimate.show import boards_table

    out.print(boards_table(catalogue(extra).boards.values(), sources=sources))


@app.command()
def doctor() -> None:
    """Show what this machine has, what is missing, and what each thing would add."""
    from fpgaml.doctor import examine

    findings = examine()
    table = Table(box=None, pad_edge=False)
    for heading in ("", "name", "version", "for"):
        table.add_column(heading)
    for found in findings:
        mark = "[green]ok[/]" if found.version else ("[red]missing[/]" if found.needed else "[dim]not found[/]")
        table.add_row(mark, found.name, found.version or "", found.adds)
    out.print(table)
    stops = [found for found in findings if found.stops]
    for found in stops:
        err.print(f"[bold red]{found.name}:[/] {escape(found.remedy)}", soft_wrap=True)
    out.print("the main job can run" if not stops else "the main job cannot run")
    if stops:
        raise typer.Exit(1)


def _print_json(record: object) -> None:
    import json

    sys.stdout.write(json.dumps(record, indent=1) + "\n")

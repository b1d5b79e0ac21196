"""The commands about cost before synthesis: `fpgaml estimate`, `fit` and `boards`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from fpgaml.cli.console import Commands, JsonOption, out, print_json

Thing = Annotated[str, typer.Argument(help="Run card, run folder, network.npz or Keras model", show_default=False)]
BoardOption = Annotated[str | None, typer.Option("--board", help="Board, instead of the card's; see fpgaml boards.")]
PartOption = Annotated[str | None, typer.Option("--part", help="FPGA part, instead of the board's.")]


def estimate(thing: Thing, board: BoardOption = None, part: PartOption = None, as_json: JsonOption = False) -> None:
    """Estimate latency and resources before synthesis, with 80 % ranges."""
    from fpgaml.estimate import estimate as estimated
    from fpgaml.estimate import tables
    from fpgaml.runs import opener
    from fpgaml.target.boards import find_part
    from fpgaml.target.design import check_design

    found = opener.find(thing)
    design = opener.design_of(found, board=board, part=part)
    check_design(found.network, design)
    if as_json:
        from fpgaml.report.estimates import estimate_record

        print_json(estimate_record(found.network, design, (found.run or Path()) / "hls"))
        return
    result = estimated(found.network, design, find_part(design.part))
    out.print(f"[dim]{escape(found.origin)}[/]")
    out.print(tables.estimate_table(result))
    out.print()
    out.print(tables.design_table(result))


def fit(
    thing: Thing,
    board: BoardOption = None,
    part: PartOption = None,
    latency_us: Annotated[
        float | None, typer.Option("--latency-us", help="Latency budget in microseconds.", min=0)
    ] = None,
) -> None:
    """Find the smallest reuse factors that fit a board, or the cheapest design within a latency."""
    from fpgaml.estimate import fit as fitted
    from fpgaml.estimate import tables
    from fpgaml.runs import opener
    from fpgaml.target.boards import find_part

    found = opener.find(thing)
    design = opener.design_of(found, board=board, part=part)
    proposals = fitted(found.network, design, find_part(design.part), latency_us)
    out.print(f"[dim]{escape(found.origin)}[/]")
    if not proposals:
        limit = "" if latency_us is None else f" within {latency_us:g} µs"
        out.print(
            f"no valid reuse factors make this network fit {design.part}{limit}; use fewer bits, or a larger part"
        )
        raise typer.Exit(1)
    out.print(tables.proposals_table(proposals))


def boards(
    extra: Annotated[Path | None, typer.Option("--file", help="A TOML file with boards of your own.")] = None,
    sources: Annotated[bool, typer.Option("--sources", help="Say where each figure is from.")] = False,
) -> None:
    """List boards and what their parts hold."""
    from fpgaml.estimate.tables import boards_table
    from fpgaml.target.boards import catalogue

    out.print(boards_table(catalogue(extra).boards.values(), sources=sources))


COMMANDS = Commands("Cost", {"estimate": estimate, "fit": fit, "boards": boards})

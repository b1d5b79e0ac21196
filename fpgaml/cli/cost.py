"""The commands about cost before synthesis: `fpgaml estimate`, `fit` and `boards`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from fpgaml.cli.console import BoardOption, BoardsFile, Commands, JsonOption, PartOption, Thing, out, print_json, shown


def estimate(
    thing: Thing,
    board: BoardOption = None,
    part: PartOption = None,
    boards_file: BoardsFile = None,
    as_json: JsonOption = False,
) -> None:
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
    out.print(f"[dim]{shown(found.origin)}[/]")
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
    boards_file: BoardsFile = None,
    as_json: JsonOption = False,
) -> None:
    """Find the smallest reuse factors that fit a board, or the cheapest design within a latency."""
    from fpgaml.estimate import fit as fitted
    from fpgaml.estimate import tables
    from fpgaml.runs import opener
    from fpgaml.target.boards import find_part

    found = opener.find(thing)
    design = opener.design_of(found, board=board, part=part)
    proposals = fitted(found.network, design, find_part(design.part), latency_us)
    if as_json:
        print_json([tables.proposal_record(one) for one in proposals])
        raise typer.Exit(0 if proposals else 1)
    out.print(f"[dim]{shown(found.origin)}[/]")
    if not proposals:
        limit = "" if latency_us is None else f" within {latency_us:g} µs"
        out.print(
            f"no valid reuse factors make this network fit {design.part}{limit}; use fewer bits, or a larger part"
        )
        raise typer.Exit(1)
    out.print(tables.proposals_table(proposals))


def boards(
    boards_file: BoardsFile = None,
    sources: Annotated[bool, typer.Option("--sources", help="Say where each figure is from.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List boards and what their parts hold."""
    from fpgaml.estimate.tables import boards_table
    from fpgaml.target.boards import catalogue

    known = catalogue().boards.values()
    if as_json:
        print_json([asdict(board) for board in known])
        return
    out.print(boards_table(known, sources=sources))


COMMANDS = Commands("Cost", {"estimate": estimate, "fit": fit, "boards": boards})

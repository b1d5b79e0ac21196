"""The commands about pages: `fpgaml view` and `fpgaml diff`."""

from __future__ import annotations

import os
import sys
import webbrowser
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from fpgaml.cli.console import Commands, JsonOption, Run, out, print_json, shown, wide


def view(
    run: Annotated[
        Path | None,
        typer.Argument(metavar="[RUN]", help="Folder of a run; without it, all runs of a folder", show_default=False),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of all runs.")] = Path("hls_projects"),
    as_json: JsonOption = False,
) -> None:
    """Open the page of a run in a browser, or a page of all runs; where there is no display, print where it is."""
    from fpgaml.report.overview import found_runs, overview_page, page_of, rows_record

    if as_json:
        print_json(rows_record(found_runs(run.parent if run else output)))
        return
    path = (overview_page(output) if run is None else page_of(run)).resolve()
    display = sys.platform in ("win32", "darwin") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    opened = bool(display) and webbrowser.open(path.as_uri())
    out.print(f"{'opened' if opened else 'page'}: {shown(path)}", soft_wrap=True)


def diff(
    left: Run,
    right: Annotated[Path, typer.Argument(metavar="RUN", help="Another run", show_default=False)],
    page: Annotated[Path | None, typer.Option("--page", help="Write it as a page, with the figures of both.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what differs between two runs: card first, then data and versions, then results."""
    from fpgaml.report.overview import difference, difference_page, rows_record

    found = difference(left, right)
    if page is not None:
        difference_page(left, right, page)
    if as_json:
        print_json(rows_record(found))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("", left.name, right.name):
        table.add_column(shown(heading), overflow="fold")
    group = ""
    for one in found:
        if one.group != group:
            group = one.group
            table.add_row(f"[bold]{group}[/]", "", "")
        table.add_row(*(shown(text) for text in (f"  {one.what}", one.left, one.right)))
    wide(100).print(table if found else f"{left} and {right} differ in nothing that they recorded", soft_wrap=not found)
    if page is not None:
        out.print(f"page: {shown(page)}", soft_wrap=True)


COMMANDS = Commands("Pages", {"view": view, "diff": diff})

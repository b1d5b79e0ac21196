"""The commands about the project: `fpgaml simulate`, `prove`, `synth`, `export`, `import-reports` and `board`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from fpgaml.cli.console import (
    BoardOption,
    BoardsFile,
    Commands,
    DataOption,
    JsonOption,
    LabelOption,
    Run,
    TestOption,
    Thing,
    err,
    given,
    out,
    print_json,
    shown,
)

if TYPE_CHECKING:
    from fpgaml.flow.deploy import Row
    from fpgaml.runs.opener import Run as OpenRun
    from fpgaml.target.reports import Report


def simulate(
    run: Run,
    testbench: Annotated[
        bool, typer.Option("--testbench", help="Run the project's own test benches on the golden vectors.")
    ] = False,
    images: Annotated[int | None, typer.Option("--images", help="Simulate at most this many.", min=1)] = None,
    data: DataOption = None,
    label: LabelOption = None,
    test: TestOption = None,
) -> None:
    """Run the C++ of a run's project with g++, and hold it against the emulator, bit for bit."""
    from fpgaml.flow import deploy
    from fpgaml.runs import opener

    found = opener.open_run(run, given=given(data, label, test))
    for verdict in deploy.test(found) if testbench else [deploy.simulate(found, images)]:
        out.print(shown(verdict))


def prove(
    thing: Thing,
    backend: Annotated[str | None, typer.Option("--backend", help="Vitis or Vivado, instead of the card's.")] = None,
    io_type: Annotated[str | None, typer.Option("--io-type", help="io_parallel or io_stream.")] = None,
    strategy: Annotated[str | None, typer.Option("--strategy", help="latency, resource, ...")] = None,
    reuse_factor: Annotated[int | None, typer.Option("--reuse-factor", help="Products a multiplier makes.")] = None,
    outputs: Annotated[str | None, typer.Option("--outputs", help="logits, argmax or softmax.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the certificate (JSON) here.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Prove that the C++ computes the network for every input there is, or say of which layers that is not known."""
    from fpgaml.cli.show_proof import show_proof
    from fpgaml.flow.certified import certify

    design = {"backend": backend, "io_type": io_type, "strategy": strategy, "reuse_factor": reuse_factor,
              "output": outputs}  # fmt: skip
    with out.status("opening") as status:
        if as_json:
            status.stop()
        tell = (lambda _: None) if as_json else status.update
        given_design = {key: value for key, value in design.items() if value is not None}
        found = certify(thing, design=given_design, output=output, tell=tell)
    if as_json:
        print_json(found.certificate.record())
    else:
        show_proof(out, found)
    if not found.certificate.proved:
        raise typer.Exit(1)


def synth(
    run: Run,
    csim: Annotated[bool, typer.Option("--csim", help="C simulation in the vendor's tool.")] = False,
    csynth: Annotated[bool, typer.Option("--csynth", help="C synthesis.")] = False,
    cosim: Annotated[bool, typer.Option("--cosim", help="Cosimulation of the Verilog.")] = False,
    export: Annotated[bool, typer.Option("--export", help="Export the IP.")] = False,
    vivado: Annotated[bool, typer.Option("--vivado", help="Logic synthesis, out of context.")] = False,
    wrapper: Annotated[str | None, typer.Option(help="Synthesize a wrapper: axi or lite.", show_default=False)] = None,
    tool: Annotated[Path | None, typer.Option(help="The HLS program, or the folder it is in.")] = None,
    timeout: Annotated[float | None, typer.Option(help="Minutes each program may take.")] = None,
    board: BoardOption = None,
    boards_file: BoardsFile = None,
    as_json: JsonOption = False,
) -> None:
    """Run the vendor's tools on a run's project, and show what they measured beside the estimate.

    Without a choice of steps: csim and csynth.
    """
    from fpgaml.errors import ConfigError
    from fpgaml.flow import deploy
    from fpgaml.project.axi import Wrapper
    from fpgaml.runs import opener
    from fpgaml.target.toolchain import ToolStep

    chosen = {
        ToolStep.CSIM: csim,
        ToolStep.CSYNTH: csynth,
        ToolStep.COSIM: cosim,
        ToolStep.EXPORT: export,
        ToolStep.VIVADO: vivado,
    }
    steps = [step for step, wanted in chosen.items() if wanted] or [ToolStep.CSIM, ToolStep.CSYNTH]
    if wrapper is not None and wrapper not in list(Wrapper):
        raise ConfigError(f"wrapper must be {' or '.join(Wrapper)}, not {wrapper!r}")
    kind = Wrapper(wrapper) if wrapper else None
    opened = deploy.for_board(opener.open_run(run, board))
    with out.status("starting") as status:
        found = deploy.synthesize(
            opened,
            steps,
            tool=tool,
            wrapper=kind,
            timeout_s=None if timeout is None else 60 * timeout,
            progress=lambda line: status.update(shown(line[:100])),
        )
    if not as_json:
        out.print(f"done: {', '.join(steps)}; logs in {shown(opened.folder / 'synth')}", soft_wrap=True)
    _show(opened, found, as_json=as_json)


def export(
    run: Run,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The zip to write.", show_default=False)] = None,
    board: BoardOption = None,
) -> None:
    """Write a run's project into one zip that is complete, reproducible and tests itself with g++ alone."""
    from fpgaml.flow import deploy
    from fpgaml.runs import opener

    opened = deploy.for_board(opener.open_run(run, board))
    target = output or Path(f"{opened.card.name}.zip")
    names = deploy.export_run(opened, target)
    out.print(f"{shown(target)}: {len(names)} files, {target.stat().st_size / 1e6:.1f} MB; unzip and `make test`")


def import_reports(
    run: Run,
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="csynth.xml, *_cosim.rpt, vivado_synth.rpt, vivado_timing.rpt"),
    ],
    as_is: Annotated[
        bool, typer.Option("--as-is", help="Take reports of any project, part and clock, with a warning.")
    ] = False,
    board: BoardOption = None,
    boards_file: BoardsFile = None,
    as_json: JsonOption = False,
) -> None:
    """Bring reports of another machine home, and show them beside the estimate."""
    from fpgaml.flow import deploy
    from fpgaml.runs import opener

    opened = deploy.for_board(opener.open_run(run, board))
    found, warnings = deploy.import_files(opened, files, as_is=as_is)
    for warning in warnings:
        err.print(f"[yellow]warning:[/] {shown(warning)}", soft_wrap=True)
    _show(opened, found, as_json=as_json)


def board(run: Run, name: BoardOption = None, boards_file: BoardsFile = None) -> None:
    """Write a board package: Vivado scripts, PYNQ driver, bare-metal program, raw golden rows."""
    from fpgaml.flow import deploy
    from fpgaml.runs import opener

    opened = deploy.for_board(opener.open_run(run, name))
    folder, warnings = deploy.pack(opened)
    for warning in warnings:
        out.print(f"[yellow]warning:[/] {shown(warning)}", soft_wrap=True)
    if opened.place != opened.folder:
        out.print(f"{shown(opened.project)}: the same C++, made again for {opened.design.part}", soft_wrap=True)
    out.print(f"{shown(folder)}: begin with README.md", soft_wrap=True)


def _show(run: OpenRun, found: Sequence[Report], *, as_json: bool = False) -> None:
    from fpgaml.flow import deploy

    rows: list[Row] = deploy.beside(run, found)
    if as_json:
        print_json([row.record() for row in rows])
        return
    if not rows:
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("metric", "estimate", "measured", "by"):
        table.add_column(heading)
    for row in rows:
        guess = "" if row.estimated is None else str(row.estimated)
        table.add_row(row.metric, guess, str(row.measured), shown(f"{row.measured.source} ({row.measured.tool})"))
    out.print(table)


COMMANDS = Commands(
    "The project, vendor tools and boards",
    {
        "simulate": simulate,
        "prove": prove,
        "synth": synth,
        "export": export,
        "import-reports": import_reports,
        "board": board,
    },
)

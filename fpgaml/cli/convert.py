"""The command `fpgaml convert`: parse, call one function, print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from fpgaml.ir.fixed import PIXEL, FixedPoint

if TYPE_CHECKING:
    from fpgaml.flow.foreign import Conversion

out = Console(highlight=False)


def add_to(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(name="convert", rich_help_panel="Models made elsewhere")(convert)


def convert(
    model: Annotated[Path, typer.Argument(help="QKeras model (.keras, .h5), or network.npz", show_default=False)],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for runs, instead of hls_projects.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Of the run; else made from the file's name.")] = None,
    data: Annotated[Path | None, typer.Option("--data", help="Images as .npy, or .npz with x_test and y_test.")] = None,
    input_type: Annotated[
        str | None, typer.Option("--input-type", help=f"The input's fixed-point type, instead of {PIXEL}.")
    ] = None,
    input_scale: Annotated[
        str | None, typer.Option("--input-scale", help="What raw integers are multiplied by, e.g. 1/255.")
    ] = None,
    scale_bits: Annotated[
        int | None, typer.Option("--scale-bits", help="Round what is on no grid to this many bits.")
    ] = None,
    board: Annotated[str | None, typer.Option("--board", help="See fpgaml boards.")] = None,
    backend: Annotated[str | None, typer.Option("--backend", help="Vitis or Vivado.")] = None,
    io_type: Annotated[str | None, typer.Option("--io-type", help="io_parallel or io_stream.")] = None,
    strategy: Annotated[
        str | None,
        typer.Option("--strategy", help="latency, resource, resource_unrolled or distributed_arithmetic."),
    ] = None,
    reuse_factor: Annotated[int | None, typer.Option("--reuse-factor", help="Products a multiplier makes.")] = None,
    outputs: Annotated[str | None, typer.Option("--outputs", help="logits, argmax or softmax.")] = None,
) -> None:
    """Make a proved HLS project of a quantized model made elsewhere, in a run's folder."""
    from fpgaml.cli.show_run import StepLines
    from fpgaml.flow.foreign import convert_model

    design: dict[str, Any] = {
        "board": board, "backend": backend, "io_type": io_type, "strategy": strategy, "reuse_factor": reuse_factor,
        "output": outputs,
    }  # fmt: skip
    with StepLines(out) as listener:
        made = convert_model(
            model,
            name=name,
            data=data,
            input_type=None if input_type is None else FixedPoint.parse(input_type),
            input_scale=input_scale,
            scale_bits=scale_bits,
            design={key: value for key, value in design.items() if value is not None},
            base=output,
            listener=listener,
        )
    _show(made)


def _show(made: Conversion) -> None:
    """Print what became of the model, what was not taken as it is, and what to do next."""
    out.print()
    for note in made.notes:
        out.print(f"[yellow]note:[/] {escape(note)}", soft_wrap=True)
    accuracy = "" if made.accuracy is None else f", accuracy {made.accuracy:.2%}"
    out.print(f"{made.network.name}: {made.images:,} images ({escape(made.data)}){accuracy}", soft_wrap=True)
    if made.head is not None:
        right = "" if made.head["correct"] is None else f", accuracy {made.head['correct']:.2%}"
        changed = f"the class of {made.head['changed']:,} of {made.images:,} images changes"
        out.print(f"behind the logits, {made.head['output']}: {changed}{right}", soft_wrap=True)
    out.print(f"[green]✓[/] {escape(made.summary)}", soft_wrap=True)
    run = escape(str(made.folder))
    out.print(f"\nproject: {run}/hls, begin with README.md", soft_wrap=True)
    for line, what in (
        ("simulate {} --testbench", "the project's own test benches"),
        ("estimate {}", "latency and resources before synthesis"),
        ("board {}", "a board package"),
        ("export {}", "one zip for a machine with the vendor's tools"),
    ):
        out.print(f"next:    fpgaml {line.format(run)}  [dim]{what}[/]", soft_wrap=True)

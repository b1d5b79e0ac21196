"""The commands about models made elsewhere: `fpgaml audit` and `convert`."""

from __future__ import annotations

import shlex
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fpgaml.cli.console import (
    BoardOption,
    BoardsFile,
    Commands,
    DataOption,
    JsonOption,
    LabelOption,
    PartOption,
    RunsFolder,
    ScaleOption,
    TypeOption,
    out,
    print_json,
    shown,
)
from fpgaml.datasets.proof_images import IMAGES
from fpgaml.ir.fixed import FixedPoint
from fpgaml.target.noise import keras_noise

if TYPE_CHECKING:
    from fpgaml.flow.foreign import Conversion

ScaleBitsOption = Annotated[
    int | None,
    typer.Option("--scale-bits", help="Bits of scales on no grid; else the fewest for which none differs."),
]


WeightsOption = Annotated[
    Path | None,
    typer.Option("--weights", help="The file of the weights of a model that is a .json.", show_default=False),
]


def audit_model(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="Keras or QKeras model, .keras or .h5", show_default=False)
    ],
    weights: WeightsOption = None,
    data: DataOption = None,
    label: LabelOption = None,
    input_type: TypeOption = None,
    input_scale: ScaleOption = None,
    scale_bits: ScaleBitsOption = None,
    images: Annotated[int, typer.Option("--images", help="Simulate at most this many.", min=1)] = IMAGES,
    no_simulate: Annotated[bool, typer.Option("--no-simulate", help="Table and findings only: no g++.")] = False,
    against_hls4ml: Annotated[
        bool, typer.Option("--against-hls4ml", help="Convert it with hls4ml's defaults too, side by side.")
    ] = False,
    page: Annotated[Path | None, typer.Option("--page", help="Write it as a page too.", show_default=False)] = None,
    as_json: JsonOption = False,
) -> None:
    """Say what each layer really does, every trap in it, and whether hardware agrees bit for bit."""
    from fpgaml.audit.audit import audit
    from fpgaml.cli.show_audit import audit_page, show_audit

    options: dict[str, Any] = {
        "weights": weights,
        "data": data,
        "label": label,
        "input_type": None if input_type is None else FixedPoint.parse(input_type),
        "input_scale": input_scale,
        "scale_bits": scale_bits,
        "images": images,
        "simulate": not no_simulate or against_hls4ml,
        "against_hls4ml": against_hls4ml,
    }
    with tempfile.TemporaryDirectory() as folder, out.status("reading the model") as status:
        tell = (lambda _: None) if as_json else status.update
        if as_json:
            status.stop()
        with keras_noise(Path(folder) / "log"):
            found = audit(model, progress=tell, **options)
    if as_json:
        print_json(found.record())
    else:
        show_audit(out, found)
    if page is not None:
        audit_page(found, page)
    if found.exit_code:
        raise typer.Exit(found.exit_code)


def convert(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="QKeras model (.keras, .h5), or network.npz", show_default=False)
    ],
    output: RunsFolder = None,
    name: Annotated[str | None, typer.Option("--name", help="Of the run; else made from the file's name.")] = None,
    weights: WeightsOption = None,
    data: DataOption = None,
    label: LabelOption = None,
    input_type: TypeOption = None,
    input_scale: ScaleOption = None,
    scale_bits: ScaleBitsOption = None,
    board: BoardOption = None,
    part: PartOption = None,
    boards_file: BoardsFile = None,
    backend: Annotated[str | None, typer.Option("--backend", help="Vitis or Vivado.")] = None,
    io_type: Annotated[str | None, typer.Option("--io-type", help="io_parallel or io_stream.")] = None,
    strategy: Annotated[
        str | None,
        typer.Option("--strategy", help="latency, resource, resource_unrolled or distributed_arithmetic."),
    ] = None,
    reuse_factor: Annotated[int | None, typer.Option("--reuse-factor", help="Products a multiplier makes.")] = None,
    outputs: Annotated[str | None, typer.Option("--outputs", help="logits, argmax or softmax.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a proved HLS project of a quantized model made elsewhere, in a run's folder."""
    from fpgaml.cli.show_run import StepLines
    from fpgaml.flow.foreign import convert_model

    design: dict[str, Any] = {
        "board": board, "part": part, "backend": backend, "io_type": io_type, "strategy": strategy,
        "reuse_factor": reuse_factor, "output": outputs,
    }  # fmt: skip
    with StepLines(out, quiet=as_json) as listener:
        made = convert_model(
            model,
            name=name,
            weights=weights,
            data=data,
            label=label,
            input_type=None if input_type is None else FixedPoint.parse(input_type),
            input_scale=input_scale,
            scale_bits=scale_bits,
            design={key: value for key, value in design.items() if value is not None},
            base=output,
            listener=listener,
        )
    if as_json:
        record = {key: value for key, value in vars(made).items() if key != "network"}
        print_json(record | {"folder": str(made.folder), "name": made.network.name})
    else:
        _show(made)


def _show(made: Conversion) -> None:
    """Print what became of the model, what was not taken as it is, and what to do next."""
    from fpgaml.cli.show_run import next_commands

    out.print()
    for note in made.notes:
        out.print(f"[yellow]note:[/] {shown(note)}", soft_wrap=True)
    accuracy = "" if made.accuracy is None else f", accuracy {made.accuracy:.2%}"
    out.print(f"{made.network.name}: {made.images:,} images ({shown(made.data)}){accuracy}", soft_wrap=True)
    if made.head is not None:
        right = "" if made.head["correct"] is None else f", accuracy {made.head['correct']:.2%}"
        changed = f"the class of {made.head['changed']:,} of {made.images:,} images changes"
        out.print(f"behind the logits, {made.head['output']}: {changed}{right}", soft_wrap=True)
    out.print(f"[green]✓[/] {shown(made.summary)}", soft_wrap=True)
    run = shlex.quote(str(made.folder))
    out.print(f"\nproject: {shown(made.folder)}/hls, begin with README.md", soft_wrap=True)
    next_commands(
        out,
        (f"simulate {run} --testbench", "the project's own test benches"),
        (f"estimate {run}", "latency and resources before synthesis"),
        (f"board {run}", "a board package"),
        (f"export {run}", "one zip for a machine with the vendor's tools"),
    )


COMMANDS = Commands("Models made elsewhere", {"audit": audit_model, "convert": convert})

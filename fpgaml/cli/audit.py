"""The command `fpgaml audit`: parse, call one function, print."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from fpgaml.audit.audit import IMAGES, audit
from fpgaml.cli.show_audit import show_audit
from fpgaml.ir.fixed import PIXEL, FixedPoint

out = Console(highlight=False)


def add_to(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(name="audit", rich_help_panel="Models made elsewhere")(audit_model)


def audit_model(
    model: Annotated[Path, typer.Argument(help="Keras or QKeras model, .keras or .h5", show_default=False)],
    data: Annotated[Path | None, typer.Option("--data", help="Images as .npy, or .npz with x_test and y_test.")] = None,
    input_type: Annotated[str, typer.Option("--input-type", help="The input's fixed-point type.")] = str(PIXEL),
    input_scale: Annotated[
        str | None, typer.Option("--input-scale", help="What raw integers are multiplied by, e.g. 1/255.")
    ] = None,
    scale_bits: Annotated[
        int | None, typer.Option("--scale-bits", help="Round what is on no grid to this many bits.")
    ] = None,
    images: Annotated[int, typer.Option("--images", help="Simulate at most this many.", min=1)] = IMAGES,
    no_simulate: Annotated[bool, typer.Option("--no-simulate", help="Table and findings only: no g++.")] = False,
    against_hls4ml: Annotated[
        bool, typer.Option("--against-hls4ml", help="Convert it with hls4ml's defaults too, side by side.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what each layer really does, every trap in it, and whether hardware agrees bit for bit."""
    options: dict[str, Any] = {
        "data": data,
        "input_type": FixedPoint.parse(input_type),
        "input_scale": input_scale,
        "scale_bits": scale_bits,
        "images": images,
        "simulate": not no_simulate or against_hls4ml,
        "against_hls4ml": against_hls4ml,
    }
    from fpgaml.target.noise import keras_noise

    with tempfile.TemporaryDirectory() as folder, out.status("reading the model") as status:
        tell = (lambda _: None) if as_json else status.update
        if as_json:
            status.stop()
        with keras_noise(Path(folder) / "log"):
            found = audit(model, progress=tell, **options)
    if as_json:
        sys.stdout.write(json.dumps(found.record(), indent=1) + "\n")
    else:
        show_audit(out, found)
    if found.exit_code:
        raise typer.Exit(found.exit_code)

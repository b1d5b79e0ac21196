"""The command that makes a data set to try everything with: pulses of a scintillation detector."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fpgaml.cli.console import Commands, out


def pulses(
    file: Annotated[Path, typer.Argument(help="A .csv for features, or an .npz for samples", show_default=False)],
    rows: Annotated[int, typer.Option(help="Pulses, half of each class.", min=20)] = 5000,
    seed: Annotated[int, typer.Option(help="Another seed gives other pulses.", min=0)] = 0,
) -> None:
    """Make up pulses of gamma rays and neutrons to train on: features as .csv, or raw samples as .npz."""
    from fpgaml.datasets.pulses import FEATURES, SAMPLES, write_series, write_table
    from fpgaml.errors import ConfigError

    if file.suffix not in (".csv", ".npz"):
        raise ConfigError(f"file of pulses must end in .csv (features) or .npz (samples), not {file.name!r}")
    if not file.parent.is_dir():
        raise ConfigError(f"folder {file.parent} of {file.name} does not exist")
    table = file.suffix == ".csv"
    (write_table if table else write_series)(file, rows, seed)
    what = f"{len(FEATURES)} features" if table else f"{SAMPLES} samples"
    out.print(f"{file}: {rows:,} pulses of {what}, classes gamma and neutron", soft_wrap=True)


COMMANDS = Commands("Data", {"pulses": pulses})

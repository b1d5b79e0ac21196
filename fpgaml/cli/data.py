"""The commands about data: `fpgaml new`, `data` and `pulses`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fpgaml.cli.console import (
    BoardOption,
    BoardsFile,
    Card,
    Commands,
    DataOption,
    FiguresFolder,
    JsonOption,
    LabelOption,
    TestOption,
    given,
    out,
    print_json,
    shown,
)


def new(
    data: Annotated[
        Path,
        typer.Argument(metavar="DATA", help="A .csv, .npz, .npy or IDX file; or mnist ...", show_default=False),
    ],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The card to write; else <name>.toml.")] = None,
    name: Annotated[str, typer.Option("--name", help="Of the runs; else made from the file's name.")] = "",
    label: LabelOption = None,
    test: TestOption = None,
    board: BoardOption = None,
    boards_file: BoardsFile = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a card that is there.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write a run card for data of your own, and say what was guessed."""
    from fpgaml.cli.show_run import next_commands
    from fpgaml.datasets.first_card import first_card
    from fpgaml.errors import ConfigError

    folder = output.parent if output else Path()
    if not folder.is_dir():
        raise ConfigError(f"folder {folder} of the card {output} does not exist")
    made = first_card(data, folder, name=name, label=label, test=test or "", board=board or "")
    card = output or Path(f"{made.name}.toml")
    if card.exists() and not force:
        raise ConfigError(f"{card} exists already; write another with --output, or over it with --force")
    card.write_text(made.text, encoding="utf-8")
    if as_json:
        print_json({"card": str(card), "name": made.name, "shape": made.data.shape, "classes": made.data.names,
                    "guesses": made.guesses})  # fmt: skip
        return
    for line in made.guesses:
        out.print(f"[yellow]guessed:[/] {shown(line)}", soft_wrap=True)
    for line in made.text.splitlines()[:2]:
        out.print(shown(line.removeprefix("# ")), soft_wrap=True)
    out.print(f"[green]✓[/] {shown(card)}", soft_wrap=True)
    next_commands(
        out,
        (f"data {card}", "what the data are, and how they become codes"),
        (f"run {card} --fast", "a first result in seconds"),
        (f"run {card}", "train, quantize, convert, prove"),
    )


def data(
    card: Card,
    source: DataOption = None,
    label: LabelOption = None,
    test: TestOption = None,
    figures: FiguresFolder = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a card's data are: classes, ranges, missing values, first samples, split, preprocessing."""
    from fpgaml.card.toml import load_card
    from fpgaml.cli.show_data import show_survey, survey_record
    from fpgaml.datasets.sources import with_data
    from fpgaml.datasets.survey import survey
    from fpgaml.errors import DataError

    read = with_data(load_card(card), given(source, label, test))
    found = survey(read)
    if as_json:
        print_json(survey_record(found))
    else:
        show_survey(out, found)
    if found.problem:
        raise DataError(found.problem)
    if figures is not None:
        from fpgaml.cli.show_precision import save_figures
        from fpgaml.datasets.sources import load_data
        from fpgaml.report.data_figures import draw_data

        save_figures(draw_data(load_data(read)), figures)


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
    out.print(f"{shown(file)}: {rows:,} pulses of {what}, classes gamma and neutron", soft_wrap=True)


COMMANDS = Commands("Data", {"new": new, "data": data, "pulses": pulses})

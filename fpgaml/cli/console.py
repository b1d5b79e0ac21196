"""What every command prints with and is given: one console for results, one for errors, one way to write JSON."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from rich.console import Console
from rich.markup import escape

from fpgaml.quoting import printable
from fpgaml.target.boards import BOARDS_VARIABLE

PIPED_WIDTH = 400  # where nobody looks a table must not be cut; a terminal has a width of its own


def _console(*, stderr: bool = False) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, highlight=False, width=None if stream.isatty() else PIPED_WIDTH)


out, err = _console(), _console(stderr=True)

Card = Annotated[Path, typer.Argument(metavar="CARD", help="Run card, e.g. models/mnist_mlp.toml", show_default=False)]
Run = Annotated[
    Path, typer.Argument(metavar="RUN", help="Folder of a run, e.g. hls_projects/mnist_mlp", show_default=False)
]
Thing = Annotated[
    Path,
    typer.Argument(metavar="THING", help="Run card, run folder, network.npz or Keras model", show_default=False),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
FiguresFolder = Annotated[Path | None, typer.Option("--figures", help="Write figures and captions here.")]
RunsFolder = Annotated[Path | None, typer.Option("--output", "-o", help="Folder for runs, instead of the card's.")]
BoardOption = Annotated[str | None, typer.Option("--board", help="Board, instead of the card's; see fpgaml boards.")]
PartOption = Annotated[str | None, typer.Option("--part", help="FPGA part, instead of the board's.")]


def _use_boards(path: Path | None) -> Path | None:
    if path is not None:
        os.environ[BOARDS_VARIABLE] = str(path.resolve())
    return path


BoardsFile = Annotated[
    Path | None,
    typer.Option("--boards-file", help="TOML file with parts and boards of your own.", callback=_use_boards),
]

# The one way to name data, in every command that needs any.
DATA_HELP = "mnist, fashion_mnist, cifar10; .csv, .npz, .npy, IDX or .mat file; or a folder of these."
DataOption = Annotated[str | None, typer.Option("--data", metavar="DATA", help=DATA_HELP)]
LabelOption = Annotated[str | None, typer.Option("--label", help="Column, array or .npy file of the labels.")]
TestOption = Annotated[str | None, typer.Option("--test", metavar="FILE", help="File to test with.")]
TypeOption = Annotated[
    str | None, typer.Option("--input-type", metavar="TYPE", help="The input's fixed-point type, e.g. fixed<12,4>.")
]
ScaleOption = Annotated[
    str | None, typer.Option("--input-scale", help="What raw integers are multiplied by, e.g. 1/255.")
]


def base_of(card: Path, output: Path | None) -> Path | None:
    """Return where runs live: as the option says, or where the run lies whose folder stands for its card."""
    return output or (card.resolve().parent if card.is_dir() else None)


def given(
    data: str | None = None,
    label: str | None = None,
    test: str | None = None,
    input_type: str | None = None,
    input_scale: str | None = None,
) -> dict[str, str]:
    """Return what options say about data, as keys of a card's [data]."""
    keys = {"source": data, "label": label, "test": test, "input_type": input_type, "input_scale": input_scale}
    return {key: value for key, value in keys.items() if value is not None}


class Commands(NamedTuple):
    """The commands of one file, by the names they are called by, and the heading that help lists them under."""

    panel: str
    functions: dict[str, Callable[..., None]]


def shown(text: object) -> str:
    """Return a text of others, such as a path, as it is printed: nothing in it is mark-up or moves the cursor."""
    return escape("\n".join(map(printable, str(text).split("\n"))))


def print_json(record: object) -> None:
    """Print a record as JSON, for programs to read: nothing is wrapped or coloured."""
    sys.stdout.write(json.dumps(record, indent=1) + "\n")


def wide(width: int) -> Console:
    """Return a console of at least `width` columns; a narrower terminal wraps its lines."""
    return Console(highlight=False, width=max(out.width, width))

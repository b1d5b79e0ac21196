"""What every command prints with and is given: one console for results, one for errors, one way to write JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from rich.console import Console

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

Card = Annotated[Path, typer.Argument(help="Run card, e.g. models/mnist_mlp.toml", show_default=False)]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class Commands(NamedTuple):
    """The commands of one file, by the names they are called by, and the heading that help lists them under."""

    panel: str
    functions: dict[str, Callable[..., None]]


def print_json(record: object) -> None:
    """Print a record as JSON, for programs to read: nothing is wrapped or coloured."""
    sys.stdout.write(json.dumps(record, indent=1) + "\n")


def wide(width: int) -> Console:
    """Return a console of at least `width` columns; a narrower terminal wraps its lines."""
    return Console(highlight=False, width=max(out.width, width))

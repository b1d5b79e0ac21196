"""The command line: parse, call one function, print. One file holds a group of commands, and COMMANDS at its end.

Exit codes: 0 done; 1 the result is not what it must be (a mismatch, doctor finds the main job cannot run);
2 the input or the environment is wrong; 130 interrupted; 143 terminated.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

import fpgaml
from fpgaml.cli import cost, data, doctor, hardware, learning, models, pages, precision, run
from fpgaml.cli.console import err, out, shown
from fpgaml.errors import BitMismatch, ConversionMismatch, FpgamlError

GROUPS = (run, data, doctor, cost, precision, models, learning, hardware, pages)


def command_line(called: str = "") -> typer.Typer:
    """Return the command line; if one command is `called`, with that alone, for typer evaluates the options of all."""
    made = typer.Typer(
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    made.callback()(_options)
    every = {name: (group, function) for group in GROUPS for name, function in group.COMMANDS.functions.items()}
    for name, (group, function) in every.items():
        if name == called or called not in every:
            made.command(name, rich_help_panel=group.COMMANDS.panel)(function)
    return made


def _version(asked: bool) -> None:
    if asked:
        out.print(f"fpgaml {fpgaml.__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Quantized neural networks on FPGAs, proved bit for bit before synthesis."""


app = command_line()


def main() -> None:
    """Run the command line; every error of ours is one message and an exit code."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # what TensorFlow logs is no user's business
    try:
        code = command_line(sys.argv[1] if len(sys.argv) > 1 else "")(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except (BitMismatch, ConversionMismatch) as error:
        err.print(f"[bold red]mismatch:[/] {shown(error)}", soft_wrap=True)
        sys.exit(1)
    except FpgamlError as error:
        err.print(f"[bold red]error:[/] {shown(error)}", soft_wrap=True)
        sys.exit(2)
    except (KeyboardInterrupt, typer.Abort):  # the latter is what typer makes of the former
        err.print("[yellow]interrupted;[/] what was finished is kept: run the same command again to go on")
        sys.exit(130)
    except OSError as error:
        named = f"{error.filename}: " if error.filename else ""
        err.print(f"[bold red]error:[/] {shown(named)}{error.strerror or shown(error)}", soft_wrap=True)
        sys.exit(2)
    except Exception as error:  # typer's own usage errors know how to show themselves
        show = getattr(error, "show", None)
        if show is None:
            raise
        show()
        sys.exit(2)

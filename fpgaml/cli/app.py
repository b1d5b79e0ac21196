"""The command line: parse, call one function, print. One file holds a group of commands, and COMMANDS at its end.

Exit codes: 0 done; 1 the result is not what it must be (a mismatch, doctor finds the main job cannot run);
2 the input or the environment is wrong; 130 interrupted.
"""

from __future__ import annotations

import atexit
import gc
import sys

import typer
from rich.markup import escape

from fpgaml.cli import cost, doctor, hardware, learning, models, precision, run
from fpgaml.cli.console import err
from fpgaml.errors import BitMismatch, ConversionMismatch, FpgamlError

app = typer.Typer(
    help="Quantized neural networks on FPGAs, proved bit for bit before synthesis.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for group in (run, doctor, cost, precision, models, learning, hardware):
    for name, function in group.COMMANDS.functions.items():
        app.command(name, rich_help_panel=group.COMMANDS.panel)(function)


def main() -> None:
    """Run the command line; every error of ours is one message and an exit code."""
    gc.set_threshold(50_000, 20, 20)  # TensorFlow's import makes 400,000 objects: a quarter of its time went into gc
    atexit.register(gc.freeze)  # and another second at the end
    try:
        code = app(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except (BitMismatch, ConversionMismatch) as error:
        err.print(f"[bold red]mismatch:[/] {escape(str(error))}", soft_wrap=True)
        sys.exit(1)
    except FpgamlError as error:
        err.print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True)
        sys.exit(2)
    except KeyboardInterrupt:
        err.print("[yellow]interrupted;[/] what was finished is kept: run the same command again to go on")
        sys.exit(130)
    except typer.Abort:
        sys.exit(130)
    except Exception as error:  # typer's own usage errors know how to show themselves
        show = getattr(error, "show", None)
        if show is None:
            raise
        show()
        sys.exit(2)

"""The command line: parse, call one function, print.

Exit codes: 0 done; 1 the result is not what it must be (a mismatch, doctor finds the main job cannot run);
2 the input or the environment is wrong; 130 interrupted.
"""

from __future__ import annotations

import atexit
import gc
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fpgaml.cli import audit, convert, hardware, learning
from fpgaml.errors import BitMismatch, ConversionMismatch, FpgamlError

app = typer.Typer(
    help="Quantized neural networks on FPGAs, proved bit for bit before synthesis.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

Card = Annotated[Path, typer.Argument(help="Run card, e.g. models/mnist_mlp.toml", show_default=False)]


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


@app.command(rich_help_panel="The main job")
def run(
    card: Card,
    first: Annotated[
        str | None, typer.Option("--from", help="Begin with this step, done anew.", metavar="STEP")
    ] = None,
    last: Annotated[str | None, typer.Option("--to", help="End with this step.", metavar="STEP")] = None,
    force: Annotated[bool, typer.Option("--force", help="Do every step, changed or not.")] = False,
    fast: Annotated[
        bool, typer.Option("--fast", help="A first result in seconds: few epochs, as <name>_fast.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for runs, instead of the card's.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say where each log is.")] = False,
) -> None:
    """Do the main job: train, quantize, profile, convert, csim, compare, report."""
    from fpgaml.card.runcard import hurried, load_card
    from fpgaml.cli.show_run import StepLines, closing_table
    from fpgaml.flow import pipeline

    read = hurried(load_card(card)) if fast else load_card(card)
    with StepLines(out, quiet=quiet, verbose=verbose) as listener:
        workspace = pipeline.run(read, base=output, first=first, last=last, force=force, listener=listener)
    if not quiet and (workspace / "report.json").is_file() and last in (None, "report"):
        closing_table(out, workspace)


@app.command(rich_help_panel="The main job")
def doctor() -> None:
    """Show what this machine has, what is missing, and what each thing would add."""
    from fpgaml.cli.doctor import examine

    findings = examine()
    table = Table(box=None, pad_edge=False)
    for heading in ("", "name", "version", "for"):
        table.add_column(heading)
    for found in findings:
        mark = "[green]ok[/]" if found.version else ("[red]missing[/]" if found.needed else "[dim]not found[/]")
        table.add_row(mark, found.name, found.version or "", found.adds)
    out.print(table)
    stops = [found for found in findings if found.stops]
    for found in stops:
        err.print(f"[bold red]{found.name}:[/] {escape(found.remedy)}", soft_wrap=True)
    out.print("the main job can run" if not stops else "the main job cannot run")
    if stops:
        raise typer.Exit(1)


Thing = Annotated[str, typer.Argument(help="Run card, run folder, network.npz or Keras model", show_default=False)]
BoardOption = Annotated[str | None, typer.Option("--board", help="Board, instead of the card's; see fpgaml boards.")]
PartOption = Annotated[str | None, typer.Option("--part", help="FPGA part, instead of the board's.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command(rich_help_panel="Cost")
def estimate(thing: Thing, board: BoardOption = None, part: PartOption = None, as_json: JsonOption = False) -> None:
    """Estimate latency and resources before synthesis, with 80 % ranges."""
    from fpgaml.estimate import estimate as estimated
    from fpgaml.estimate import tables
    from fpgaml.runs import opener
    from fpgaml.target.boards import find_part
    from fpgaml.target.design import check_design

    found = opener.find(thing)
    design = opener.design_of(found, board=board, part=part)
    check_design(found.network, design)
    if as_json:
        from fpgaml.report.estimates import estimate_record

        _print_json(estimate_record(found.network, design, (found.run or Path()) / "hls"))
        return
    result = estimated(found.network, design, find_part(design.part))
    out.print(f"[dim]{escape(found.origin)}[/]")
    out.print(tables.estimate_table(result))
    out.print()
    out.print(tables.design_table(result))


@app.command(rich_help_panel="Cost")
def fit(
    thing: Thing,
    board: BoardOption = None,
    part: PartOption = None,
    latency_us: Annotated[
        float | None, typer.Option("--latency-us", help="Latency budget in microseconds.", min=0)
    ] = None,
) -> None:
    """Find the smallest reuse factors that fit a board, or the cheapest design within a latency."""
    from fpgaml.estimate import fit as fitted
    from fpgaml.estimate import tables
    from fpgaml.runs import opener
    from fpgaml.target.boards import find_part

    found = opener.find(thing)
    design = opener.design_of(found, board=board, part=part)
    proposals = fitted(found.network, design, find_part(design.part), latency_us)
    out.print(f"[dim]{escape(found.origin)}[/]")
    if not proposals:
        limit = "" if latency_us is None else f" within {latency_us:g} µs"
        out.print(
            f"no valid reuse factors make this network fit {design.part}{limit}; use fewer bits, or a larger part"
        )
        raise typer.Exit(1)
    out.print(tables.proposals_table(proposals))


@app.command(rich_help_panel="Cost")
def boards(
    extra: Annotated[Path | None, typer.Option("--file", help="A TOML file with boards of your own.")] = None,
    sources: Annotated[bool, typer.Option("--sources", help="Say where each figure is from.")] = False,
) -> None:
    """List boards and what their parts hold."""
    from fpgaml.estimate.tables import boards_table
    from fpgaml.target.boards import catalogue

    out.print(boards_table(catalogue(extra).boards.values(), sources=sources))


What = Annotated[
    Path, typer.Argument(help="Run card (.toml), saved network (.npz) or Keras model (.keras)", show_default=False)
]
Source = Annotated[
    str | None,
    typer.Option("--data", help="mnist, fashion_mnist, an .npz or .csv file, or a folder.", metavar="DATA"),
]
TABLE_WIDTH = 108  # of a profile; a narrower terminal wraps its lines
FiguresFolder = Annotated[Path | None, typer.Option("--figures", help="Write figures and captions here.")]


@app.command(rich_help_panel="Precision")
def profile(
    what: What,
    data: Source = None,
    criterion: Annotated[
        str, typer.Option(help="For recommended types: unchanged, observed, share or proved.")
    ] = "observed",
    share: Annotated[float, typer.Option(help="Share of values that may overflow, for criterion share.")] = 0.0,
    most_bits: Annotated[int, typer.Option(help="No recommended type may be wider.")] = 63,
    figures: FiguresFolder = None,
    as_json: JsonOption = False,
) -> None:
    """Show what the numbers of a network do, and the smallest types that fit them."""
    from fpgaml.cli.show_precision import profile_table, recommendation_line, save_figures
    from fpgaml.precision.profile import plain
    from fpgaml.precision.profile import profile as profile_network
    from fpgaml.precision.recommend import named_criterion, recommend
    from fpgaml.runs.subject import open_subject, starting_network

    wanted = named_criterion(criterion)
    subject = open_subject(what, data)
    network, codes, labels = starting_network(subject), subject.images, subject.labels
    weights = None if subject.reading is None else subject.model.weights
    found = profile_network(network, codes, labels, weights)
    types = recommend(network, codes, wanted, labels, share=share, most_bits=most_bits)
    if figures is not None:
        from fpgaml.report.profile_figures import draw_profile

        save_figures(draw_profile(found, subject.float_statistics()), figures)
    if as_json:
        record = {"profile": found, "choices": types.choices, "recommendation": recommendation_line(types)}
        _print_json(plain(record))
        return
    Console(highlight=False, width=max(out.width, TABLE_WIDTH)).print(profile_table(found, types))
    out.print(f"\n{recommendation_line(types)}", soft_wrap=True)


@app.command(rich_help_panel="Precision", name="quantize")
def quantize_after_training(
    model: Annotated[Path, typer.Argument(help="Float Keras model (.keras)", show_default=False)],
    data: Source = None,
    loss: Annotated[float, typer.Option(help="Accuracy that may be lost, in points (percent).")] = 0.5,
    bits: Annotated[int, typer.Option(help="Bits to start from.")] = 8,
    refine: Annotated[bool, typer.Option(help="Search for fewer bits, tensor by tensor.")] = True,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Where the network is saved (.npz).")] = None,
    proof_images: Annotated[int, typer.Option("--prove", help="Test images through C simulation; 0: none.")] = 500,
    as_json: JsonOption = False,
) -> None:
    """Quantize a float Keras model after training, with the fewest bits that keep its accuracy."""
    from fpgaml.backend import cpp
    from fpgaml.cli.show_precision import types_table
    from fpgaml.exact.accuracy import right_answers
    from fpgaml.ir.saving import save
    from fpgaml.precision.profile import plain
    from fpgaml.runs import subject as subjects

    subject = subjects.open_subject(model, data)
    found = subjects.quantize_model(subject, loss=loss / 100, bits=bits, refine=refine)
    path = output or model.with_name(f"{model.stem}_ptq.npz")
    save(found.network, path)
    codes, labels = subject.test
    record = {
        "network": str(path),
        "types": found.types,
        "weight_bits": found.weight_bits,
        "activation_bits": found.activation_bits,
        "search_images": found.images,
        "search_accuracy": {"float": found.float_accuracy, "quantized": found.accuracy},
        "test_images": len(codes),
        "test_accuracy": {
            "float": float((subjects.float_answers(subject, codes) == labels).mean()),
            "quantized": right_answers(found.network, codes, labels) / len(codes),
        },
        "equal_logits": None,
    }
    if proof_images:
        record["equal_logits"] = cpp.prove(found.network, codes[:proof_images], path.with_suffix("") / "hls")
    if as_json:
        _print_json(plain(record))
        return
    out.print(types_table(found.types))
    test, search = record["test_accuracy"], record["search_accuracy"]
    assert isinstance(test, dict)
    assert isinstance(search, dict)
    out.print(f"\nheld-out training images: float {search['float']:.2%}, quantized {search['quantized']:.2%}")
    out.print(f"test images:              float {test['float']:.2%}, quantized {test['quantized']:.2%}")
    out.print(f"weights {found.weight_bits:,} bits, activations {found.activation_bits:,} bits an image")
    if proof_images:
        out.print(f"C simulation: {record['equal_logits']:,} logits equal the emulator's, 0 differ")
    out.print(f"network: {path}", soft_wrap=True)


@app.command(rich_help_panel="Precision")
def sweep(
    what: What,
    data: Source = None,
    widths: Annotated[str, typer.Option(help="Total bits, as first:last:step or 4,6,8.")] = "4:14:2",
    integers: Annotated[str, typer.Option(help="Integer bits, the sign included.")] = "1:6",
    layer: Annotated[str | None, typer.Option(help="Sweep this layer only.")] = None,
    tensors: Annotated[str, typer.Option(help="all, weights or activations.")] = "all",
    images: Annotated[int, typer.Option(help="Test images to use.", min=1)] = 10_000,
    proof_images: Annotated[
        int, typer.Option("--prove", help="Test images through C simulation at the best point; 0: none.")
    ] = 0,
    figures: FiguresFolder = None,
    as_json: JsonOption = False,
) -> None:
    """Show accuracy against total and integer bits, by exact emulation."""
    from fpgaml.backend import cpp
    from fpgaml.cli.show_precision import save_figures, sweep_table, whole_numbers
    from fpgaml.precision.profile import plain
    from fpgaml.precision.sweep import Setting, named_tensors, network_at
    from fpgaml.precision.sweep import sweep as sweep_network
    from fpgaml.runs import subject as subjects

    setting = Setting(named_tensors(tensors), layer)
    rows, columns = whole_numbers(widths, "--widths"), whole_numbers(integers, "--integers")
    subject = subjects.open_subject(what, data)
    codes, labels = (array[:images] for array in subject.test)
    model, others = subject.model, subjects.sweep_types(subject)
    found = sweep_network(model, codes, labels, widths=rows, integers=columns, others=others, setting=setting)
    equal = None
    if proof_images:
        at = network_at(model, others, setting, found.best.width, found.best.integer)
        folder = what.with_name(f"{what.stem}_sweep") / "hls"
        equal = cpp.prove(at, codes[:proof_images], folder)
    if figures is not None:
        from fpgaml.report.profile_figures import sweep_map

        save_figures({"sweep": sweep_map(found)}, figures)
    if as_json:
        _print_json(plain({"sweep": found, "best": found.best, "equal_logits": equal}))
        return
    out.print(f"accuracy (%) over {len(codes):,} images")
    out.print(sweep_table(found))
    best = found.best
    share = best.correct / found.images
    out.print(f"\nbest: {best.width} bits with {best.integer} integer bits, {share:.2%}")
    if equal is not None:
        out.print(f"C simulation at the best point: {equal:,} logits equal the emulator's, 0 differ")


def _print_json(record: object) -> None:
    import json

    sys.stdout.write(json.dumps(record, indent=1) + "\n")


audit.add_to(app)
convert.add_to(app)
learning.add_to(app)
hardware.add_to(app)

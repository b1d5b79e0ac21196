"""The commands about fixed-point types: `fpgaml profile`, `quantize` and `sweep`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fpgaml.cli.console import (
    Commands,
    DataOption,
    FiguresFolder,
    JsonOption,
    LabelOption,
    ScaleOption,
    TestOption,
    Thing,
    TypeOption,
    given,
    out,
    print_json,
    shown,
    wide,
)

TABLE_WIDTH = 108  # of a profile; a narrower terminal wraps its lines


def profile(
    thing: Thing,
    data: DataOption = None,
    label: LabelOption = None,
    test: TestOption = None,
    input_type: TypeOption = None,
    input_scale: ScaleOption = None,
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
    from fpgaml.runs.opener import open_subject
    from fpgaml.runs.subject import starting_network

    wanted = named_criterion(criterion)
    subject = open_subject(thing, given(data, label, test, input_type, input_scale))
    network, codes, labels = starting_network(subject), subject.images, subject.labels
    weights = None if subject.reading is None else subject.model.weights
    found = profile_network(network, codes, labels, weights)
    types = recommend(network, codes, wanted, labels, share=share, most_bits=most_bits)
    if figures is not None:
        from fpgaml.report.profile_figures import draw_profile

        save_figures(draw_profile(found, subject.float_statistics()), figures)
    if as_json:
        record = {"profile": found, "choices": types.choices, "recommendation": recommendation_line(types)}
        print_json(plain(record))
        return
    wide(TABLE_WIDTH).print(profile_table(found, types))
    out.print(f"\n{recommendation_line(types)}", soft_wrap=True)


def quantize_after_training(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Float Keras model (.keras)", show_default=False)],
    data: DataOption = None,
    label: LabelOption = None,
    test: TestOption = None,
    input_type: TypeOption = None,
    input_scale: ScaleOption = None,
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
    from fpgaml.runs.opener import open_subject

    subject = open_subject(model, given(data, label, test, input_type, input_scale))
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
        print_json(plain(record))
        return
    out.print(types_table(found.types))
    tested, search = record["test_accuracy"], record["search_accuracy"]
    assert isinstance(tested, dict)
    assert isinstance(search, dict)
    out.print(f"\nheld-out training images: float {search['float']:.2%}, quantized {search['quantized']:.2%}")
    out.print(f"test images:              float {tested['float']:.2%}, quantized {tested['quantized']:.2%}")
    out.print(f"weights {found.weight_bits:,} bits, activations {found.activation_bits:,} bits an image")
    if proof_images:
        out.print(f"C simulation: {record['equal_logits']:,} logits equal the emulator's, 0 differ")
    out.print(f"network: {shown(path)}", soft_wrap=True)


def sweep(
    thing: Thing,
    data: DataOption = None,
    label: LabelOption = None,
    test: TestOption = None,
    input_type: TypeOption = None,
    input_scale: ScaleOption = None,
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
    from fpgaml.runs.opener import open_subject

    setting = Setting(named_tensors(tensors), layer)
    rows, columns = whole_numbers(widths, "--widths"), whole_numbers(integers, "--integers")
    subject = open_subject(thing, given(data, label, test, input_type, input_scale))
    codes, labels = (array[:images] for array in subject.test)
    model, others = subject.model, subjects.sweep_types(subject)
    found = sweep_network(model, codes, labels, widths=rows, integers=columns, others=others, setting=setting)
    equal = None
    if proof_images:
        at = network_at(model, others, setting, found.best.width, found.best.integer)
        folder = thing.with_name(f"{thing.stem}_sweep") / "hls"
        equal = cpp.prove(at, codes[:proof_images], folder)
    if figures is not None:
        from fpgaml.report.profile_figures import sweep_map

        save_figures({"sweep": sweep_map(found)}, figures)
    if as_json:
        print_json(plain({"sweep": found, "best": found.best, "equal_logits": equal}))
        return
    out.print(f"accuracy (%) over {len(codes):,} images")
    out.print(sweep_table(found))
    best = found.best
    share = best.correct / found.images
    out.print(f"\nbest: {best.width} bits with {best.integer} integer bits, {share:.2%}")
    if equal is not None:
        out.print(f"C simulation at the best point: {equal:,} logits equal the emulator's, 0 differ")


COMMANDS = Commands("Precision", {"profile": profile, "quantize": quantize_after_training, "sweep": sweep})

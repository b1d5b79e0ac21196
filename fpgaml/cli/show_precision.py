"""What a person sees of a profile, a recommendation, a quantization and a sweep: tables for the console."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from fpgaml.errors import ConfigError
from fpgaml.ir.fixed import FixedPoint
from fpgaml.precision.profile import Profile, TensorProfile
from fpgaml.precision.recommend import Recommendation
from fpgaml.precision.sweep import Sweep

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def profile_table(profile: Profile, found: Recommendation) -> Table:
    """Return one row a tensor: type, range, zeros, overflow, underflow, noise, bits used, and the type recommended."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("tensor", "type"):
        table.add_column(heading, no_wrap=True)
    for heading in ("min", "max", "zeros", "overflow", "underflow", "SNR dB", "bits used"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("recommended", no_wrap=True)
    choices = {choice.name: choice for choice in found.choices}
    for tensor in profile.tensors:
        choice = choices.get(tensor.name)
        if choice is None:
            wanted = "[dim]exact[/]" if tensor.proved_bits == tensor.type.width else ""
        else:
            wanted = "[dim]same[/]" if choice.recommended == choice.present else short(choice.recommended)
        table.add_row(tensor.name, short(tensor.type), *_numbers(tensor), wanted)
    return table


def recommendation_line(found: Recommendation) -> str:
    """Return what the recommended types save and change, in a line."""
    weights, activations = found.weight_bits, found.activation_bits
    accuracy = ""
    if found.correct_before is not None and found.correct_after is not None:
        before, after = found.correct_before / found.images, found.correct_after / found.images
        accuracy = f"; accuracy {before:.2%} -> {after:.2%}"
    promise = "as promised" if found.promised and not found.changed_outputs else f"criterion {found.criterion}"
    return (
        f"recommended types: weights {weights[0]:,} -> {weights[1]:,} bits, activations {activations[0]:,} -> "
        f"{activations[1]:,} bits an image; {found.changed_outputs:,} outputs change ({promise}){accuracy}"
    )


def types_table(types: Mapping[str, FixedPoint]) -> Table:
    """Return one row a tensor."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("tensor", "type"):
        table.add_column(heading)
    for name, kind in types.items():
        table.add_row(name, str(kind))
    return table


def sweep_table(sweep: Sweep) -> Table:
    """Return the accuracies in percent, widths down and integer bits across; the best is bold."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("total bits", justify="right")
    for integer in sweep.integers:
        table.add_column(f"{integer} integer", justify="right")
    best = sweep.best
    for width, row in zip(sweep.widths, sweep.accuracies, strict=True):
        cells = [f"{100 * share:.2f}" for share in row]
        if width == best.width:
            at = sweep.integers.index(best.integer)
            cells[at] = f"[bold green]{cells[at]}[/]"
        table.add_row(str(width), *cells)
    return table


def whole_numbers(text: str, what: str) -> tuple[int, ...]:
    """Return the numbers of "4:14:2" (first, last and step) or "4,6,8". Raises: ConfigError."""
    try:
        if ":" in text:
            first, last, *step = (int(part) for part in text.split(":"))
            found = tuple(range(first, last + 1, *step))
        else:
            found = tuple(int(part) for part in text.split(","))
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{what} must be written as first:last:step or as 4,6,8, not {text!r}") from error
    if not found:
        raise ConfigError(f"{what} {text!r} names no number; the last must not be below the first")
    return found


def save_figures(figures: Mapping[str, tuple[Figure | None, str]], folder: Path) -> None:
    """Write each figure as SVG and PNG, and all captions as captions.md, into `folder`; without a figure, its text."""
    from fpgaml.report.figures import write

    folder.mkdir(parents=True, exist_ok=True)
    for name, (figure, _) in figures.items():
        if figure is not None:
            write(figure, folder / name)
    captions = "\n\n".join(
        f"![{name}]({name}.svg)\n\n*{caption}*" if figure else caption for name, (figure, caption) in figures.items()
    )
    (folder / "captions.md").write_text(captions + "\n", encoding="utf-8")


def short(kind: FixedPoint) -> str:
    """Return a type without its modes."""
    return f"{'' if kind.signed else 'u'}fixed<{kind.width},{kind.integer}>"


def _numbers(tensor: TensorProfile) -> tuple[str, ...]:
    cast = tensor.cast
    noise = "" if cast is None or cast.signal_to_noise_db is None else f"{cast.signal_to_noise_db:.1f}"
    return (
        f"{tensor.statistics.minimum:.4g}",
        f"{tensor.statistics.maximum:.4g}",
        _percent(tensor.statistics.zero_share),
        "" if cast is None else _percent(cast.overflow_share),
        "" if cast is None else _percent(cast.underflow_share),
        noise,
        f"{tensor.effective_bits}/{tensor.type.width}",
    )


def _percent(share: float) -> str:
    return "0" if share == 0 else f"{100 * share:.2g} %" if share >= 0.0001 else "<.01 %"

"""The page of a run whose executions differ: the first difference as a picture, and where else they do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from fpgaml.exact.comparison import Example
from fpgaml.quoting import markdown
from fpgaml.report.figures import save
from fpgaml.report.overview import save_page, table
from fpgaml.report.page import Fact
from fpgaml.report.style import BLUE, RED

if TYPE_CHECKING:
    from fpgaml.exact.agreement import Agreement
    from fpgaml.runs.proof import Proof
    from fpgaml.runs.workspace import Workspace

ALIKE_OR_NOT = ListedColormap(["#e8ecf0", RED])


def write_failure(workspace: Workspace, proof: Proof) -> None:
    """Write report.html of a run that is not proved. Raises: ConfigError if it cannot be written."""
    lines = ["# run", "", "## The first difference", "", markdown(proof.failure)]
    held = next((held for held in proof.layers.values() if held.first), None)
    if held and held.first:
        first, example = held.first, held.first.examples[0]
        save(_figure(workspace, held, example), workspace, "first_difference")
        lines += ["", "![The first difference](figures/first_difference.svg)", ""]
        lines.append(
            f"*Left: {workspace.data.noun} {example.image}, as the network gets it. Right: the values of layer "
            f"{markdown(first.layer)} that differ for it (red); the first is {example.left!r} by the "
            f"{markdown(first.left)} and {example.right!r} by {markdown(first.right)}.*"
        )
    counts = {str(side): held.counts for side, held in proof.layers.items()}
    layers = dict.fromkeys(layer for found in counts.values() for layer in found)
    rows = [(markdown(layer), *(str(found.get(layer, "-")) for found in counts.values())) for layer in layers]
    heads = ["layer", *map(markdown, counts)]
    lines += ["", "## Values that differ from the emulator", "", "Over the golden test set.", "", *table(heads, rows)]
    facts = [Fact("bit for bit", "not proved", proof.failure, "bad")]
    save_page(
        workspace / "report.html", f"{workspace.card.name}: not proved", facts, "\n".join(lines), workspace.folder
    )


def _figure(workspace: Workspace, held: Agreement, example: Example) -> Figure:
    assert held.first is not None
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    values = workspace.golden_codes[example.image]
    if values.ndim == 3:
        left.imshow(values if values.shape[-1] == 3 else values[..., 0], cmap="gray_r")
        left.set_axis_off()
    else:
        left.plot(values.ravel(), color=BLUE, marker="o", ms=3)
        left.set_xlabel("input value")
    wrong = held.wrong[held.first.layer][example.image]
    shown = wrong.sum(axis=-1) if wrong.ndim == 3 else np.atleast_2d(wrong)
    right.imshow(shown > 0, cmap=ALIKE_OR_NOT, vmin=0, vmax=1, aspect="equal" if wrong.ndim == 3 else "auto")
    right.set_title(f"{int(wrong.sum())} of {wrong.size} values differ", fontsize=9, color=RED)
    right.set_yticks([])
    right.set_xlabel("value" if wrong.ndim == 1 else "column")
    return figure

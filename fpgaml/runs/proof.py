"""The executions of a run held together: all logits, every layer of the golden images, what is behind the logits."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import numpy as np

from fpgaml.card.built import as_built
from fpgaml.datasets.dataset import Dataset
from fpgaml.errors import BitMismatch
from fpgaml.exact import emulate
from fpgaml.exact.comparison import Comparison, Difference, Execution, first_difference, float32_limit
from fpgaml.ir.accumulate import tensor_types
from fpgaml.ir.network import Network
from fpgaml.ir.saving import load
from fpgaml.runs.workspace import Workspace
from fpgaml.target.design import Design
from fpgaml.target.output_head import changed_classes


def compare_head(workspace: Workspace, network: Network, data: Dataset) -> dict[str, Any] | None:
    """Hold what comes out behind the logits against the emulator, and count the classes it changes; None for logits.

    Raises: BitMismatch at the first difference.
    """
    built, _ = built_of(workspace)
    if built.output.name == network.output.name:
        return None
    name, kind = built.output.name, tensor_types(built)[built.output.name]
    ours = emulate.trace(built, data.x_test, [network.output.name, name])
    with np.load(workspace / "csim.npz") as file:
        theirs = file["outputs"]
    sides = {name: kind.decode(ours[name])}, {name: kind.decode(theirs)}
    if different := first_difference(*sides, [name], ("emulator", "C simulation")):
        raise BitMismatch(f"behind the logits, {different}")
    return {
        "output": str(workspace.card.design.output),
        "type": str(kind),
        "values": int(theirs.size),
        "changed": changed_classes(ours[network.output.name], theirs),
        "correct": float((theirs.argmax(axis=-1) == data.y_test).mean()) if data.labelled else None,
    }


class Proof(NamedTuple):
    """Whether the executions are equal bit for bit, and the first difference if not.

    `no_reference` says why QKeras' logits cannot be the reference; empty if they are.
    """

    logits: int
    csim_mismatches: int
    keras_mismatches: int | None  # None without a Keras model
    no_reference: str
    layers: dict[str, dict[str, int]]
    failure: str
    summary: str


def load_comparison(workspace: Workspace, network: Network, data: Dataset) -> Comparison:
    """Return the executions of a run on its test images: float and QKeras if they are there, emulator, C simulation."""
    out = tensor_types(network)[network.output.name]
    flat = (len(data.x_test), -1)
    with np.load(workspace / "csim.npz") as file:
        simulated = out.decode(file["logits"]).reshape(flat)
    files = {"float": workspace / "float_logits.npy", "QKeras": workspace / "quantized_logits.npy"}
    executions = (
        *(Execution(name, np.load(path).reshape(flat)) for name, path in files.items() if path.is_file()),
        Execution("emulator", out.decode(emulate.run(network, data.x_test)).reshape(flat)),
        Execution("C simulation", simulated),
    )
    return Comparison(data.y_test.astype(np.int64), executions)


def prove(workspace: Workspace, network: Network, comparison: Comparison) -> Proof:
    """Hold QKeras and the C simulation against the emulator: all logits, and every layer of the golden images.

    Where QKeras is on no grid, it is held against the layers before that.
    """
    built, _ = built_of(workspace)
    types, order = tensor_types(built), list(built.shapes)
    with np.load(workspace / "golden.npz") as file:
        codes = emulate.trace(built, file[network.input.name])
    golden = {name: types[name].decode(found) for name, found in codes.items()}
    with np.load(workspace / "csim.npz") as file:
        simulated = {
            name.removeprefix("layer."): types[name.removeprefix("layer.")].decode(file[name])
            for name in file.files
            if name.startswith("layer.")
        }
    sides = {"C simulation": simulated}
    if any(execution.name == "QKeras" for execution in comparison.executions):
        with np.load(workspace / "keras_golden.npz") as file:
            sides["QKeras"] = {name: file[name] for name in file.files}
    layers = {
        side: {name: int((golden[name] != values[name]).sum()) for name in order if name in values}
        for side, values in sides.items()
    }
    limit = float32_limit(network)
    apart = json.loads((workspace / "reading.json").read_text(encoding="utf-8"))["apart"]
    why = f"what layer {limit!r} computes can leave what float32 holds exactly" if limit else ""
    why = why or next((f"layer {name!r}: {text}" for name, text in apart.items()), "")
    counts = {side: comparison.mismatches("emulator", side) for side in sides}
    total = comparison["emulator"].logits.size
    failure = ""
    for side, values in sides.items():
        if side == "QKeras" and limit is not None:
            continue  # float32 cannot be the reference there; the report says so
        found = first_difference(golden, values, order, ("emulator", side), built)
        if found or (counts[side] and not (side == "QKeras" and why)):
            failure = _failure(side, counts[side], total, found, comparison, network.output.name)
            break
    summary = f"0 of {total:,} logits differ: emulator = C simulation"
    if "QKeras" in sides:
        short = "float32 limit" if limit else "rounded to a stated grid"
        summary += f" (QKeras: {counts['QKeras']:,} differ, {short})" if why else " = QKeras"
    return Proof(total, counts["C simulation"], counts.get("QKeras"), why, layers, failure, summary)


def _failure(side: str, count: int, total: int, found: Difference | None, comparison: Comparison, output: str) -> str:
    if found is None:
        pair = {output: comparison["emulator"].logits}, {output: comparison[side].logits}
        found = first_difference(*pair, [output], ("emulator", side))
    return f"{side} differs from the emulator in {count:,} of {total:,} logits; first difference: {found}"


def built_of(workspace: Workspace) -> tuple[Network, Design]:
    """Return the run's network as it becomes hardware, and its design."""
    return as_built(workspace.card, load(workspace / "network.npz"))

"""The executions of a run held together: all logits, every layer of the golden images, what is behind the logits."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fpgaml.exact import emulate
from fpgaml.exact.agreement import Agreement, decoded, hold
from fpgaml.exact.comparison import Comparison, Execution, Executor, float32_limit
from fpgaml.exact.deviation import off_grid
from fpgaml.ir.accumulate import tensor_types
from fpgaml.ir.fixed import Codes, Floats
from fpgaml.runs.workspace import Workspace
from fpgaml.target.output_head import changed_classes

LOGITS = {Executor.FLOAT: "float_logits.npy", Executor.QKERAS: "quantized_logits.npy"}


@dataclass(frozen=True)
class Proof:
    """Whether the executions are equal bit for bit, and the first difference if not.

    layers: of the golden images, each execution held against the emulator.
    `no_reference` says why QKeras' logits cannot be the reference; empty if they are.
    """

    logits: int
    layers: Mapping[Executor, Agreement]
    no_reference: str
    failure: str
    summary: str


def emulated(workspace: Workspace) -> Mapping[str, Codes]:
    """Return the codes of all test images by the emulator: of the logits, and of what comes behind them."""
    network, (built, _) = workspace.network, workspace.built
    return emulate.trace(built, workspace.data.x_test, {network.output.name, built.output.name})


def load_comparison(workspace: Workspace, ours: Mapping[str, Codes]) -> Comparison:
    """Return the executions of a run on its test images: float and QKeras if they are there, emulator, C simulation.

    ours: what `emulated` gives.
    """
    logits = all_logits(workspace)
    name = workspace.network.output.name
    emulator = tensor_types(workspace.network)[name].decode(ours[name]).reshape(logits[Executor.CSIM].shape)
    order = (Executor.FLOAT, Executor.QKERAS, Executor.EMULATOR, Executor.CSIM)
    found = logits | {Executor.EMULATOR: emulator}
    executions = tuple(Execution(one, found[one]) for one in order if one in found)
    return Comparison(workspace.data.y_test.astype(np.int64), executions)


def all_logits(workspace: Workspace) -> dict[Executor, Floats]:
    """Return the logits (images, classes) that a run has in files: of float and QKeras if it has them, of the C++."""
    network, flat = workspace.network, (len(workspace.data.x_test), -1)
    simulated = tensor_types(network)[network.output.name].decode(workspace.arrays("csim.npz")["logits"])
    files = {one: name for one, name in LOGITS.items() if (workspace / name).is_file()}
    found = {one: workspace.arrays(name)[""] for one, name in files.items()} | {Executor.CSIM: simulated}
    return {one: values.reshape(flat) for one, values in found.items()}


def prove(workspace: Workspace, comparison: Comparison) -> Proof:
    """Hold QKeras and the C simulation against the emulator: all logits, and every layer of the golden images.

    Where QKeras is on no grid, it is held against the layers before that.
    """
    network, (built, _) = workspace.network, workspace.built
    golden = decoded(built, workspace.trace(built, workspace.golden_codes))
    reading = json.loads((workspace / "reading.json").read_text(encoding="utf-8"))
    limit = float32_limit(network, off_grid(network, reading["apart"]))
    why = f"what layer {limit!r} computes can leave what float32 holds exactly" if limit else ""
    why = why or _apart(reading["apart"])
    layers, counts, failure = {}, {}, ""
    ours = comparison[Executor.EMULATOR].logits
    for side, values in _golden_sides(workspace, comparison).items():
        names, out = (Executor.EMULATOR, side), network.output.name
        judged = not failure and not (side is Executor.QKERAS and limit)  # float32 is no reference beyond its limit
        layers[side] = held = hold(golden, values, list(built.shapes), names, built if judged else None)
        logits = hold({out: ours}, {out: comparison[side].logits}, [out], names)
        counts[side] = logits.counts[out]
        if judged and (held.first or (logits.first and not (side is Executor.QKERAS and why))):
            failure = (
                f"{side} differs from the emulator in {counts[side]:,} of {logits.values:,} logits; first difference: "
                f"{held.first or logits.first}"
            )
    summary = f"0 of {ours.size:,} logits differ: {Executor.EMULATOR} = {Executor.CSIM}"
    if Executor.QKERAS in layers:
        short = reading.get("cause") or ("float32 limit" if limit else "rounded to a stated grid")
        unlike = f" ({Executor.QKERAS}: {counts[Executor.QKERAS]:,} differ, {short})"
        summary += unlike if why else f" = {Executor.QKERAS}"
    return Proof(ours.size, layers, why, failure, summary)


def _apart(apart: Mapping[str, str]) -> str:
    """Return why QKeras is on no grid, by the first such layer; empty if it is."""
    return next((f"layer {name!r}: {text}" for name, text in apart.items()), "")


def _golden_sides(workspace: Workspace, comparison: Comparison) -> dict[Executor, dict[str, Floats]]:
    """Return every layer of the golden images as C simulation and QKeras have them."""
    built, _ = workspace.built
    files = workspace.arrays("csim.npz")
    codes = {name.removeprefix("layer."): own for name, own in files.items() if name.startswith("layer.")}
    sides = {Executor.CSIM: decoded(built, codes)}
    if any(execution.name == Executor.QKERAS for execution in comparison.executions):
        sides[Executor.QKERAS] = dict(workspace.arrays("keras_golden.npz"))
    return sides


def compare_head(workspace: Workspace, ours: Mapping[str, Codes]) -> dict[str, Any] | None:
    """Hold what comes out behind the logits against the emulator, and count the classes it changes; None for logits.

    ours: what `emulated` gives. Raises: BitMismatch at the first difference.
    """
    network, (built, _) = workspace.network, workspace.built
    if built.output.name == network.output.name:
        return None
    name, data = built.output.name, workspace.data
    theirs = workspace.arrays("csim.npz")["outputs"]
    held = hold(decoded(built, {name: ours[name]}), decoded(built, {name: theirs}), [name])
    held.require("behind the logits, ")
    return {
        "output": str(workspace.card.design.output),
        "type": str(tensor_types(built)[name]),
        "values": held.values,
        "changed": changed_classes(ours[network.output.name], theirs),
        "correct": float((theirs.argmax(axis=-1) == data.y_test).mean()) if data.labelled else None,
    }

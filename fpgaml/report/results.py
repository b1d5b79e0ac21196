"""Collect what a run found into one record: the content of report.json, and of report.md."""

from __future__ import annotations

import json
import platform
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from fpgaml.exact.comparison import Comparison, Executor
from fpgaml.exact.history import History
from fpgaml.exact.learning_curve import diagnose
from fpgaml.exact.scores import Scores, score
from fpgaml.ir.accumulate import tensor_types
from fpgaml.ir.fixed import Array
from fpgaml.ir.network import Layer, Network, weights_of
from fpgaml.report.records import (
    ComparisonRecord,
    DesignRecord,
    DisagreementRecord,
    ExecutionRecord,
    LayerSize,
    SizeRecord,
    TensorRecord,
    TrainingRecord,
)
from fpgaml.runs.proof import all_logits
from fpgaml.target.design import Design

if TYPE_CHECKING:
    from fpgaml.runs.proof import Proof
    from fpgaml.runs.workspace import Workspace

RECORDED = ("fpgaml", "tensorflow", "keras", "qkeras-v3", "hls4ml", "numpy", "matplotlib")


@dataclass(frozen=True)
class Facts:
    """What a report is made of: the record that is written, and the arrays that are drawn."""

    record: dict[str, Any]
    histories: dict[str, History]
    images: Array
    scores: dict[str, Scores]


def gather(workspace: Workspace) -> Facts:
    """Read a run's files into Facts."""
    network, data, (built, design) = workspace.network, workspace.data, workspace.built
    comparison = json.loads((workspace / "comparison.json").read_text(encoding="utf-8"))
    reading = json.loads((workspace / "reading.json").read_text(encoding="utf-8"))
    histories = {
        name: History.from_json((workspace / f"{name}_history.json").read_text(encoding="utf-8"))
        for name in ("float", "quantized")
    }
    scores = score_all(workspace)
    record = {
        "name": workspace.card.name,
        "note": workspace.card.output.note,
        "comparison": comparison,
        "certificate": certificate_of(workspace),
        "labels": data.names,
        "noun": data.noun,
        "features": data.encoding.names if data.encoding else (),
        "test_images": len(data.x_test),
        "golden_images": min(workspace.card.output.golden_images, len(data.x_test)),
        "size": asdict(size_record(network)),
        "estimate": json.loads((workspace / "estimate.json").read_text(encoding="utf-8")),
        "tensors": [asdict(one) for one in tensor_records(built)],
        "profile": json.loads((workspace / "profile.json").read_text(encoding="utf-8")),
        "notes": reading["notes"],
        "stages": json.loads((workspace / "stages.json").read_text(encoding="utf-8")),
        "scores": {name: own.to_json() for name, own in scores.items()},
        "diagnosis": {
            name: str(diagnose(history))
            for name, history in histories.items()
            if any(epoch.val_loss is not None for epoch in history.epochs)
        },
        "training": {name: asdict(training_record(history)) for name, history in histories.items()},
        "design": asdict(design_record(network, design)),
        "steps": [{"step": name, **done} for name, done in workspace.state.items()],
        "versions": {"python": platform.python_version()} | {name: version(name) for name in RECORDED},
        "digests": {"network": network.digest, "data": data.digest}
        | {name: digest for done in workspace.state.values() for name, digest in done["made"].items()},
    }
    return Facts(record, histories, data.x_test, scores)


def certificate_of(workspace: Workspace) -> dict[str, Any] | None:
    """Return what `fpgaml prove` found of a run's project; None if it was not asked, or of another project."""
    path = workspace / "certificate.json"
    if not path.is_file():
        return None
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found if found.get("project") == workspace.digest(workspace / "hls") else None


def score_all(workspace: Workspace) -> dict[str, Scores]:
    """Return the scores of float, quantized and C simulation; none if a class has no test image."""
    data = workspace.data
    if len(np.unique(data.y_test)) < data.classes:
        return {}
    names = {Executor.FLOAT: "float", Executor.QKERAS: "quantized", Executor.CSIM: str(Executor.CSIM)}
    logits = all_logits(workspace)
    return {name: score(logits[one], data.y_test, data.names) for one, name in names.items()}


def comparison_record(comparison: Comparison, proof: Proof) -> ComparisonRecord:
    """Return the comparison for a report; what needs a float model or labels is None or empty without them."""
    floated, reference = Executor.FLOAT, Executor.CSIM
    labelled = len(comparison.labels) > 0
    floating = labelled and any(execution.name == floated for execution in comparison.executions)
    wrong = comparison.disagreements(floated, reference) if floating else np.zeros(0, np.int64)
    return ComparisonRecord(
        executions=[
            ExecutionRecord(
                execution.name,
                comparison.accuracy(execution.name) if labelled else None,
                comparison.agreement(execution.name, floated) if floating else None,
                None if execution.name == floated else comparison.mismatches(execution.name, reference),
            )
            for execution in comparison.executions
        ],
        logits=proof.logits,
        proved=not proof.failure,
        failure=proof.failure,
        no_reference=proof.no_reference,
        layers={executor: held.counts for executor, held in proof.layers.items()},
        confusion={name: comparison.confusion(name).tolist() for name in (floated, reference) if floating},
        disagreements=[
            DisagreementRecord(
                int(image),
                int(comparison.labels[image]),
                int(comparison[floated].classes[image]),
                int(comparison[reference].classes[image]),
            )
            for image in wrong
        ],
    )


def size_record(network: Network) -> SizeRecord:
    """Return how large a network is: parameters, non-zero ones, and bits of storage, in all and by layer."""
    layers = [_size(layer) for layer in network if weights_of(layer)]
    parameters = sum(layer.parameters for layer in layers)
    nonzero, bits = sum(layer.nonzero for layer in layers), sum(layer.bits for layer in layers)
    return SizeRecord(layers, parameters, nonzero, bits, float32_bits=32 * parameters)


def _size(layer: Layer) -> LayerSize:
    held = weights_of(layer).values()
    return LayerSize(
        layer.name,
        parameters=sum(int(w.codes.size) for w in held),
        nonzero=sum(int(np.count_nonzero(w.codes)) for w in held),
        bits=sum(int(w.codes.size) * w.type.width for w in held),
    )


def tensor_records(network: Network) -> list[TensorRecord]:
    """Return the effective type of every tensor, in order: outputs, accumulators and weights."""
    types = tensor_types(network)
    rows = []
    for layer in network:
        held = weights_of(layer)
        rows += [TensorRecord(layer.name, field, list(w.codes.shape), str(w.type)) for field, w in held.items()]
        what = "accumulator and output" if held else "output"
        rows.append(TensorRecord(layer.name, what, list(network.shapes[layer.name]), str(types[layer.name])))
    return rows


def training_record(history: History) -> TrainingRecord:
    """Return a training in a few figures."""
    if not history.epochs:
        return TrainingRecord(epochs=0, kept=0, seconds=0.0, ended=history.ended, val_accuracy=None)
    return TrainingRecord(
        epochs=len(history.epochs),
        kept=history.kept,
        seconds=round(history.seconds, 1),
        ended=history.ended,
        val_accuracy=history.best.val_accuracy,
    )


def design_record(network: Network, design: Design) -> DesignRecord:
    """Return how a network was built."""
    return DesignRecord(
        backend=str(design.backend),
        part=design.part,
        clock_ns=design.clock_ns,
        io_type=str(design.io_type),
        strategy=str(design.strategy),
        reuse_factor={layer.name: design.reuse_of(layer.name) for layer in network if weights_of(layer)},
    )

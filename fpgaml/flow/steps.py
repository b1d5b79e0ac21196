"""The main job, `run(card)`: eight steps, each a function on a `Workspace`; STEPS says what they read and write.

    train      the float model                               float.keras
    quantize   its QKeras twin, read as a Network            network.npz, golden.npz
    profile    what the numbers do, types that fit them      profile.json
    convert    hls4ml's C++, read back and completed         hls/
    csim       the C++ on all test images                    csim.npz
    estimate   latency and resources before synthesis        estimate.json
    compare    QKeras and the C++ against the emulator       comparison.json
    report     what a person reads                           report.html, report.md, report.json, figures/

The golden vector travels: test images and the emulator's codes for every layer, made once by `quantize`, are what Keras
and the C++ are held against in `compare`. A step imports what it works with when it is done: a run in which nothing
changed loads none of it. What is done again, and when, is the engine's (engine.py).
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fpgaml.card.built import as_built
from fpgaml.card.runcard import RunCard
from fpgaml.card.sections import Stage
from fpgaml.card.toml import load_card
from fpgaml.card.untrained import skeleton
from fpgaml.datasets.dataset import Dataset
from fpgaml.datasets.raw import RAW_ROWS
from fpgaml.datasets.sources import shape_of
from fpgaml.errors import BitMismatch, ConfigError, UnsupportedLayer
from fpgaml.flow.engine import Engine, Listener, Silent, Step
from fpgaml.ir.saving import save
from fpgaml.runs.workspace import Workspace, write_npy, write_npz
from fpgaml.target.design import check_design
from fpgaml.target.noise import keras_noise

if TYPE_CHECKING:
    from fpgaml.exact.history import Epoch, History
    from fpgaml.ir.fixed import Floats
    from fpgaml.precision.histogram import Statistics

STACK = ("tensorflow", "keras", "qkeras-v3", "hls4ml", "numpy")


def run(
    card: RunCard,
    *,
    base: Path | None = None,
    first: str | None = None,
    last: str | None = None,
    force: bool = False,
    listener: Listener | None = None,
) -> Workspace:
    """Do the steps from `first` to `last` whose inputs changed (all of them if `force`), and return the run.

    Raises: ConfigError for unknown steps or missing inputs; BitMismatch if executions differ; whatever a step raises.
    """
    engine = Engine(STEPS, Workspace.at(card, base), listener or Silent())
    chosen = engine.between(first, last)
    check_card(engine)
    with engine.workspace.held():
        engine.do(chosen, force=chosen if force else [name for name in chosen if name == first])
    return engine.workspace


def check_card(engine: Engine) -> None:
    """Refuse before any work what would else fail after it: a teacher, data, layers or a design that cannot be."""
    workspace = engine.workspace
    if all(engine.unchanged(step.name) for step in STEPS):
        return  # what was done as it would be done now was found good then
    check_teacher(workspace.card)
    shape = shape_of(workspace.card) if engine.unchanged("train") else None
    network = skeleton(workspace.card, workspace.data.shape if shape is None else shape)
    if network:
        check_design(*as_built(workspace.card, network))


def check_teacher(card: RunCard) -> None:
    """Raise ConfigError if the card learns from a model or card that is not there."""
    path = card.folder / card.compression.teacher
    if Stage.DISTILL not in card.compress or not card.compression.teacher:
        return
    if not path.is_file():
        raise ConfigError(
            f"compression.teacher {path} does not exist; name a .keras model or a card, from the card's folder"
        )
    if path.suffix == ".toml":
        load_card(path)


# --- the steps ------------------------------------------------------------------------------------------------------


def _train(workspace: Workspace, listener: Listener) -> str:
    card, data = workspace.card, workspace.data
    with keras_noise(workspace.log("train")):
        from fpgaml.flow import verbs
        from fpgaml.frontend import store

        with _diverged_saved(workspace / "float_diverged.keras"):
            model, history = verbs.train(card, data, progress=_epochs(listener))
        logits = verbs.keras_logits(model, data, data.x_test)
        _save(workspace, "float", model, history, logits, store)
    return f"float accuracy {_accuracy(logits, data):.2%}, {_epoch_summary(history)}"


def _quantize(workspace: Workspace, listener: Listener) -> str:
    card, data = workspace.card, workspace.data
    with keras_noise(workspace.log("quantize")):
        from fpgaml.flow import verbs
        from fpgaml.frontend import store

        float_model = store.load(workspace / "float.keras")
        with _diverged_saved(workspace / "quantized_diverged.keras"):
            found = verbs.compress(card, float_model, data, progress=lambda name, epoch: _epochs(listener, name)(epoch))
        model, history = found.model, found.stages[-1].history
        stages = [{key: value for key, value in vars(stage).items() if key != "history"} for stage in found.stages]
        asked = model, card.name, data.input_type
        reading = verbs.read_model(*asked, card.quantization.scale_bits)
        settled = verbs.settle(*asked, data.x_test, card.quantization.scale_bits) if reading.real else None
        reading = settled.reading if settled else reading
        logits = verbs.keras_logits(model, data, data.x_test)
        golden = data.x_test[: card.output.golden_images]
        keras_golden = verbs.keras_layers(model, reading.keras_names, data.values(golden))
        _save(workspace, "quantized", model, history, logits, store)
    network = reading.network
    codes = workspace.trace(network, golden)
    workspace.write("network.npz", lambda path: save(network, path))
    write_npz(workspace, "golden.npz", dict(codes))
    workspace.write("raw.npz", data.raw(RAW_ROWS).save)
    write_npz(workspace, "keras_golden.npz", keras_golden)
    notes = (*reading.notes, settled.text) if settled else reading.notes
    record = {"keras_names": reading.keras_names, "notes": notes, "apart": reading.apart}
    record |= {"cause": settled.cause if settled else ""}
    workspace.write("stages.json", lambda path: path.write_text(json.dumps(stages, indent=1), encoding="utf-8"))
    workspace.write("reading.json", lambda path: path.write_text(json.dumps(record, indent=1), encoding="utf-8"))
    return f"quantized accuracy {_accuracy(logits, data):.2%}, {_epoch_summary(history)}"


def _profile(workspace: Workspace, listener: Listener) -> str:
    from fpgaml.precision.profile import plain, profile
    from fpgaml.precision.recommend import Criterion, recommend

    data, network = workspace.data, workspace.network
    found = profile(network, data.x_test, data.y_test)
    types = recommend(network, data.x_test, Criterion.OBSERVED, data.y_test)
    with keras_noise(workspace.log("profile")):
        floats, after_training = _float_profile(workspace, data)
    record = {
        "profile": found,
        "floats": floats,
        "after_training": after_training,
        "recommendation": {
            name: getattr(types, name)
            for name in (
                "criterion", "choices", "images", "promised", "changed_outputs", "correct_before", "correct_after",
                "weight_bits", "activation_bits",
            )
        },
    }  # fmt: skip
    text = json.dumps(plain(record), indent=1)
    workspace.write("profile.json", lambda path: path.write_text(text, encoding="utf-8"))
    overflowing = sum(1 for t in found.tensors if t.cast and t.cast.overflowed)
    return (
        f"{len(found.tensors)} tensors over {len(data.x_test):,} {data.noun}s, {overflowing} saturate or wrap "
        f"somewhere; types that never do: {types.activation_bits[1] - types.activation_bits[0]:+,} activation bits per "
        f"{data.noun}"
    )


def _float_profile(workspace: Workspace, data: Dataset) -> tuple[dict[str, Statistics], dict[str, Any]]:
    """Return the float model's tensors and what it keeps of its accuracy when only rounded, at the card's bits."""
    from fpgaml.runs.opener import open_float
    from fpgaml.runs.subject import at_equal_bits

    try:
        subject = open_float(workspace / "float.keras", data)
    except UnsupportedLayer as error:
        return {}, {"note": str(error)}
    own = workspace.card.quantization
    if own.layers or own.weight_bits != own.activation_bits:
        return subject.float_statistics(), {"note": "the layers have different numbers of bits"}
    correct = at_equal_bits(subject, own.weight_bits)
    return subject.float_statistics(), {"bits": own.weight_bits, "correct": correct, "images": len(data.x_test)}


def _convert(workspace: Workspace, listener: Listener) -> str:
    from fpgaml.backend import cpp
    from fpgaml.flow import deploy

    network, design = workspace.built
    check_design(network, design)
    cpp.convert(network, design, workspace / "hls", log=workspace.log("convert"))
    codes = workspace.golden_codes
    deploy.complete(network, design, workspace / "hls", codes, workspace.trace(network, codes))
    return f"{design.backend} {design.io_type} project for {design.part}, types and weights read back equal"


def _csim(workspace: Workspace, listener: Listener) -> str:
    from fpgaml.backend import csim

    data, logits_layer, (network, _) = workspace.data, workspace.network.output.name, workspace.built
    listener.progress(0, len(data.x_test), "compiling with g++")
    start = time.perf_counter()
    program = csim.build(network, workspace / "hls", log=workspace.log("g++"), images=len(data.x_test))
    compiled = time.perf_counter()
    total = len(data.x_test)
    found = {"logits": network.output.name}
    if network.output.name != logits_layer:
        found = {"logits": logits_layer, "outputs": network.output.name}
    outputs, layers = csim.simulate(
        program, data.x_test, trace=set(found.values()) - {network.output.name},
        progress=lambda n: listener.progress(n, total, f"{data.noun}s"),
    )  # fmt: skip
    layers[network.output.name] = outputs
    simulated = time.perf_counter()
    if logits_layer not in layers:
        raise ConfigError(f"logits of more than 53 bits cannot be seen behind {workspace.card.design.output!r}")
    all_images = {name: layers[layer] for name, layer in found.items()}
    _, layers = csim.simulate(program, workspace.golden_codes, trace=True)
    write_npz(workspace, "csim.npz", all_images | {f"layer.{name}": codes for name, codes in layers.items()})
    rate = total / (simulated - compiled)
    return f"{total:,} {data.noun}s, compiled in {compiled - start:.1f} s, {rate:,.0f} {data.noun}s/s"


def _estimate(workspace: Workspace, listener: Listener) -> str:
    from fpgaml.report.estimates import estimate_record

    network, design = workspace.built
    record = estimate_record(network, design, workspace / "hls")
    text = json.dumps(record, indent=1)
    workspace.write("estimate.json", lambda path: path.write_text(text, encoding="utf-8"))
    micro = record["latency_us"]
    return (
        f"latency ~{micro['median']:,.3g} µs ({micro['low']:,.3g} to {micro['high']:,.3g}), {record['part']}: "
        f"{record['verdict']}"
    )


def _compare(workspace: Workspace, listener: Listener) -> str:
    from fpgaml.report.results import comparison_record
    from fpgaml.runs.proof import compare_head, emulated, load_comparison, prove

    ours = emulated(workspace)
    comparison = load_comparison(workspace, ours)
    proof = prove(workspace, comparison)
    head = None if proof.failure else compare_head(workspace, ours)
    text = json.dumps(asdict(comparison_record(comparison, proof)) | {"head": head}, indent=1)
    workspace.write("comparison.json", lambda path: path.write_text(text, encoding="utf-8"))
    if proof.failure:
        from fpgaml.report.failure import write_failure

        write_failure(workspace, proof)
        raise BitMismatch(proof.failure)
    if head is None:
        return proof.summary
    behind = f"{head['output']}: 0 of {head['values']:,} differ, the class of {head['changed']:,}"
    return f"{proof.summary}; {behind} {workspace.data.noun}s changes"


def _report(workspace: Workspace, listener: Listener) -> str:
    from fpgaml.report import write_report

    return write_report(workspace)


STEPS = (
    Step(
        "train",
        _train,
        (),
        ("float.keras", "float_history.json", "float_logits.npy"),
        ("data", "model", "training"),
        STACK,
    ),
    Step(
        "quantize",
        _quantize,
        ("float.keras",),
        (
            "quantized.keras", "quantized_history.json", "quantized_logits.npy", "network.npz", "reading.json",
            "golden.npz", "raw.npz", "keras_golden.npz", "stages.json",
        ),
        ("data", "training", "compress", "compression", "quantization", "output"),
        STACK,
    ),
    Step(
        "profile",
        _profile,
        ("network.npz", "float.keras"),
        ("profile.json",),
        ("data", "quantization"),
        ("numpy", "tensorflow", "keras"),
    ),
    Step("convert", _convert, ("network.npz", "golden.npz"), ("hls",), ("design",), ("hls4ml",)),
    Step("csim", _csim, ("network.npz", "golden.npz", "hls"), ("csim.npz",), ("data",)),
    Step("estimate", _estimate, ("network.npz", "hls"), ("estimate.json",), ("design",)),
    Step(
        "compare",
        _compare,
        (
            "network.npz", "reading.json", "float_logits.npy", "quantized_logits.npy", "golden.npz", "keras_golden.npz",
            "csim.npz",
        ),
        ("comparison.json",),
        ("data",),
    ),
    Step(
        "report",
        _report,
        (
            "comparison.json", "profile.json", "estimate.json", "network.npz", "csim.npz", "float_history.json",
            "quantized_history.json", "stages.json", "float_logits.npy", "quantized_logits.npy",
        ),
        ("report.html", "report.md", "report.json", "figures"),
        ("data", "model", "training", "compress", "compression", "quantization", "design", "output"),
        ("matplotlib",),
    ),
)  # fmt: skip


# --- pieces ---------------------------------------------------------------------------------------------------------


def _save(workspace: Workspace, name: str, model: Any, history: History, logits: Floats, store: Any) -> None:
    store.save(model, workspace / f"{name}.keras")
    workspace.write(f"{name}_history.json", lambda path: path.write_text(history.to_json(), encoding="utf-8"))
    workspace.write(f"{name}_logits.npy", lambda path: write_npy(path, logits))


@contextlib.contextmanager
def _diverged_saved(path: Path) -> Iterator[None]:
    """Save what a training that diverged had reached before, and say where it is."""
    from fpgaml.frontend import store
    from fpgaml.training.fit import Diverged

    try:
        yield
    except Diverged as error:
        if not error.kept:
            raise
        store.save(error.model, path)
        raise ConfigError(f"{error}; it is saved as {path}") from error


def _accuracy(logits: Floats, data: Dataset) -> float:
    from fpgaml.exact.comparison import classify

    return float((classify(logits) == data.y_test).mean())


def _epochs(listener: Listener, stage: str = "") -> Callable[[Epoch], None]:
    def tell(epoch: Epoch) -> None:
        shown = epoch.accuracy if epoch.val_accuracy is None else epoch.val_accuracy
        listener.progress(epoch.number, epoch.of, f"epochs{f' of {stage}' if stage else ''}, accuracy {shown:.2%}")

    return tell


def _epoch_summary(history: History) -> str:
    return f"{len(history.epochs)} epochs, kept {history.kept}" if history.epochs else "no training"

"""The main job: STEPS, and run(), which does those whose inputs changed.

    train -> quantize -> profile -> convert -> csim -> estimate -> compare -> report

A step is a function on a `Workspace` with the files it needs and makes. The golden vector travels: test images and
the emulator's codes for every layer, made once by `quantize`, are what Keras and the C++ are held against in `compare`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Callable, Collection, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from fpgaml.backend import cpp, csim
from fpgaml.card.built import as_built
from fpgaml.card.runcard import RunCard
from fpgaml.card.sections import Stage, module_file
from fpgaml.card.toml import load_card
from fpgaml.card.untrained import skeleton
from fpgaml.datasets.dataset import NAMED, Dataset
from fpgaml.datasets.raw import RAW_ROWS
from fpgaml.datasets.sources import load_data
from fpgaml.errors import BitMismatch, ConfigError, UnsupportedLayer, nearest
from fpgaml.exact import emulate
from fpgaml.exact.comparison import Execution
from fpgaml.exact.history import Epoch, History
from fpgaml.flow import deploy, verbs
from fpgaml.ir.fixed import Floats
from fpgaml.ir.saving import load, save
from fpgaml.precision.histogram import Statistics
from fpgaml.precision.profile import plain, profile
from fpgaml.precision.recommend import Criterion, recommend
from fpgaml.report import results
from fpgaml.runs.proof import built_of, compare_head, load_comparison, prove
from fpgaml.runs.subject import at_equal_bits, open_float
from fpgaml.runs.workspace import Workspace, digest_of, write_npy, write_npz
from fpgaml.target.design import check_design
from fpgaml.target.noise import keras_noise

STACK = ("tensorflow", "keras", "qkeras-v3", "hls4ml", "numpy")


class Listener(Protocol):
    """Who is told how a run goes. All methods may do nothing."""

    def started(self, step: str) -> None:
        """A step begins."""

    def progress(self, done: int, total: int, text: str) -> None:
        """A step has done so much of its work."""

    def finished(self, step: str, seconds: float, summary: str, skipped: bool) -> None:
        """A step is done, or was done before and is skipped."""


class Silent:
    """A listener that says nothing."""

    def started(self, step: str) -> None: ...
    def progress(self, done: int, total: int, text: str) -> None: ...
    def finished(self, step: str, seconds: float, summary: str, skipped: bool) -> None: ...


class Step(NamedTuple):
    """One step: the function, what it reads and writes, the card sections and packages that decide its result."""

    name: str
    run: Callable[[Workspace, Listener], str]
    needs: tuple[str, ...]
    makes: tuple[str, ...]
    sections: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()


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
    begin, end = _place(first, 0), _place(last, len(STEPS) - 1)
    if begin > end:
        raise ConfigError(f"step {first!r} comes after {last!r}; the order is {', '.join(s.name for s in STEPS)}")
    check_card(card)
    workspace = Workspace.open(card, base)
    for step in STEPS[begin : end + 1]:
        do_step(step, workspace, force or (first is not None and step.name == first), listener or Silent())
    return workspace


def check_card(card: RunCard) -> None:
    """Refuse before any work what would else fail after it: a teacher, data, layers or a design that cannot be."""
    check_teacher(card)
    network = skeleton(card, load_data(card).shape)
    if network:
        check_design(*as_built(card, network))


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


def _place(name: str | None, default: int) -> int:
    names = [step.name for step in STEPS]
    if name is None:
        return default
    if name not in names:
        raise ConfigError(f"there is no step {name!r}{nearest(name, names)}; the steps are {', '.join(names)}")
    return names.index(name)


def do_step(step: Step, workspace: Workspace, force: bool, listener: Listener) -> None:
    """Do one step unless what it is made from is unchanged. Raises: ConfigError if that is missing."""
    missing = [name for name in step.needs if not (workspace / name).exists()]
    if missing:
        maker = next(s.name for s in STEPS if missing[0] in s.makes)
        raise ConfigError(
            f"step {step.name!r} needs {workspace / missing[0]}, which step {maker!r} makes; run that first"
        )
    digest = _digest(step, workspace)
    before = workspace.state.get(step.name, {})
    if not force and before.get("digest") == digest and before.get("made") == _made(step, workspace):
        listener.finished(step.name, before["seconds"], before["summary"], skipped=True)
        return
    workspace.forget(step.name)
    listener.started(step.name)
    start = time.perf_counter()
    summary = step.run(workspace, listener)
    seconds = time.perf_counter() - start
    workspace.state[step.name] = {
        "digest": digest,
        "made": _made(step, workspace),
        "seconds": round(seconds, 3),
        "summary": summary,
    }
    workspace.save_state()
    listener.finished(step.name, seconds, summary, skipped=False)


def _digest(step: Step, workspace: Workspace) -> str:
    card = workspace.card.model_dump(mode="json")
    record = {
        "step": step.name,
        "name": workspace.card.name,
        "card": {section: card[section] for section in step.sections},
        "needs": {name: digest_of(workspace / name) for name in step.needs},
        "versions": {name: version(name) for name in step.packages} | {"fpgaml": _own_digest()},
        "files": named_files(workspace.card, step.sections),
    }
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def _made(step: Step, workspace: Workspace) -> dict[str, str]:
    return {name: digest_of(workspace / name) for name in step.makes}


def _own_digest() -> str:
    """Return a digest of fpgaml itself: its version, and its sources, so that a changed step is done again."""
    package = Path(__file__).parents[1]
    sha = hashlib.sha256(version("fpgaml").encode())
    for path in sorted([*package.rglob("*.py"), *package.rglob("*.in"), *package.rglob("*.j2")]):
        sha.update(path.read_bytes())
    return sha.hexdigest()


def named_files(card: RunCard, sections: Collection[str]) -> dict[str, str]:
    """Return what the files hold that some sections of a card name, as digests: a changed file changes the step.

    Sets that never change have their name instead. A card named as teacher counts, the files that it names do not.
    """
    source, teacher, module = card.data.source, card.compression.teacher, card.model.function.partition(":")[0]
    found = {}
    if "data" in sections:
        found["data"] = source if source in NAMED else digest_of(card.folder / source)
        others = {"test": card.data.test, "validation": card.data.validation}
        found |= {what: digest_of(card.folder / name) for what, name in others.items() if name}
    if "compression" in sections and teacher:
        found["teacher"] = digest_of(card.folder / teacher)
    if "model" in sections and module:
        found["function"] = digest_of(module_file(module, card.folder))
    return found


# --- the steps ------------------------------------------------------------------------------------------------------


def _train(workspace: Workspace, listener: Listener) -> str:
    card, data = workspace.card, load_data(workspace.card)
    with keras_noise(workspace.log("train")):
        from fpgaml.frontend import store

        with _diverged_saved(workspace / "float_diverged.keras"):
            model, history = verbs.train(card, data, progress=_epochs(listener))
        logits = verbs.keras_logits(model, data, data.x_test)
        _save(workspace, "float", model, history, logits, store)
    return f"float accuracy {_accuracy(logits, data):.2%}, {_epoch_summary(history)}"


def _quantize(workspace: Workspace, listener: Listener) -> str:
    card, data = workspace.card, load_data(workspace.card)
    with keras_noise(workspace.log("quantize")):
        from fpgaml.frontend import store

        float_model = store.load(workspace / "float.keras")
        with _diverged_saved(workspace / "quantized_diverged.keras"):
            found = verbs.compress(card, float_model, data, progress=lambda name, epoch: _epochs(listener, name)(epoch))
        model, history = found.model, found.stages[-1].history
        stages = [{key: value for key, value in vars(stage).items() if key != "history"} for stage in found.stages]
        reading = verbs.read_model(model, card.name, data.input_type, card.quantization.scale_bits)
        logits = verbs.keras_logits(model, data, data.x_test)
        golden = data.x_test[: card.output.golden_images]
        keras_golden = verbs.keras_layers(model, reading.keras_names, data.values(golden))
        _save(workspace, "quantized", model, history, logits, store)
    network = reading.network
    codes = emulate.trace(network, golden)
    workspace.write("network.npz", lambda path: save(network, path))
    write_npz(workspace, "golden.npz", codes)
    workspace.write("raw.npz", data.raw(RAW_ROWS).save)
    write_npz(workspace, "keras_golden.npz", keras_golden)
    record = {"keras_names": reading.keras_names, "notes": reading.notes, "apart": reading.apart}
    workspace.write("stages.json", lambda path: path.write_text(json.dumps(stages, indent=1), encoding="utf-8"))
    workspace.write("reading.json", lambda path: path.write_text(json.dumps(record, indent=1), encoding="utf-8"))
    return f"quantized accuracy {_accuracy(logits, data):.2%}, {_epoch_summary(history)}"


def _profile(workspace: Workspace, listener: Listener) -> str:
    data, network = load_data(workspace.card), load(workspace / "network.npz")
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
        f"{len(found.tensors)} tensors over {len(data.x_test):,} images, {overflowing} saturate or wrap somewhere; "
        f"types that never do: {types.activation_bits[1] - types.activation_bits[0]:+,} activation bits an image"
    )


def _float_profile(workspace: Workspace, data: Dataset) -> tuple[dict[str, Statistics], dict[str, Any]]:
    """Return the float model's tensors and what it keeps of its accuracy when only rounded, at the card's bits."""
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
    network, design = built_of(workspace)
    check_design(network, design)
    cpp.convert(network, design, workspace / "hls", log=workspace.log("convert"))
    with np.load(workspace / "golden.npz") as file:
        deploy.complete(network, design, workspace / "hls", file[network.input.name])
    return f"{design.backend} {design.io_type} project for {design.part}, types and weights read back equal"


def _csim(workspace: Workspace, listener: Listener) -> str:
    data, logits_layer = load_data(workspace.card), load(workspace / "network.npz").output.name
    network, _ = built_of(workspace)
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
        progress=lambda n: listener.progress(n, total, "images"),
    )  # fmt: skip
    layers[network.output.name] = outputs
    simulated = time.perf_counter()
    if logits_layer not in layers:
        raise ConfigError(f"logits of more than 53 bits cannot be seen behind {workspace.card.design.output!r}")
    all_images = {name: layers[layer] for name, layer in found.items()}
    golden = np.load(workspace / "golden.npz")[network.input.name]
    _, layers = csim.simulate(program, golden, trace=True)
    write_npz(workspace, "csim.npz", all_images | {f"layer.{name}": codes for name, codes in layers.items()})
    rate = total / (simulated - compiled)
    return f"{total:,} images, compiled in {compiled - start:.1f} s, {rate:,.0f} images/s"


def _estimate(workspace: Workspace, listener: Listener) -> str:
    from fpgaml.report.estimates import estimate_record

    network, design = built_of(workspace)
    record = estimate_record(network, design, workspace / "hls")
    text = json.dumps(record, indent=1)
    workspace.write("estimate.json", lambda path: path.write_text(text, encoding="utf-8"))
    fit = record["fit"]["after logic synthesis"]
    micro = record["latency_us"]
    return (
        f"latency ~{micro['median']:,.3g} µs ({micro['low']:,.3g} to {micro['high']:,.3g}), {record['part']}: "
        f"{fit['verdict']} ({fit['probability']:.0%} likely to fit), {fit['limiting']} limits"
    )


def _compare(workspace: Workspace, listener: Listener) -> str:
    data, network = load_data(workspace.card), load(workspace / "network.npz")
    comparison = load_comparison(workspace, network, data)
    proof = prove(workspace, network, comparison)
    head = None if proof.failure else compare_head(workspace, network, data)
    text = json.dumps(results.comparison_record(comparison, proof) | {"head": head}, indent=1)
    workspace.write("comparison.json", lambda path: path.write_text(text, encoding="utf-8"))
    if proof.failure:
        raise BitMismatch(proof.failure)
    if head is None:
        return proof.summary
    behind = f"{head['output']}: 0 of {head['values']:,} differ, the class of {head['changed']:,} images changes"
    return f"{proof.summary}; {behind}"


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
        ("report.md", "report.json", "figures"),
        ("data", "model", "training", "compress", "compression", "quantization", "design", "output"),
        ("matplotlib",),
    ),
)  # fmt: skip
STEP_NAMES = tuple(step.name for step in STEPS)


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
    return float((Execution("", logits).classes == data.y_test).mean())


def _epochs(listener: Listener, stage: str = "") -> Callable[[Epoch], None]:
    def tell(epoch: Epoch) -> None:
        shown = epoch.accuracy if epoch.val_accuracy is None else epoch.val_accuracy
        listener.progress(epoch.number, epoch.of, f"epochs{f' of {stage}' if stage else ''}, accuracy {shown:.2%}")

    return tell


def _epoch_summary(history: History) -> str:
    return f"{len(history.epochs)} epochs, kept {history.kept}" if history.epochs else "no training"

"""The main job: STEPS, and run(), which does those whose inputs changed.

    train -> quantize -> profile -> convert -> csim -> estimate -> compare -> report

A step is a function on a `Workspace` with the files it needs and makes. The golden vector travels: test images and
the emulator's codes for every layer, made once by `quantize`, are what Keras and the C++ are held against in `compare`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable, Collection, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from fpgaml import bench, emulate, verbs
from fpgaml.accumulate import tensor_types
from fpgaml.comparison import Comparison, Difference, Execution, first_difference, float32_limit
from fpgaml.dataset import NAMED, Dataset
from fpgaml.design import Design, check_design
from fpgaml.errors import BitMismatch, ConfigError, UnsupportedLayer, nearest
from fpgaml.external import csim
from fpgaml.fixed import Floats
from fpgaml.head import changed_classes
from fpgaml.histogram import Statistics
from fpgaml.history import Epoch, History
from fpgaml.network import Network, load, save
from fpgaml.precision import at_equal_bits, open_float
from fpgaml.profile import plain, profile
from fpgaml.recommend import Criterion, recommend
from fpgaml.report import results
from fpgaml.runcard import RunCard, Stage, load_card, module_file
from fpgaml.skeleton import skeleton
from fpgaml.workspace import Workspace, digest_of

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
    network = skeleton(card, verbs.load_data(card).shape)
    if network:
        check_design(*verbs.as_built(card, network))


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
    package = Path(__file__).parent
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
    if "compression" in sections and teacher:
        found["teacher"] = digest_of(card.folder / teacher)
    if "model" in sections and module:
        found["function"] = digest_of(module_file(module, card.folder))
    return found


# --- the steps ------------------------------------------------------------------------------------------------------


def _train(workspace: Workspace, listener: Listener) -> str:
    card, data = workspace.card, verbs.load_data(workspace.card)
    with keras_noise(workspace.log("train")):
        from fpgaml.learn import store

        with _diverged_saved(workspace / "float_diverged.keras"):
            model, history = verbs.train(card, data, progress=_epochs(listener))
        logits = verbs.keras_logits(model, data, data.x_test)
        _save(workspace, "float", model, history, logits, store)
    return f"float accuracy {_accuracy(logits, data):.2%}, {_epoch_summary(history)}"


def _quantize(workspace: Workspace, listener: Listener) -> str:
    card, data = workspace.card, verbs.load_data(workspace.card)
    with keras_noise(workspace.log("quantize")):
        from fpgaml.learn import store

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
    write_npz(workspace, "keras_golden.npz", keras_golden)
    record = {"keras_names": reading.keras_names, "notes": reading.notes, "apart": reading.apart}
    workspace.write("stages.json", lambda path: path.write_text(json.dumps(stages, indent=1), encoding="utf-8"))
    workspace.write("reading.json", lambda path: path.write_text(json.dumps(record, indent=1), encoding="utf-8"))
    return f"quantized accuracy {_accuracy(logits, data):.2%}, {_epoch_summary(history)}"


def _profile(workspace: Workspace, listener: Listener) -> str:
    data, network = verbs.load_data(workspace.card), load(workspace / "network.npz")
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
    network, design = _built(workspace)
    check_design(network, design)
    verbs.convert(network, design, workspace / "hls", log=workspace.log("convert"))
    with np.load(workspace / "golden.npz") as file:
        bench.complete(network, design, workspace / "hls", file[network.input.name])
    return f"{design.backend} {design.io_type} project for {design.part}, types and weights read back equal"


def _csim(workspace: Workspace, listener: Listener) -> str:
    data, logits_layer = verbs.load_data(workspace.card), load(workspace / "network.npz").output.name
    network, _ = _built(workspace)
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

    network, design = _built(workspace)
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
    data, network = verbs.load_data(workspace.card), load(workspace / "network.npz")
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


def compare_head(workspace: Workspace, network: Network, data: Dataset) -> dict[str, Any] | None:
    """Hold what comes out behind the logits against the emulator, and count the classes it changes; None for logits.

    Raises: BitMismatch at the first difference.
    """
    built, _ = _built(workspace)
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
            "golden.npz", "keras_golden.npz", "stages.json",
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
    built, _ = _built(workspace)
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


def _built(workspace: Workspace) -> tuple[Network, Design]:
    """Return the run's network as it becomes hardware, and its design."""
    return verbs.as_built(workspace.card, load(workspace / "network.npz"))


# --- pieces ---------------------------------------------------------------------------------------------------------


def _save(workspace: Workspace, name: str, model: Any, history: History, logits: Floats, store: Any) -> None:
    store.save(model, workspace / f"{name}.keras")
    workspace.write(f"{name}_history.json", lambda path: path.write_text(history.to_json(), encoding="utf-8"))
    workspace.write(f"{name}_logits.npy", lambda path: write_npy(path, logits))


@contextlib.contextmanager
def _diverged_saved(path: Path) -> Iterator[None]:
    """Save what a training that diverged had reached before, and say where it is."""
    from fpgaml.learn import store
    from fpgaml.learn.training import Diverged

    try:
        yield
    except Diverged as error:
        if not error.kept:
            raise
        store.save(error.model, path)
        raise ConfigError(f"{error}; it is saved as {path}") from error


def write_npy(path: Path, array: Any) -> None:
    """Write an array to exactly `path`."""
    with path.open("wb") as file:
        np.save(file, array)


def write_npz(workspace: Workspace, name: str, arrays: dict[str, Any]) -> None:
    """Write arrays to a file of the run."""

    def write(path: Path) -> None:
        with path.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)

    workspace.write(name, write)


def _accuracy(logits: Floats, data: Dataset) -> float:
    return float((Execution("", logits).classes == data.y_test).mean())


def _epochs(listener: Listener, stage: str = "") -> Callable[[Epoch], None]:
    def tell(epoch: Epoch) -> None:
        shown = epoch.accuracy if epoch.val_accuracy is None else epoch.val_accuracy
        listener.progress(epoch.number, epoch.of, f"epochs{f' of {stage}' if stage else ''}, accuracy {shown:.2%}")

    return tell


def _epoch_summary(history: History) -> str:
    return f"{len(history.epochs)} epochs, kept {history.kept}" if history.epochs else "no training"


@contextlib.contextmanager
def keras_noise(log: Path) -> Iterator[None]:
    """Send what TensorFlow's C++ code prints to file descriptor 2, and Python warnings, into the log."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    saved = os.dup(2)
    try:
        with log.open("ab") as file:
            os.dup2(file.fileno(), 2)
            yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)

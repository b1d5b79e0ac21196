"""Convert a model made elsewhere: read it, write its HLS project, and prove it, in a folder that is a run's.

    made = convert_model(Path("model.keras"), data=Path("images.npz"), design={"board": "kv260"})
    made.summary       0 of 5,000 logits differ: emulator = C simulation = QKeras
    made.folder        hls_projects/model: fpgaml simulate, estimate, profile, board, export, synth take it

The folder is what `fpgaml run` leaves, without training. Its card names the model in `model.file`, and in `data.source`
the file ``images.npz`` beside it: the codes that were simulated, with their labels. So each command that asks the card
for images (`load_data`) gets these. The steps behind `read` are those of steps.py, and as there what did not
change is not done again.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from fpgaml.card.built import as_built
from fpgaml.card.runcard import RunCard
from fpgaml.card.toml import card_of
from fpgaml.datasets import raw
from fpgaml.datasets.dataset import save_codes
from fpgaml.datasets.inputs import given_codes
from fpgaml.datasets.proof_images import IMAGES, Images, load_images
from fpgaml.datasets.raw import RAW_ROWS, RawRows
from fpgaml.errors import ConfigError, DataError
from fpgaml.exact.comparison import Executor
from fpgaml.flow import verbs
from fpgaml.flow.engine import Engine, Listener, Silent
from fpgaml.flow.steps import STEPS
from fpgaml.ir.accumulate import tensor_types
from fpgaml.ir.fixed import PIXEL, FixedPoint, Floats
from fpgaml.ir.network import Network, check_identifier, identifier
from fpgaml.ir.saving import load, save
from fpgaml.runs.workspace import Workspace, read_mark, write_npy, write_npz
from fpgaml.target.design import check_design
from fpgaml.target.noise import keras_noise

KERAS = (".keras", ".h5", ".hdf5")
ELSEWHERE = (".json", ".onnx", ".tflite", ".pt", ".pth")  # files of models that only have to be said what to do with
KERAS_BATCH = 500  # images whose inner layers Keras holds in memory at once
KERAS_FILES = ("keras_golden.npz", "quantized_logits.npy")
FILES = ("network.npz", "golden.npz", "images.npz", "reading.json")


@dataclass(frozen=True)
class Conversion:
    """A model that became a proved project.

    network: as built, with what comes behind the logits. accuracy: of the hardware's logits; None without labels.
    head: what `proof.compare_head` found behind the logits; None if they are the outputs. notes: what was left out,
    renamed or rounded to a grid on reading.
    """

    folder: Path
    network: Network
    images: int
    data: str
    summary: str
    accuracy: float | None
    head: dict[str, Any] | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Source:
    """A network with the Keras model it was read from, if there is one, and the names of layers in either."""

    network: Network
    notes: tuple[str, ...] = ()
    apart: dict[str, str] = field(default_factory=dict)
    keras: Any = None
    keras_names: dict[str, str] = field(default_factory=dict)
    keras_output: str = ""
    proposed: bool = False  # the type of its input, from the data
    cause: str = ""  # why Keras' values differ, if they do where scales are rounded


def convert_model(
    model: Path,
    *,
    name: str | None = None,
    weights: Path | None = None,
    data: Path | str | None = None,
    label: str | None = None,
    input_type: FixedPoint | None = None,
    input_scale: str | None = None,
    scale_bits: int | None = None,
    design: Mapping[str, Any] | None = None,
    base: Path | None = None,
    listener: Listener | None = None,
) -> Conversion:
    """Make a proved HLS project of a Keras model's file, or of a saved Network (.npz), in the folder `<base>/<name>`.

    name: of the run and the C++ function; made from the file's name if not given. weights, data, label, input_type,
    input_scale, scale_bits: as `audit` has them; all images of `data` are simulated. design: keys of a card's [design].

    Raises: BitMismatch with the first layer that differs; ConfigError, DataError, FormatError or UnsupportedLayer for
    what cannot be converted, before anything is written.
    """
    tell = listener or Silent()
    tell.started("read")
    start = time.perf_counter()
    if name is not None:
        check_identifier(name, "run")
    with tempfile.TemporaryDirectory(prefix="fpgaml-convert-") as folder, keras_noise(Path(folder) / "log"):
        learned = raw.beside(Path(model))
        source = _open(Path(model), name, input_type, scale_bits, learned, data, label, input_scale, weights)
        card = _card(source.network.name, Path(model), design or {}, base)
        images = _images(source.network, data, input_scale, label, learned, stated=input_type is not None)
        source = _rounded(_settled(source, images, scale_bits), images)
        built, wanted = as_built(card, source.network)
        check_design(built, wanted)
        tensor_types(built)  # refuses accumulators wider than any type
        workspace = _workspace(card, Path(model))
    with workspace.held():
        workspace.state["read"] = {"model": str(Path(model).resolve())}
        workspace.save_state()
        with keras_noise(workspace.log("read")):
            _write(workspace, source, images)
        summary = f"{len(source.network.layers)} layers; {len(images.codes):,} images, {images.data}"
        seconds = time.perf_counter() - start
        workspace.state["read"] |= {"seconds": round(seconds, 3), "summary": summary}
        workspace.save_state()
        tell.finished("read", seconds, summary, skipped=False)
        proof = FILES if source.keras is None else FILES + KERAS_FILES
        steps = [step._replace(needs=(*proof, "csim.npz")) if step.name == "compare" else step for step in STEPS]
        Engine(steps, workspace, tell).do(("convert", "csim", "estimate", "compare"))
    return _conversion(workspace, source, images)


def _open(
    path: Path,
    name: str | None,
    input_type: FixedPoint | None,
    scale_bits: int | None,
    learned: RawRows | None,
    data: Path | str | None = None,
    label: str | None = None,
    scale: str | None = None,
    weights: Path | None = None,
) -> _Source:
    """Read a model's file; without a type of its input, one is proposed from the data if they are real numbers."""
    saved_model = (path / "saved_model.pb").is_file()
    if (path.is_dir() and not saved_model) or (path.is_file() and path.suffix not in (*KERAS, *ELSEWHERE, ".npz")):
        raise DataError(f"{path} must be the file of a Keras model (.keras, .h5) or of a Network (.npz)")
    if not path.exists():
        raise DataError(f"model file {path} does not exist")
    if path.suffix == ".npz":
        network = load(path)
        if scale_bits is not None or input_type not in (None, network.input.type):
            raise ConfigError(
                f"{path} is a Network, whose types are settled (its input is {network.input.type}); leave out "
                "--input-type and --scale-bits"
            )
        return _Source(replace(network, name=name or network.name))
    from fpgaml.frontend import store
    from fpgaml.frontend.input_type import propose

    title, kind, model = (
        name or identifier(path.stem),
        input_type or (learned and learned.kind),
        store.load(path, weights),
    )
    if kind is not None or scale:
        return _read(model, title, kind or PIXEL, scale_bits)
    proposed = propose(model, data, label)
    source = _read(model, title, proposed or PIXEL, scale_bits)
    return replace(source, proposed=proposed is not None)


def _read(model: Any, title: str, kind: FixedPoint, scale_bits: int | None, **bits: int) -> _Source:
    from fpgaml.frontend.inspection import inspect

    found = inspect(model, name=title, input_type=kind, scale_bits=scale_bits, **bits)
    if found.reading is None:
        verbs.read_model(model, title, kind, scale_bits=scale_bits)  # says why
    assert found.reading is not None
    reading = found.reading
    output = found.keras_names[reading.network.output.name]
    return _Source(reading.network, reading.notes, reading.apart, model, reading.keras_names, output)


def _settled(source: _Source, images: Images, scale_bits: int | None) -> _Source:
    """Return the network with scales of the fewest bits for which nothing differs, if it has any to round."""
    if source.keras is None:
        return source
    settled = verbs.settle(source.keras, source.network.name, source.network.input.type, images.codes, scale_bits)
    if settled is None:
        return source
    found = _read(source.keras, source.network.name, source.network.input.type, scale_bits, bits=settled.bits)
    notes = (*found.notes, settled.text)
    return replace(found, notes=notes, cause=settled.cause, proposed=source.proposed)


def _rounded(source: _Source, images: Images) -> _Source:
    """Return the same with what is to be said of real numbers that were rounded to the type of its input."""
    if source.keras is None:
        return source
    from fpgaml.frontend.input_type import rounding

    kind = source.network.input.type
    proposed = (f"no input type was stated; {kind} is proposed from the data",) if source.proposed else ()
    said = rounding(source.keras, images, kind)
    return replace(source, notes=(*source.notes, *proposed, *((said,) if said else ())))


def _card(name: str, model: Path, design: Mapping[str, Any], base: Path | None) -> RunCard:
    """Return the card of the run; its `folder` is where it will lie."""
    table = {"name": name, "model": {"file": model.name}, "data": {"source": "images.npz"}, "design": dict(design)}
    return card_of(table, "options", (base or Path(RunCard().output.folder)) / name)


def _images(
    network: Network,
    data: Path | str | None,
    scale: str | None,
    label: str | None,
    learned: RawRows | None,
    *,
    stated: bool = False,
) -> Images:
    """Return the images to simulate. Raises: DataError if they or their labels do not fit the network."""
    kind, count = network.input.type, IMAGES if data is None else sys.maxsize
    outputs = max(2, int(np.prod(network.shapes[network.output.name])))
    given = network.input.dims, kind, count, scale, label, learned
    images = load_images(data, *given, classes=outputs, stated=stated)
    if images.labels is not None and not 0 <= images.labels.min() <= images.labels.max() < outputs:
        raise DataError(
            f"labels in {images.data} must be 0 to {outputs - 1}, one for each output of the model, not "
            f"{images.labels.min()} to {images.labels.max()}"
        )
    return images


def _workspace(card: RunCard, model: Path) -> Workspace:
    """Return the run's workspace. Raises: ConfigError if its folder is another model's."""
    steps = read_mark(card.folder / "run.json").get("steps", {})
    path = str(model.resolve())
    if steps and steps.get("read", {}).get("model") != path:
        raise ConfigError(
            f"output folder {card.folder} has a run {card.name!r} of something else; give another --name or --output"
        )
    return Workspace.at(card, card.folder.parent)


def _write(workspace: Workspace, source: _Source, images: Images) -> None:
    """Write what the steps behind `read` need: network, images, and what emulator and Keras make of them."""
    network, codes = source.network, images.codes
    golden = codes[: workspace.card.output.golden_images]
    workspace.write("network.npz", lambda path: save(network, path))
    workspace.write("images.npz", lambda path: save_codes(path, codes, images.labels, network.input.type))
    write_npz(workspace, "golden.npz", dict(workspace.trace(network, golden)))
    workspace.remove(["raw.npz"])
    if images.raw is None or images.encoding is not None:  # else no board could do what made the codes
        workspace.write("raw.npz", _raw(images, network.input.type).save)
    record = {"keras_names": source.keras_names, "notes": source.notes, "apart": source.apart, "cause": source.cause}
    workspace.write("reading.json", lambda path: path.write_text(json.dumps(record, indent=1), encoding="utf-8"))
    workspace.remove(KERAS_FILES)
    if source.keras is not None:
        inner = _keras(source, source.keras_names, golden)
        outputs = _keras(source, {"output": source.keras_output}, codes)["output"]
        write_npz(workspace, "keras_golden.npz", {n: a.reshape(-1, *network.shapes[n]) for n, a in inner.items()})
        workspace.write("quantized_logits.npy", lambda path: write_npy(path, outputs))


def _raw(images: Images, kind: FixedPoint) -> RawRows:
    """Return the first images as they were before they became codes of `kind`, and how they did."""
    labels = np.zeros(0, np.int64) if images.labels is None else images.labels
    names = images.names or (tuple(map(str, range(int(labels.max()) + 1))) if labels.size else ())
    if images.raw is None or images.encoding is None:
        rows, encoding = images.codes, given_codes(tuple(images.codes.shape[1:]), kind)
    else:
        rows, encoding = images.raw, images.encoding
    return RawRows(rows[:RAW_ROWS], labels[:RAW_ROWS], names, encoding)


def _keras(source: _Source, names: dict[str, str], codes: Any) -> dict[str, Floats]:
    """Return what Keras computes for codes (images, *shape), before a last softmax or sigmoid, batch by batch."""
    from fpgaml.frontend.inspection import keras_values

    kind = source.network.input.type
    parts = [
        keras_values(source.keras, names, kind.decode(codes[at : at + KERAS_BATCH]))
        for at in range(0, len(codes), KERAS_BATCH)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in names}


def _conversion(workspace: Workspace, source: _Source, images: Images) -> Conversion:
    record = json.loads((workspace / "comparison.json").read_text(encoding="utf-8"))
    hardware = next(side for side in record["executions"] if side["name"] == Executor.CSIM)
    return Conversion(
        folder=workspace.folder,
        network=workspace.built[0],
        images=len(images.codes),
        data=images.data,
        summary=workspace.state["compare"]["summary"],
        accuracy=hardware["accuracy"],
        head=record["head"],
        notes=source.notes,
    )

"""Audit a model: what each layer really does, every trap it walks into, and whether hardware agrees bit for bit.

    found = audit(Path("model.keras"))                    table and findings
    found.simulation                                      Keras, emulator and C simulation side by side
    audit(path, against_hls4ml=True).simulation.sides     hls4ml's own conversion too, with where it first differs
    found.exit_code                                       1 if errors remain or executions that must agree do not

Nothing in a model file is run that is not a layer of Keras or QKeras.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from fpgaml.backend import cpp, hls4ml, stock
from fpgaml.datasets import raw
from fpgaml.datasets.proof_images import IMAGES, Images, load_images
from fpgaml.errors import ConfigError, ConversionMismatch, FormatError, FpgamlError, UnsupportedLayer
from fpgaml.exact import emulate
from fpgaml.exact.agreement import decoded, hold
from fpgaml.exact.comparison import Difference, Executor, classify, float32_exact, float32_limit
from fpgaml.exact.deviation import off_grid
from fpgaml.frontend.findings import Code, Finding, Severity, finding
from fpgaml.ir.accumulate import output_type
from fpgaml.ir.fixed import MAX_WIDTH, PIXEL, Codes, FixedPoint, Floats
from fpgaml.ir.network import Layer, Network, Result, identifier, weights_of
from fpgaml.ir.shown import Shown, Summary
from fpgaml.target.design import Design
from fpgaml.target.toolchain import Backend

WIDEST = FixedPoint(MAX_WIDTH, MAX_WIDTH)
DESIGN = Design(Backend.VITIS, "xc7z020clg400-1")
Progress = Callable[[str], None]


@dataclass(frozen=True)
class LayerRow:
    """One layer of the table. Types are text; empty where a layer has none, "?" where a refused layer hides it."""

    layer: str
    keras: str
    does: str
    shape: tuple[int, ...]
    inputs: str
    weight: str
    bias: str
    accumulator: str
    output: str
    sparsity: float | None  # share of weights that are 0
    bits: int | None  # of the largest sum, sign included
    float32: bool | None  # whether Keras is provably exact here; None if unknown


@dataclass(frozen=True)
class Side:
    """One execution against the reference. `agreement`: share of images with the reference's class."""

    name: str
    call: str  # of hls4ml, if it made the conversion
    by_handlers: bool  # hls4ml's Keras-2 handlers made it, for its converter fails
    failed: str | None
    logits_unequal: int | None
    accuracy: float | None
    agreement: float | None
    layers: dict[str, int]  # values that differ, by layer
    first: Difference | None
    must_agree: bool


@dataclass(frozen=True)
class Simulation:
    """Executions of one model on the same images; `reference` says which is right by definition."""

    images: int
    data: str
    logits: int
    reference: str
    labelled: bool
    sides: tuple[Side, ...]


@dataclass(frozen=True, repr=False)
class Audit(Shown):
    """Everything an audit found."""

    model: str
    input_type: str
    rows: tuple[LayerRow, ...]
    findings: tuple[Finding, ...]
    simulation: Simulation | None

    @property
    def summary(self) -> Summary:
        """What was found, worst first as it was found."""
        rows = [(str(one.severity), one.layer, one.found, one.mend) for one in self.findings]
        line = f"of {self.model}: {len(self.errors)} errors, {len(self.mismatches)} mismatches, {len(rows)} findings"
        return Summary(line, ("severity", "layer", "finding", "what to do"), rows)

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that stop a conversion."""
        return tuple(f for f in self.findings if f.severity is Severity.ERROR)

    @property
    def mismatches(self) -> tuple[Side, ...]:
        """The executions that differ though they must not."""
        sides = self.simulation.sides if self.simulation else ()
        return tuple(s for s in sides if s.must_agree and (s.logits_unequal or s.first))

    @property
    def exit_code(self) -> int:
        """0 if the model can become hardware that agrees bit for bit."""
        return int(bool(self.errors or self.mismatches))

    def record(self) -> dict[str, Any]:
        """Return the audit as JSON-ready data."""
        found = asdict(self)
        return found | {"errors": len(self.errors), "mismatches": len(self.mismatches), "exit_code": self.exit_code}


def audit(
    model: Path | Any,
    *,
    name: str | None = None,
    weights: Path | None = None,
    data: Path | str | None = None,
    label: str | None = None,
    input_type: FixedPoint | None = None,
    input_scale: str | None = None,
    scale_bits: int | None = None,
    simulate: bool = True,
    against_hls4ml: bool = False,
    images: int = IMAGES,
    design: Design = DESIGN,
    progress: Progress = lambda _: None,
) -> Audit:
    """Return the audit of a Keras model or its file.

    weights: their file, for a model that is only described (.json). data, label: as `load_images` has them. input_type:
    if not given that of the run which the model lies in, one proposed from real numbers as data, or pixels.
    input_scale: what raw integers are multiplied by, e.g. "1/255". images: how many are simulated at most. scale_bits:
    bits to round to what is on no grid, as `read` has it.

    Raises: DataError if a file does not exist or data do not fit; ToolNotFound without g++ (if it simulates).
    """
    path = model if isinstance(model, Path) else None
    learned = raw.beside(path) if path else None
    stated = input_type is not None
    title = name or (path.stem if path else str(getattr(model, "name", "model")))
    progress("reading the model")
    if path is not None:
        from fpgaml.frontend import store

        try:
            model = store.load(path, weights)
        except (FormatError, UnsupportedLayer) as error:
            return _unreadable(title, error, store.written_layers(path), input_type or PIXEL)
    from fpgaml.frontend.input_type import propose, rounding
    from fpgaml.frontend.inspection import inspect
    from fpgaml.frontend.scale_bits import settle

    known = input_type or (learned and learned.kind)
    proposed = None if known or input_scale else propose(model, data, label)
    input_type = known or proposed or PIXEL
    inspection = inspect(model, name=identifier(title), input_type=input_type, scale_bits=scale_bits)
    shape: Any = _input_shape(model)
    usable = inspection.reading is not None or (against_hls4ml and shape and None not in shape)
    scales = inspection.reading is not None and bool(inspection.reading.real)
    wanted = simulate or against_hls4ml or scales or data is not None
    options: dict[str, Any] = {"classes": _outputs(model), "stated": stated}
    given_as = shape, input_type, images, input_scale, label, learned
    given = load_images(data, *given_as, **options) if usable and wanted else None
    errors = any(one.severity is Severity.ERROR for one in inspection.findings)
    settled = None
    if given is not None and not errors and inspection.reading is not None:
        progress("how many bits scales need")
        asked: dict[str, Any] = {"name": identifier(title), "input_type": input_type}
        settled = settle(model, **asked, codes=given.codes, stated=scale_bits) if inspection.reading.real else None
        if settled is not None:
            inspection = inspect(model, **asked, scale_bits=scale_bits, bits=settled.bits)
    rows = _rows(inspection) or _keras_rows(model)
    findings = inspection.findings
    if proposed is not None:
        text = f"no input type was stated; {proposed} is proposed from the data"
        findings = (*(one for one in findings if one.code is not Code.INPUT_TYPE), finding(Code.INPUT_TYPE, "", text))
    if given is not None and (text := rounding(model, given, input_type)):
        findings = (*findings, finding(Code.INPUT_TYPE, "", text))
    if settled is not None:
        findings = (*findings, finding(Code.SCALE_BITS, "", settled.text))
    found = Audit(title, str(input_type), rows, findings, None)
    if given is None or not (simulate or against_hls4ml):
        return found
    with tempfile.TemporaryDirectory(prefix="fpgaml-audit-") as folder:
        work = _Work(model, path, Path(folder), design, progress, settled.cause if settled else "")
        return _simulated(found, inspection, work, given, against_hls4ml)


def _input_shape(model: Any) -> tuple[int | None, ...]:
    """Return the shape of the one input of a Keras model; empty if it has several."""
    shape = getattr(model, "input_shape", None)
    return tuple(shape[1:]) if isinstance(shape, tuple) else ()


def _outputs(model: Any) -> int:
    """Return how many classes a model tells apart by its outputs; 0 if it has several outputs."""
    shape = getattr(model, "output_shape", None)
    sizes = [n or 1 for n in shape[1:]] if isinstance(shape, tuple) else [0]
    return int(np.prod(sizes))


def _unreadable(title: str, error: FpgamlError, layers: list[tuple[str, str, bool]], input_type: FixedPoint) -> Audit:
    """Return the audit of a file that Keras does not load: its layers as far as it lists them."""
    found = [
        finding(
            Code.PYTHON_CODE,
            name,
            f"layer {name!r} is a {kind}: Python code of the model's own, which fpgaml never runs"
            + ("" if kind == "Lambda" else "; neither Keras nor QKeras has this class"),
        )
        for name, kind, own in layers
        if own
    ]
    if not found:
        code = Code.UNREADABLE_FILE if isinstance(error, FormatError) else Code.PYTHON_CODE
        found = [finding(code, "", str(error))]
        if code is Code.UNREADABLE_FILE and "that can be read" not in str(error):  # the message says what to do
            found = [replace(found[0], mend="see the message")]
    rows = tuple(LayerRow(name, kind, "", (), "?", "", "", "", "?", None, None, None) for name, kind, _ in layers)
    return Audit(title, str(input_type), rows, tuple(found), None)


# --- the table ------------------------------------------------------------------------------------------------------


def _rows(inspection: Any) -> tuple[LayerRow, ...]:
    types: dict[str, FixedPoint] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    rows = []
    for layer in inspection.layers:
        sources = layer.sources
        interval = inspection.ranges[layer.name]
        wide = interval.bits > MAX_WIDTH  # no type holds it, which a finding says
        types[layer.name] = WIDEST if wide else output_type(layer, interval, tuple(types[s] for s in sources))
        shapes[layer.name] = layer.shape(*(shapes[s] for s in sources))
        keras_name, kind = inspection.origin[layer.name]
        known = layer.name not in inspection.guessed and not wide
        read = ", ".join("?" if s in inspection.guessed else str(types[s]) for s in sources)
        does = "refused" if layer.name in inspection.refused else layer.words
        rows.append(
            LayerRow(
                keras_name if keras_name == layer.name else f"{layer.name} ({keras_name})",
                kind, does, shapes[layer.name], read, **_weight_columns(layer),
                accumulator=(str(types[layer.name]) if known else "?") if layer.result is Result.COMPUTED else "",
                output=str(types[layer.name]) if known else "?",
                bits=interval.bits if known and layer.result is Result.COMPUTED else None,
                float32=float32_exact(layer, interval) if known else None,
            )
        )  # fmt: skip
    return tuple(rows)


def _keras_rows(model: Any) -> tuple[LayerRow, ...]:
    """Return rows of a model whose graph cannot be followed: names and classes."""
    layers = getattr(model, "layers", [])
    return tuple(
        LayerRow(one.name, type(one).__name__, "", (), "?", "", "", "", "?", None, None, None) for one in layers
    )


def _weight_columns(layer: Layer) -> dict[str, Any]:
    found = weights_of(layer)
    if not layer.learned or not found:
        return {"weight": "", "bias": "", "sparsity": None}
    main, bias = next(iter(found.values())), found.get("bias")
    shown = str(bias.type) if bias is not None and bias.codes.any() else ""
    return {"weight": str(main.type), "bias": shown, "sparsity": float((main.codes == 0).mean())}


# --- the simulation -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Work:
    """What a simulation needs besides the network."""

    model: Any
    path: Path | None
    folder: Path
    design: Design
    progress: Progress
    cause: str  # why Keras' values differ where scales are rounded; empty if they do not


def _simulated(found: Audit, inspection: Any, work: _Work, images: Images, against: bool) -> Audit:
    input_type = FixedPoint.parse(found.input_type)
    if found.errors and not against:
        return found
    if found.errors:
        keras = _keras_only(work, input_type.decode(images.codes))
        sides = _stock_sides(work, keras, list(keras), None, images, input_type)
        logits = keras[list(keras)[-1]]
        done = Simulation(
            len(images.codes), images.data, logits.size, str(Executor.KERAS), images.labels is not None, sides
        )
        return replace(found, simulation=done)
    return _all_sides(found, inspection, work, images, against)


def _all_sides(found: Audit, inspection: Any, work: _Work, images: Images, against: bool) -> Audit:
    from fpgaml.frontend.inspection import keras_values

    network, kind = inspection.reading.network, inspection.reading.network.input.type
    order = list(network.shapes)
    work.progress(f"Keras and the emulator: {len(images.codes)} images")
    golden = decoded(network, emulate.trace(network, images.codes))
    out = network.output.name
    keras = {
        name: values.reshape(golden[name].shape)
        for name, values in keras_values(work.model, inspection.keras_names, kind.decode(images.codes)).items()
    }
    apart = inspection.reading.apart
    limited = float32_limit(network, off_grid(network, apart)) is not None
    exact = not limited and not apart
    reference = f"{Executor.KERAS} = {Executor.EMULATOR}" if exact else str(Executor.EMULATOR)
    why = work.cause or ("" if exact else "float32 limit" if limited else "not on a grid")
    title = f"{Executor.KERAS} ({why})" if why else str(Executor.KERAS)
    sides = [_side(title, Executor.KERAS, golden, keras, network, images, must_agree=exact)]
    try:
        simulated = decoded(network, _csim(network, work, images.codes))
    except (ConfigError, UnsupportedLayer, ConversionMismatch) as error:
        found = replace(found, findings=(*found.findings, finding(Code.DESIGN, "", str(error))))
    else:
        title = f"fpgaml: {Executor.CSIM}"
        sides.append(_side(title, title, golden, simulated, network, images, must_agree=True))
    if against:
        sides += _stock_sides(work, golden, order, network, images, kind)
    total = golden[out].size
    done = Simulation(len(images.codes), images.data, total, reference, images.labels is not None, tuple(sides))
    return replace(found, simulation=done)


def _csim(network: Network, work: _Work, codes: Codes) -> dict[str, Codes]:
    work.progress("converting")
    hls4ml.convert(network, work.design, work.folder / "hls", log=work.folder / "convert.log")
    work.progress("compiling with g++")

    def tell(_: int) -> None:
        work.progress(f"C simulation: {len(codes)} images")

    return cpp.execute(network, work.folder / "hls", codes, log=work.folder / "g++.log", trace=True, progress=tell)


def _side(
    title: str,
    name: str,
    golden: dict[str, Floats],
    values: dict[str, Floats],
    network: Network,
    images: Images,
    *,
    must_agree: bool,
) -> Side:
    """Hold one execution, called `name` in sentences, against the emulator, layer by layer."""
    out = network.output.name
    held = hold(golden, values, list(network.shapes), (Executor.EMULATOR, name), network)
    if out not in values:
        return Side(title, "", False, None, None, None, None, held.counts, held.first, must_agree)
    classes, right = classify(values[out]), classify(golden[out])
    accuracy = None if images.labels is None else float((classes == images.labels).mean())
    agreement = float((classes == right).mean())
    return Side(title, "", False, None, held.counts[out], accuracy, agreement, held.counts, held.first, must_agree)


def _keras_only(work: _Work, values: Floats) -> dict[str, Floats]:
    """Return every layer of a Keras model that fpgaml does not read."""
    from fpgaml.frontend.graph import layer_outputs

    names = {one.name: one.name for one in work.model.layers if type(one).__name__ != "InputLayer"}
    return layer_outputs(work.model, names, values)


def _stock_sides(
    work: _Work, golden: dict[str, Floats], order: list[str], network: Network | None, images: Images, kind: FixedPoint
) -> tuple[Side, ...]:
    """Return hls4ml's own results, held against `golden`."""
    path = work.path
    if path is None:
        from fpgaml.frontend import store

        path = work.folder / "model.keras"
        store.save(work.model, path)
    work.progress("hls4ml's own conversion, twice")
    log = work.folder / "stock.log"
    runs = stock.stock_runs(path, kind.decode(images.codes), work.design, work.folder / "stock", log=log)
    made = tuple(_stock_side(run, golden, order, network, images) for run in runs)
    refusals = {run.refused: run.call for run in reversed(runs) if run.refused}
    return (*(_failed("hls4ml, as documented", call, why) for why, call in refusals.items()), *made)


def _failed(name: str, call: str, why: str, *, by_handlers: bool = False) -> Side:
    return Side(name, call, by_handlers, why, None, None, None, {}, None, False)


def _stock_side(
    run: stock.StockRun, golden: dict[str, Floats], order: list[str], network: Network | None, images: Images
) -> Side:
    way = "hls4ml handlers" if run.refused else "hls4ml"
    name = f"{way}, backend named" if "backend=" in run.call else f"{way}, no backend"
    if run.output is None:
        return _failed(name, run.call, str(run.failed), by_handlers=run.refused is not None)
    values = {}
    for layer, array in run.layers.items():
        known = hls4ml_name(layer, order, of_network=network is not None)
        if known is not None and array.size == golden[known].size:
            values[known] = np.asarray(array, np.float64).reshape(golden[known].shape)
    reference = Executor.EMULATOR if network else Executor.KERAS
    held = hold(golden, values, order, (reference, "hls4ml"), network)
    output = np.asarray(run.output).reshape(len(images.codes), -1)
    ended = next(reversed(run.layers)) not in order and output.shape[1] == 1  # a sigmoid: its middle is 1/2
    classes = classify(output - 0.5 if ended else output)
    right = classify(golden[order[-1]])
    accuracy = None if images.labels is None else float((classes == images.labels).mean())
    agreement = float((classes == right).mean())
    unequal = held.counts.get(order[-1])
    return Side(name, run.call, run.by_handlers, None, unequal, accuracy, agreement, held.counts, held.first, False)


def hls4ml_name(layer: str, order: list[str], *, of_network: bool = True) -> str | None:
    """Return the layer of `order` that computes what hls4ml's `layer` does; None if there is none (a softmax).

    A layer of a Network ends before its activation, a Keras layer (not `of_network`) behind it.
    """
    clean = re.sub(r"_+", "_", re.sub(r"\W", "_", layer)).strip("_")
    if clean in order:
        return clean
    if clean.removesuffix("_linear") in order:
        return clean.removesuffix("_linear")
    base = max((name for name in order if clean.startswith(f"{name}_")), key=len, default=None)
    if base is None or f"{base}_act" in order:
        return base and f"{base}_act"
    return None if of_network else base


def summary(found: Audit) -> str:
    """Return the verdict in one sentence."""
    if found.errors:
        return f"{len(found.errors)} error(s): this model cannot be converted exactly; each says how to mend it"
    if found.mismatches:
        return f"{found.mismatches[0].name} differs, and must not"
    if found.simulation is None:
        return "no errors: it can be converted; not simulated"
    done = found.simulation
    same = f"{done.reference} = {Executor.CSIM}"
    return f"exact: 0 of {done.logits:,} logits differ on {done.images} images, {same}"

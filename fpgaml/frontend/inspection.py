"""Look at a Keras model for every known trap, and read as much of it as can be read.

    inspect(model, name=..., input_type=...)      Inspection: the Reading if it is whole, layers, findings

A model that can be read is read as always. One that cannot is read layer by layer: a layer that is refused leaves an
error and a stand-in of its shape, so that the layers behind it are still read and all errors come at once. Types that
rest on a stand-in are unknown until a quantizer states one again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from math import prod
from typing import Any

import keras
import numpy as np

from fpgaml.errors import FpgamlError, UnsupportedLayer
from fpgaml.frontend.findings import Code, Finding, Severity, finding
from fpgaml.frontend.graph import Graph, Node, layer_outputs, walk
from fpgaml.frontend.read import READERS, SCALE_BITS, Exact, Reading
from fpgaml.ir.accumulate import Interval, intervals
from fpgaml.ir.fixed import FLOAT32_EXACT, FixedPoint, Floats, Overflow
from fpgaml.ir.network import Input, Layer

STAND_IN = FixedPoint(16, 6)  # of what a refused layer would give; never shown


@dataclass(frozen=True)
class Inspection:
    """What was found in a model.

    `layers` are network layers in order, `origin` the Keras layer (name, class) of each; `guessed` are those whose
    types rest on a refused layer, `refused` the stand-ins themselves. `reading` is None if anything was refused.
    """

    reading: Reading | None
    layers: tuple[Layer, ...]
    ranges: dict[str, Interval]
    origin: dict[str, tuple[str, str]]
    guessed: frozenset[str]
    refused: frozenset[str]
    findings: tuple[Finding, ...]

    @property
    def keras_names(self) -> dict[str, str]:
        """{network layer: Keras layer} of all that Keras computes too, and of the output in any case; of a reading."""
        assert self.reading is not None
        out = self.reading.network.output.name
        return self.reading.keras_names | {out: self.origin[out][0]}


@dataclass
class _Tolerant(Exact):
    """Reads as `Exact` does, with a stand-in for each node that is refused."""

    errors: dict[str, FpgamlError] = field(default_factory=dict)  # by node
    stand_ins: set[str] = field(default_factory=set)

    def refused(self, node: Node, error: FpgamlError) -> str:
        """Keep the error, and go on with an input of the shape that the node would give."""
        self.errors[node.name] = error
        if not node.sources:  # without the input's shape nothing behind it has one
            raise error
        made = self.name(node.name)
        self.stand_ins.add(made)
        return self.put(Input(made, (), tuple(n or 1 for n in node.shape), STAND_IN))


def inspect(
    model: Any, *, name: str, input_type: FixedPoint, scale_bits: int | None = None, bits: int = SCALE_BITS
) -> Inspection:
    """Return everything that can be said of `model` without running it; `scale_bits` and `bits` are as `read` has."""
    try:
        graph = walk(model)
    except UnsupportedLayer as error:
        return _no_graph(model, error)
    build = _Tolerant(input_type=input_type, scale_bits=scale_bits, bits=bits)
    with suppress(FpgamlError):  # of the input; it is kept
        build.read(graph)
    reading: Reading | None = None
    found = _findings(graph, build)
    if not build.errors:
        try:
            reading = build.reading(name)
            found += _reading_findings(reading)
        except FpgamlError as error:
            found.append(finding(Code.UNSUPPORTED_GRAPH, "", str(error)))
    layers = tuple(build.layers)
    origin = {name: (node.name, node.kind) for name, node in build.origin.items()}
    guessed = _guessed(layers, build.stand_ins)
    return Inspection(reading, layers, build.ranges, origin, guessed, frozenset(build.stand_ins), tuple(found))


def _no_graph(model: Any, error: UnsupportedLayer) -> Inspection:
    """Return the traps of each layer of a model whose graph is not supported."""
    found = [finding(Code.UNSUPPORTED_GRAPH, "", str(error))]
    for layer in getattr(model, "layers", []):
        found += [trap for trap in traps(layer, None, last=False) if trap.severity is not Severity.ERROR]
        kind = type(layer).__name__
        if kind not in READERS and not hasattr(layer, "layers"):
            found.append(finding(Code.UNSUPPORTED_LAYER, layer.name, f"a {kind} is not supported"))
    return Inspection(None, (), {}, {}, frozenset(), frozenset(), tuple(found))


def _guessed(layers: tuple[Layer, ...], stand_ins: set[str]) -> frozenset[str]:
    """Return the layers whose types depend on a stand-in."""
    found = set(stand_ins)
    for layer in layers:
        kind = layer.cast or layer.stated
        limits = kind is not None and kind.overflow is not Overflow.WRAP
        if found.intersection(layer.sources) and not limits:
            found.add(layer.name)
    return frozenset(found)


# --- findings -------------------------------------------------------------------------------------------------------


def _findings(graph: Graph, build: _Tolerant) -> list[Finding]:
    kind = build.input_type
    text = f"a Keras file states no input type; {kind} was taken, values in steps of {kind.step:g}"
    found = [finding(Code.INPUT_TYPE, "", text)]
    found += [finding(Code.CHANGED_ON_READING, "", note) for note in graph.notes]
    for node in graph:
        before = graph.before(node)
        shape = None if before is None else tuple(n or 1 for n in before.shape)
        seen = list(traps(node.layer, shape, last=node.last, before=before and before.layer))
        error = build.errors.get(node.name)
        if error is not None:
            found.append(_refusal(node.name, error))
            seen = [trap for trap in seen if trap.code is not found[-1].code]
        found += [trap for trap in seen if trap.severity is not Severity.ERROR]
    return found + _float32(build)


def _refusal(layer: str, error: FpgamlError) -> Finding:
    """Return the error of a refused layer, under the code that it carries."""
    return finding(Code(error.code or Code.UNSUPPORTED_LAYER), layer, "").refused(str(error))


def _float32(build: _Tolerant) -> list[Finding]:
    """Return the layers whose sums float32 cannot hold."""
    guessed = _guessed(tuple(build.layers), build.stand_ins)
    return [
        finding(
            Code.FLOAT32_LIMIT, build.origin[name].name,
            f"its sums need up to {interval.bits} bits; float32, in which Keras computes, holds 24 and the sign"
        )
        for name, interval in build.ranges.items()
        if interval.size > FLOAT32_EXACT and name not in guessed
    ]  # fmt: skip


def _reading_findings(reading: Reading) -> list[Finding]:
    """Return what the reader says it changed; and accumulators too wide for any type."""
    found = [finding(Code.RENAMED, "", note) for note in reading.notes if note.endswith("in C++")]
    found += [finding(Code.ROUNDED_TO_A_GRID, layer, text) for layer, text in reading.apart.items()]
    try:
        intervals(reading.network)
    except FpgamlError as error:
        found.append(finding(Code.DESIGN, "", str(error)))
    return found


def traps(layer: Any, before_shape: Any, *, last: bool, before: Any = None) -> Iterator[Finding]:
    """Yield the known traps of one Keras layer. before_shape: what it reads, (*spatial, channels)."""
    kind, name = type(layer).__name__, layer.name
    yield from _name_lies(layer)
    for what, quantizer in weight_quantizers(layer):
        yield from _weight_traps(name, what, quantizer)
    if kind == "Dropout":
        yield finding(Code.LEFT_OUT, name, "a Dropout does nothing at inference")
    if "BatchNormalization" in kind:
        quantized = kind.startswith("Q")
        code = Code.QUANTIZED_BATCH_NORMALIZATION if quantized else Code.BATCH_NORMALIZATION
        yield finding(code, name, f"a {kind} scales and shifts by float values")
    if "AveragePooling" in kind:
        yield from _mean_traps(layer, before_shape)
    yield from _activation_traps(layer, last, before)


def weight_quantizers(layer: Any) -> Iterator[tuple[str, Any]]:
    """Yield (kernel or bias, its quantizer or None) for the weights a layer has."""
    for attribute in ("kernel", "depthwise", "pointwise"):
        if hasattr(layer, f"{attribute}_quantizer_internal"):
            yield "kernel", getattr(layer, f"{attribute}_quantizer_internal")
    if hasattr(layer, "bias_quantizer_internal") and getattr(layer, "use_bias", False):
        yield "bias", layer.bias_quantizer_internal


def _weight_traps(layer: str, what: str, quantizer: Any) -> Iterator[Finding]:
    kind = type(quantizer).__name__
    if quantizer is None:
        if what == "bias":
            yield finding(Code.FLOAT_BIAS, layer, "its bias has no quantizer: it is in floating point")
        return
    yield from _alpha_traps(layer, what, quantizer)
    if "stochastic" in kind or getattr(quantizer, "use_stochastic_rounding", False):
        yield finding(Code.STOCHASTIC, layer, f"its {what} quantizer {kind} is stochastic")
    if kind in ("quantized_bits", "quantized_linear"):
        if not quantizer.keep_negative:
            yield finding(Code.UNSIGNED_WEIGHTS, layer, f"its {what} quantizer has keep_negative=False")
        if int(quantizer.bits) - bool(quantizer.keep_negative) < 1:
            yield finding(Code.ONE_BIT_WEIGHTS, layer, f"its {what} quantizer {kind} has 1 bit: weights are a sign")
    for word, code in (
        ("binary", Code.BINARY_WEIGHTS), ("ternary", Code.TERNARY_WEIGHTS), ("po2", Code.PO2_WEIGHTS),
    ):  # fmt: skip
        if word in kind:
            yield finding(code, layer, f"its {what} is quantized by {kind}")


def _alpha_traps(layer: str, what: str, quantizer: Any) -> Iterator[Finding]:
    alpha = getattr(quantizer, "alpha", 1)
    if isinstance(alpha, str):
        if alpha == "auto_po2":
            text = "scales by a power of two per channel (alpha='auto_po2', or None, QKeras' default)"
            yield finding(Code.ALPHA_AUTO_PO2, layer, f"its {what} quantizer {text}")
        else:
            text = f"scales by a float32 per channel, fitted to the weights (alpha={alpha!r}), on no grid"
            yield finding(Code.ALPHA_AUTO, layer, f"its {what} quantizer {text}")
    elif alpha is not None and float(np.max(np.asarray(alpha))) != 1.0:
        yield finding(Code.ALPHA_NUMBER, layer, f"its {what} quantizer scales by alpha={alpha}")


def _mean_traps(layer: Any, before_shape: Any) -> Iterator[Finding]:
    whole = type(layer).__name__.removeprefix("Q").startswith("Global")
    window = before_shape[:-1] if whole and before_shape else getattr(layer, "pool_size", ())
    window = (window,) if isinstance(window, int) else tuple(window)
    count = prod(window)
    text = f"a mean over {count} values"
    if whole:
        yield finding(Code.GLOBAL_MEAN, layer.name, f"{text}, the whole map")
    if count.bit_count() != 1 or getattr(layer, "padding", "valid") == "same":
        yield finding(Code.MEAN_NOT_POWER_OF_TWO, layer.name, f"{text} (or fewer, at the edges) is on no grid")
    elif not whole:
        yield finding(Code.MEAN, layer.name, f"{text} needs {count.bit_length() - 1} more fraction bits")


def _activation_traps(layer: Any, last: bool, before: Any) -> Iterator[Finding]:
    kind, name = type(layer).__name__, layer.name
    activation = getattr(layer, "activation", None)
    plain = kind.lower() if kind in ("Softmax", "ReLU", "LeakyReLU") else getattr(activation, "__name__", "")
    if plain == "softmax" and last:
        yield finding(Code.SOFTMAX_LEFT_OUT, name, "the model ends in a softmax")
        logits = name if kind not in ("Softmax", "Activation") or before is None else before.name
        yield finding(Code.SOFTMAX_TABLE, name, f"its input, the logits of {logits!r}, is a sum of many bits")
    elif plain == "sigmoid" and last:
        yield finding(Code.SIGMOID_LEFT_OUT, name, "the model ends in a sigmoid")
    elif plain in ("relu", "leaky_relu", "leakyrelu", "sigmoid", "tanh"):
        yield finding(Code.FLOAT_ACTIVATION, name, f"its activation {plain} is in floating point")
    elif activation is not None and not plain:
        yield from _quantizer_traps(layer, activation)


def _quantizer_traps(layer: Any, quantizer: Any) -> Iterator[Finding]:
    kind, name = type(quantizer).__name__, layer.name
    yield from _alpha_traps(name, "activation", quantizer)
    if "stochastic" in kind or getattr(quantizer, "use_stochastic_rounding", False):
        yield finding(Code.STOCHASTIC, name, f"its quantizer {kind} is stochastic")
    if "po2" in kind:
        yield finding(Code.PO2_ACTIVATION, name, f"its quantizer {kind} gives powers of two")
    if kind in ("quantized_bits", "quantized_linear"):
        signed = bool(quantizer.keep_negative)
        yield finding(Code.DELETED_REQUANTIZER, name, f"it is linear: {quantizer} rounds and saturates, no more")
        if quantizer.symmetric and signed:
            yield finding(Code.SYMMETRIC, name, f"{quantizer} is symmetric: its lowest code is left out")
        if not signed:
            yield finding(Code.UNSIGNED_LINEAR, name, f"{quantizer} has keep_negative=False")
        if int(quantizer.bits) - signed <= int(quantizer.integer):
            yield _no_fraction(name, quantizer)
    if kind == "quantized_relu":
        yield from _relu_traps(name, quantizer)


def _relu_traps(name: str, quantizer: Any) -> Iterator[Finding]:
    if quantizer.use_sigmoid:
        yield finding(Code.USE_SIGMOID, name, f"{quantizer} has use_sigmoid set: a sigmoid, not a ReLU")
    if not getattr(quantizer, "is_quantized_clip", True):
        yield finding(Code.QUANTIZED_CLIP, name, f"{quantizer} has is_quantized_clip=False")
    if float(quantizer.negative_slope):
        yield finding(Code.NEGATIVE_SLOPE, name, f"{quantizer} has the negative slope {quantizer.negative_slope:g}")
    if int(quantizer.bits) <= int(quantizer.integer):
        yield _no_fraction(name, quantizer)


def _no_fraction(name: str, quantizer: Any) -> Finding:
    return finding(
        Code.NO_FRACTION_BITS, name, f"{quantizer} has no fraction bits: bits {quantizer.bits}, integer "
        f"{quantizer.integer}"
    )  # fmt: skip


# --- names ----------------------------------------------------------------------------------------------------------

# What a word in a layer's name promises, and what fulfils it.
PROMISES = {
    r"relu": ("a ReLU", {"relu"}),
    r"sigmoid": ("a sigmoid", {"sigmoid"}),
    r"tanh": ("a tanh", {"tanh"}),
    r"softmax": ("a softmax", {"softmax"}),
    r"linear": ("linear", {"linear"}),
    r"conv": ("a convolution", {"conv", "relu", "sigmoid", "tanh", "linear", "softmax"}),
    r"dense|(?<![a-z])fc": ("a dense layer", {"dense", "relu", "sigmoid", "tanh", "linear", "softmax"}),
    r"pool": ("pooling", {"pool", "relu", "linear"}),
    r"dropout": ("a dropout", {"dropout"}),
}


def _name_lies(layer: Any) -> Iterator[Finding]:
    does = families(layer)
    if not does:
        return
    for pattern, (promise, kept) in PROMISES.items():
        if re.search(pattern, layer.name.lower()) and not does & kept:
            yield finding(Code.NAME_LIES, layer.name, f"its name promises {promise}, but it is {what_it_does(layer)}")
            return


def families(layer: Any) -> set[str]:
    """Return what a layer is and does, in the words of `PROMISES`; empty if its name can promise nothing about it."""
    kind = type(layer).__name__.lower()
    found = {word for word in ("conv", "dense", "pool", "dropout") if word in kind}
    activation = getattr(layer, "activation", None)
    name = getattr(activation, "__name__", "") or (type(activation).__name__ if activation is not None else "")
    text = f"{name.lower()} {kind}"
    found |= {word for word in ("relu", "sigmoid", "tanh", "softmax") if word in text}
    if getattr(activation, "use_sigmoid", 0):
        found = (found - {"relu"}) | {"sigmoid"}
    if name in ("quantized_bits", "quantized_linear") or (name == "linear" and "activation" in kind):
        found |= {"linear"}
    return found


def what_it_does(layer: Any) -> str:
    """Return a layer's class, and the activation inside it."""
    kind, activation = type(layer).__name__, getattr(layer, "activation", None)
    plain = getattr(activation, "__name__", None)
    inside = plain if plain is not None else ("" if activation is None else str(activation))
    if kind in ("QActivation", "Activation"):
        linear = type(activation).__name__ in ("quantized_bits", "quantized_linear")
        return f"{inside}, which is linear" if linear else inside
    return f"a {kind}" + (f" with {inside}" if inside not in ("", "linear") else "")


# --- running Keras --------------------------------------------------------------------------------------------------


@contextmanager
def logits_bare(model: Any) -> Iterator[None]:
    """Take a softmax or sigmoid that is part of the last layer out of it, inside the block."""
    last = walk(model).output.layer
    name = getattr(getattr(last, "activation", None), "__name__", "")
    inside = name in ("softmax", "sigmoid") and not isinstance(last, (keras.layers.Activation, keras.layers.Softmax))
    kept = getattr(last, "activation", None)
    try:
        if inside:
            last.activation = keras.activations.linear
        yield
    finally:
        if inside:
            last.activation = kept


def keras_values(model: Any, names: dict[str, str], values: Floats) -> dict[str, Floats]:
    """Return what Keras computes, before a last softmax or sigmoid, by the keys of `names`: {key: Keras layer}."""
    with logits_bare(model):
        return layer_outputs(model, names, values)

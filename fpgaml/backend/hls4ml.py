"""Lower a Network to an hls4ml project, and read back from the C++ that it is the same network.

    convert(network, design, folder)     layers and types in, HLS project out, proved equal or ConversionMismatch

*Lowering* means: hls4ml is given plain layers whose weights are quantized already, and an explicit type for every
tensor, so that there is nothing left for it to infer, default or forget. It runs in a child process. What it wrote
is then parsed (types in ``defines.h``, layer configurations in ``parameters.h``, weights in ``weights/*.txt``) and
compared with the Network.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import singledispatch
from importlib.util import find_spec
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from fpgaml.errors import ConfigError, ConversionMismatch, ToolNotFound, UnsupportedLayer
from fpgaml.ir.accumulate import tensor_types
from fpgaml.ir.fixed import MAX_WIDTH, Codes, FixedPoint, Floats, grid, smallest
from fpgaml.ir.network import (
    Activation,
    Add,
    Affine,
    ArgMax,
    AveragePool,
    Concatenate,
    Conv,
    Dense,
    DepthwiseConv,
    Flatten,
    Function,
    Input,
    Layer,
    MaxPool,
    Multiply,
    Network,
    Pad,
    Reshape,
    Shape,
    Table,
    Weights,
    matrix_size,
    weights_of,
)
from fpgaml.target.design import Design, IoType, Strategy, check_design
from fpgaml.target.process import run_tool

CHILD = Path(__file__).with_name("hls4ml_child.py")
Entry = dict[str, Any]  # one layer in hls4ml's neutral layer list
STAMP = "fpgaml"  # in place of hls4ml's random one, so that equal networks give equal projects


def convert(network: Network, design: Design, folder: Path, *, log: Path) -> None:
    """Write the HLS project of `network` into `folder` (replaced as a whole) and read it back.

    Raises: ConfigError if the design cannot build the network; ToolFailed if hls4ml fails; ConversionMismatch if
    the written C++ differs from the network; ToolNotFound for distributed arithmetic without its solver.
    """
    check_design(network, design)
    _find_solver(network, design)
    folder = folder.resolve()  # the child runs elsewhere
    work = folder.with_name(folder.name + ".tmp")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    request, arrays = lower(network, design, work / "project")
    (work / "request.json").write_text(json.dumps(request, indent=1), encoding="utf-8")
    np.savez(work / "weights.npz", allow_pickle=False, **arrays)
    child: list[str | Path] = [
        sys.executable,
        "-P",
        CHILD,
        "request.json",
        "weights.npz",
    ]  # -P: our hls4ml.py must not hide hls4ml
    run_tool(child, cwd=work, log=log)
    _blank_stamp(work / "project")
    check_project(network, design, work / "project")
    shutil.rmtree(folder, ignore_errors=True)
    (work / "project").rename(folder)
    shutil.rmtree(work)


def _find_solver(network: Network, design: Design) -> None:
    """Raise ToolNotFound if a layer needs distributed arithmetic and its solver is not installed."""
    wanted = [n for n in network if matrix_size(n) and design.strategy_of(n.name) is Strategy.DISTRIBUTED_ARITHMETIC]
    if wanted and find_spec("da4ml") is None:
        raise ToolNotFound(
            f"layer {wanted[0].name!r}: distributed_arithmetic needs the Python package da4ml; "
            "install it: pip install 'hls4ml[da]'"
        )


def lower(network: Network, design: Design, folder: Path) -> tuple[dict[str, Any], dict[str, Floats]]:
    """Return hls4ml's layer list and configuration for `network` as JSON-ready data, and its weights by key.

    Raises: ConfigError if the io type cannot do a layer; UnsupportedLayer if hls4ml cannot.
    """
    if all(isinstance(layer, (Input, Flatten, Reshape)) for layer in network):
        raise UnsupportedLayer(f"network {network.name!r} only renames its input: hls4ml writes no C++ for that")
    types, shapes = tensor_types(network), network.shapes
    arrays: dict[str, Floats] = {}
    layers: list[Entry] = []
    config: dict[str, Entry] = {}
    for layer in network:
        check_io_type(layer, design.io_type, types)
        _check_flatten(network, layer, design.io_type)
        entry = entry_of(layer, shapes[layer.sources[0]] if layer.sources else (), shapes[layer.name])
        for field, weights in weights_of(layer).items():
            arrays[f"{layer.name}.{field}"] = _array_for_hls4ml(layer, weights, shapes)
            name = "depthwise" if isinstance(layer, DepthwiseConv) and field == "kernel" else HLS4ML_WEIGHT[field]
            entry[f"{name}_data"] = {"array": f"{layer.name}.{field}"}
        sources = list(layer.sources)
        for name, kind in casts_before(layer, types, network):
            layers.append({"name": name, "inputs": sources, "outputs": [name], **_cast_entry(shapes[layer.sources[0]])})
            config[name] = {"Precision": {"result": kind.cpp}, "Trace": False}
            sources = [name]
        layers.append({"name": layer.name, "inputs": sources, "outputs": [layer.name], **entry})
        config[layer.name] = {
            "Precision": {what: kind.cpp for what, kind in expected_types(layer, types).items()},
            **_how_to_multiply(layer, design),
            "Trace": True,  # compiled only into C simulation; lets it show every layer's output
        }
    project = {
        "output_dir": str(folder),
        "project_name": network.name,
        "backend": design.backend,
        "part": design.part,
        "clock_period": design.clock_ns,
        "io_type": design.io_type,
    }
    default = {
        "Precision": {"default": "ap_fixed<16,6>"},
        "ReuseFactor": 1,
        "Strategy": Strategy.LATENCY,
    }
    return {
        "project": project,
        "config": {"Model": default, "LayerName": config},
        "layers": layers,
        "inputs": [network.input.name],
        "outputs": [network.output.name],
    }, arrays


def _how_to_multiply(layer: Layer, design: Design) -> Entry:
    """Return strategy and reuse factor of a layer with a matrix; hls4ml's own check refuses the others a strategy."""
    if matrix_size(layer) is None:
        return {"Strategy": Strategy.LATENCY, "ReuseFactor": 1}
    return {"Strategy": design.strategy_of(layer.name), "ReuseFactor": design.reuse_of(layer.name)}


def casts_before(layer: Layer, types: Mapping[str, FixedPoint], network: Network) -> list[tuple[str, FixedPoint]]:
    """Return name and type of each cast that must come before a layer's own entry.

    hls4ml's table takes the bits of its input as they are: they must be those of its index. And ``ap_fixed`` cannot
    round away more bits than a value has (it reads beyond the highest): such a value is made wider first.
    """
    match layer:
        case Table(index=kind) | Activation(type=kind):
            x = types[layer.sources[0]]
        case _:
            return []
    found = []
    wide = x.fraction - kind.fraction + 2
    if wide > x.width:
        if wide > MAX_WIDTH:
            raise UnsupportedLayer(
                f"layer {layer.name!r}: rounding {x} to {kind} drops {x.fraction - kind.fraction} bits, too many"
            )
        name = _new_name(f"{layer.name}_wide", network)
        found.append((name, FixedPoint(wide, wide - x.fraction, x.signed)))
    if isinstance(layer, Table):
        found.append((_new_name(f"{layer.name}_index", network), kind))
    return found


HLS4ML_WEIGHT = {"kernel": "weight", "bias": "bias", "scale": "scale", "table": "table"}


def expected_types(layer: Layer, types: Mapping[str, FixedPoint]) -> dict[str, FixedPoint]:
    """Return every type of a layer by hls4ml's name for it: result, accum, and one for each weight array."""
    found = {"result": types[layer.name]}
    found |= {HLS4ML_WEIGHT[field]: weights.type for field, weights in weights_of(layer).items()}
    match layer:
        case Dense() | Conv() | DepthwiseConv() | MaxPool():
            found["accum"] = types[layer.name]
        case AveragePool():
            found["accum"] = mean_type(layer, types[layer.sources[0]])
        case Activation(slope=slope) if slope:
            found["param"] = slope_type(slope)
    return found


def mean_type(layer: AveragePool, x: FixedPoint) -> FixedPoint:
    """Return a type in which hls4ml's sum is exact and its truncated quotient still rounds as the true mean does.

    A mean of n values on the input's grid that is not on a tie of the output's grid is at least 1/(2n) of the finer
    grid away from it; truncating it to log2(2n) + 1 bits below that grid cannot move it across or onto the tie.
    """
    count = prod(layer.window)
    fraction = max(x.fraction, layer.type.fraction + 1) + (2 * count).bit_length() + 1
    low, high = count * x.low << (fraction - x.fraction), count * x.high << (fraction - x.fraction)
    exact = smallest(low, high, fraction, signed=True)
    width = max(exact.width, fraction - layer.type.fraction + 2)  # ap_fixed cannot drop more bits than there are
    return FixedPoint(width, width - fraction, True)


def slope_type(slope: float) -> FixedPoint:
    """Return the narrowest signed type that holds a leaky ReLU's slope exactly."""
    codes, fraction = grid([slope])
    return smallest(0, int(codes[0]), fraction, signed=True)


def check_io_type(layer: Layer, io_type: IoType, types: Mapping[str, FixedPoint]) -> None:
    """Raise ConfigError for what hls4ml's C++ asserts or gets wrong."""
    if isinstance(layer, (Conv, DepthwiseConv)) and io_type is IoType.STREAM:
        axes = len(layer.strides)
        window = layer.kernel.codes.shape[:axes]
        if any(stride > size for stride, size in zip(layer.strides, window, strict=True)):
            raise ConfigError(
                f"layer {layer.name!r}: a convolution with io_stream must have no strides {layer.strides} above its "
                f"window {window}: hls4ml's C++ gives wrong sums then; use io_parallel"
            )
    if not isinstance(layer, (MaxPool, AveragePool)):
        return
    padded = any(a or b for a, b in layer.padding)
    if io_type is IoType.STREAM and (padded or layer.window != layer.strides):
        raise ConfigError(
            f"layer {layer.name!r}: pooling with io_stream must have strides equal to its window {layer.window} and no "
            f"padding, not strides {layer.strides}{' and padding' if padded else ''}; use io_parallel"
        )
    if isinstance(layer, MaxPool) and padded and not types[layer.sources[0]].signed:
        raise ConfigError(
            f"layer {layer.name!r}: hls4ml pads an unsigned maximum with its largest value; put a Pad before it"
        )


def _check_flatten(network: Network, layer: Layer, io_type: IoType) -> None:
    """Raise ConfigError for a streamed flatten that is read pixel by pixel.

    Source: hls4ml 1.3, ``ReshapeStream``: a flatten is not repacked, and only a dense layer takes any packing.
    """
    if io_type is not IoType.STREAM or not isinstance(layer, (Flatten, Reshape)):
        return
    x, y = network.shapes[layer.sources[0]], network.shapes[layer.name]
    readers = [other for other in network if layer.name in other.sources]
    wrong = [other.name for other in readers if not isinstance(other, Dense)]
    if len(y) == 1 and x[-1] != y[0] and wrong:
        raise ConfigError(
            f"layer {layer.name!r}: with io_stream only a Dense may read a Flatten, not {wrong[0]!r}: hls4ml's C++ "
            "takes the values in the wrong packing then; put that layer before the Flatten, or use io_parallel"
        )


def _new_name(wanted: str, network: Network) -> str:
    return wanted if wanted not in network.shapes else _new_name(f"{wanted}_x", network)


def _cast_entry(shape: Shape) -> Entry:
    return {"class_name": "Activation", "activation": "linear", "n_in": prod(shape)}


@singledispatch
def entry_of(layer: Layer, x: Shape, y: Shape) -> Entry:
    """Return a layer's entry in hls4ml's neutral list, for its input and output shapes."""
    raise UnsupportedLayer(f"layer {layer.name!r}: a {type(layer).__name__} cannot be converted")


@entry_of.register
def _(layer: Input, x: Shape, y: Shape) -> Entry:
    return {"class_name": "InputLayer", "input_shape": list(y)}


@entry_of.register
def _(layer: Dense, x: Shape, y: Shape) -> Entry:
    if len(x) > 1:  # over the last axis of a map: a convolution with a window of one
        ones = (1,) * (len(x) - 1)
        return {"class_name": f"Conv{len(ones)}D", **_conv_entry(ones, ones, ((0, 0),) * len(ones), x, y)}
    return {"class_name": "Dense", "n_in": x[-1], "n_out": y[-1], **_NO_QUANTIZERS}


@entry_of.register
def _(layer: Conv, x: Shape, y: Shape) -> Entry:
    window = layer.kernel.codes.shape[:-2]
    return {"class_name": f"Conv{len(window)}D", **_conv_entry(window, layer.strides, layer.padding, x, y)}


@entry_of.register
def _(layer: DepthwiseConv, x: Shape, y: Shape) -> Entry:
    window = layer.kernel.codes.shape[:-1]
    entry = {"class_name": f"DepthwiseConv{len(window)}D", "depth_multiplier": 1, "depthwise_quantizer": None}
    return entry | _conv_entry(window, layer.strides, layer.padding, x, y)


@entry_of.register
def _(layer: MaxPool, x: Shape, y: Shape) -> Entry:
    entry = {"class_name": f"MaxPooling{len(layer.window)}D", "data_format": "channels_last", "n_filt": y[-1]}
    if len(layer.window) == 1:
        entry |= {"n_in": x[0], "n_out": y[0]}
    else:
        entry |= {"in_height": x[0], "in_width": x[1], "out_height": y[0], "out_width": y[1]}
    return entry | _by_axis("pool", layer.window) | _by_axis("stride", layer.strides) | _padding(layer.padding)


@entry_of.register
def _(layer: AveragePool, x: Shape, y: Shape) -> Entry:
    as_max = MaxPool(layer.name, layer.sources, layer.window, layer.strides, layer.padding)
    return entry_of(as_max, x, y) | {"class_name": f"AveragePooling{len(layer.window)}D", "count_pad": False}


@entry_of.register
def _(layer: Activation, x: Shape, y: Shape) -> Entry:
    if layer.slope:
        return {"class_name": "LeakyReLU", "activation": "leaky_relu", "activ_param": layer.slope, "n_in": prod(x)}
    return {"class_name": "Activation", "activation": str(layer.function), "n_in": prod(x)}


@entry_of.register
def _(layer: ArgMax, x: Shape, y: Shape) -> Entry:
    settings = {"activation": "softmax", "implementation": "argmax", "axis": -1}
    return {"class_name": "Softmax", "n_in": prod(x), **settings}


@entry_of.register
def _(layer: Table, x: Shape, y: Shape) -> Entry:
    return {"class_name": "UnaryLUT", "activation": "unary_lut", "n_in": prod(x)}


@entry_of.register
def _(layer: Affine, x: Shape, y: Shape) -> Entry:
    n_filt = -1 if len(x) == 1 else x[-1]
    return {"class_name": "BatchNormalization", "n_in": prod(x), "n_filt": n_filt, "use_gamma": True, "use_beta": True}


@entry_of.register(Flatten)
@entry_of.register(Reshape)
def _(layer: Layer, x: Shape, y: Shape) -> Entry:
    return {"class_name": "Reshape", "target_shape": list(y)}


@entry_of.register
def _(layer: Pad, x: Shape, y: Shape) -> Entry:
    entry = {"class_name": f"ZeroPadding{len(y) - 1}D", "data_format": "channels_last", "n_chan": y[-1]}
    return entry | _by_axis("in", x[:-1]) | _by_axis("out", y[:-1]) | _padding(layer.padding)


@entry_of.register
def _(layer: Add, x: Shape, y: Shape) -> Entry:
    if len(layer.sources) != 2:
        raise UnsupportedLayer(f"layer {layer.name!r}: hls4ml adds two inputs, not {len(layer.sources)}")
    return {"class_name": "Merge", "op": "add"}


@entry_of.register
def _(layer: Multiply, x: Shape, y: Shape) -> Entry:
    return {"class_name": "Merge", "op": "multiply"}


@entry_of.register
def _(layer: Concatenate, x: Shape, y: Shape) -> Entry:
    if len(layer.sources) != 2:
        raise UnsupportedLayer(f"layer {layer.name!r}: hls4ml concatenates two inputs, not {len(layer.sources)}")
    return {"class_name": "Concatenate", "op": f"concatenate{len(y)}d", "axis": len(y)}


_NO_QUANTIZERS = {"weight_quantizer": None, "bias_quantizer": None}
_AXES = {1: ("width",), 2: ("height", "width")}
_SIDES = {1: (("left", "right"),), 2: (("top", "bottom"), ("left", "right"))}


def _conv_entry(window: Shape, strides: Shape, padding: tuple[tuple[int, int], ...], x: Shape, y: Shape) -> Entry:
    sizes = _by_axis("in", x[:-1]) | _by_axis("out", y[:-1]) | _by_axis("filt", window) | _by_axis("stride", strides)
    fixed = {"data_format": "channels_last", "n_chan": x[-1], "n_filt": y[-1]}
    return sizes | _padding(padding) | fixed | _NO_QUANTIZERS


def _by_axis(prefix: str, sizes: Shape) -> dict[str, int]:
    return {f"{prefix}_{axis}": int(n) for axis, n in zip(_AXES[len(sizes)], sizes, strict=True)}


def _padding(padding: tuple[tuple[int, int], ...]) -> dict[str, int]:
    sides = zip(_SIDES[len(padding)], padding, strict=True)
    return {f"pad_{name}": n for names, ends in sides for name, n in zip(names, ends, strict=True)}


def _array_for_hls4ml(layer: Layer, weights: Weights, shapes: dict[str, Shape]) -> Floats:
    """Return weight values in the axes that hls4ml expects of each layer."""
    values = weights.values
    match layer:
        case DepthwiseConv() if weights is layer.kernel:
            return values[..., None]  # Keras' axes: window, channels, multiplier
        case Dense() if weights is layer.kernel:
            return values.reshape(*(1,) * (len(shapes[layer.name]) - 1), *values.shape)
        case Table(index=index) if index.signed:
            return np.roll(values, len(values) // 2)  # hls4ml looks up by raw bits: negative codes come last
        case _:
            return values


def _blank_stamp(project: Path) -> None:
    """Replace hls4ml's random stamp, so that the same network always gives the same files."""
    script = project / "build_lib.sh"
    text = script.read_text(encoding="utf-8")
    found = re.search(r"^LIB_STAMP=(\w+)$", text, re.MULTILINE)
    if found:
        script.write_text(text.replace(found[1], STAMP), encoding="utf-8")


def check_project(network: Network, design: Design, project: Path) -> None:
    """Read a written project back and compare every type and every weight with the Network.

    Raises: ConversionMismatch with the first layer that differs, what the C++ says and what it should.
    """
    written = read_project(network, project)
    types = tensor_types(network)
    for layer in network:
        found = written.get(layer.name)
        if found is None:
            if not _may_vanish(layer, types):
                raise ConversionMismatch(f"layer {layer.name!r} is missing from the C++ in {project}")
            continue
        for what, kind in expected_types(layer, types).items():
            if what in found.types and not _same_type(layer, found.types[what], kind):
                raise ConversionMismatch(
                    f"layer {layer.name!r}: the C++ has {found.types[what]} as {what} type, the network {kind}"
                )
        if design.strategy_of(layer.name) is Strategy.DISTRIBUTED_ARITHMETIC and not found.weights:
            continue  # they have become adders; C simulation compares what these compute
        for field, weights in weights_of(layer).items():
            _check_weights(layer, field, weights, found, design)


def _same_type(layer: Layer, found: FixedPoint, kind: FixedPoint) -> bool:
    """Return whether a type in the C++ is the network's; how it would round matters not where values only move."""
    if isinstance(layer, (Pad, Flatten, Reshape)):
        return (found.width, found.integer, found.signed) == (kind.width, kind.integer, kind.signed)
    return found == kind


@dataclass(frozen=True)
class Written:
    """One layer as the C++ has it: types by hls4ml's name, weight codes (flat, in file order) by weight name."""

    types: dict[str, FixedPoint]
    weights: dict[str, Codes]


def read_project(network: Network, project: Path) -> dict[str, Written]:
    """Return what ``defines.h``, ``parameters.h``, the top function and ``weights/`` say of each layer of `network`.

    Raises: ConversionMismatch if a file is missing or a type cannot be found.
    """
    firmware = project / "firmware"
    try:
        top = (firmware / f"{network.name}.cpp").read_text(encoding="utf-8")
        defines = (firmware / "defines.h").read_text(encoding="utf-8")
        parameters = (firmware / "parameters.h").read_text(encoding="utf-8")
    except OSError as error:
        raise ConversionMismatch(f"{project} is not a complete HLS project of {network.name!r}: {error}") from error
    typedefs = _typedefs(defines)
    configs = {
        name: dict((key, value) for value, key in re.findall(r"typedef (\w+) (\w+);", body))
        for name, body in re.findall(r"struct (\w+) :[^{]*\{(.*?)\n\};", parameters, re.DOTALL)
    }
    found = {network.input.name: Written({"result": typedefs["input_t"]}, {})}
    for call, name in re.findall(r"nnet::\w+<(.*)\); // (\w+)$", top, re.MULTILINE):
        if name not in network.shapes:
            continue  # hls4ml's own helpers: zero padding before a streamed convolution, clones, repacking
        arguments, _, values = call.partition(">(")
        given = [part.strip() for part in arguments.split(",")]  # types in and out, and a configuration, in any order
        inside = next((configs[one] for one in given if one in configs), {})
        types = {"result": [typedefs[one] for one in given if one in typedefs][-1]}
        types |= {
            what: typedefs[inside[f"{what}_t"]]
            for what in ("accum", "weight", "bias", "scale", "table")
            if f"{what}_t" in inside
        }
        weights = {}
        for file in (part.strip() for part in values.split(",")):
            path, kind = firmware / "weights" / f"{file}.txt", FILE_PREFIX.get(file.rstrip("0123456789"), "")
            if kind in types and path.is_file():
                weights[kind] = _read_codes(path, types[kind])
        found[name] = Written(types, weights)
    return found


FILE_PREFIX = {"w": "weight", "b": "bias", "s": "scale", "table": "table"}


def _typedefs(defines: str) -> dict[str, FixedPoint]:
    """Return the fixed-point type behind each name; a stream's is that of its elements."""
    found = {}
    for text, name in re.findall(r"^typedef (.+?) (\w+);$", defines, re.MULTILINE):
        element = re.fullmatch(r"nnet::array<(.+), [\d*]+>", text)
        with suppress(ConfigError):  # other typedefs are of no concern
            found[name] = FixedPoint.parse(element[1] if element else text)
    return found


def _read_codes(path: Path, kind: FixedPoint) -> Codes:
    values = np.array(path.read_text(encoding="utf-8").replace("\n", "").split(","), dtype=np.float64)
    scaled = np.ldexp(values, kind.fraction)
    if (scaled != np.rint(scaled)).any():
        raise ConversionMismatch(f"{path}: value {values[scaled != np.rint(scaled)][0]!r} is not on the grid of {kind}")
    return scaled.astype(np.int64)


def _check_weights(layer: Layer, field: str, weights: Weights, found: Written, design: Design) -> None:
    written = found.weights.get(HLS4ML_WEIGHT[field])
    if written is None:
        raise ConversionMismatch(f"layer {layer.name!r}: the C++ has no {field}")
    expected = _file_order(layer, field, weights, design)
    if written.shape != expected.shape:
        raise ConversionMismatch(
            f"layer {layer.name!r}: the C++ has {written.size} {field} values, not {expected.size}"
        )
    wrong = np.flatnonzero(written != expected)
    if wrong.size:
        at = wrong[0]
        raise ConversionMismatch(
            f"layer {layer.name!r}: {wrong.size} of {written.size} {field} values differ in the C++; the first, at "
            f"position {at}, has code {written[at]} where the network has {expected[at]}"
        )


def _file_order(layer: Layer, field: str, weights: Weights, design: Design) -> Codes:
    """Return weight codes flat, in the order of hls4ml's weight files: outputs first for the resource strategies."""
    codes = weights.codes
    if isinstance(layer, Table) and layer.index.signed:
        return np.roll(codes, len(codes) // 2)
    outputs_first = design.strategy_of(layer.name) in (Strategy.RESOURCE, Strategy.RESOURCE_UNROLLED)
    if field == "kernel" and outputs_first and isinstance(layer, (Dense, Conv, DepthwiseConv)):
        codes = np.moveaxis(codes, -1, 0)
    return codes.ravel()


def _may_vanish(layer: Layer, types: Mapping[str, FixedPoint]) -> bool:
    """Return whether a layer may rightly leave no call in the C++: it only renames what it reads."""
    same = bool(layer.sources) and types[layer.name] == types[layer.sources[0]]
    linear = isinstance(layer, Activation) and layer.function is Function.LINEAR and same
    return linear or isinstance(layer, (Flatten, Reshape))

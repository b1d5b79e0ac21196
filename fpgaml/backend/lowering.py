"""Lower a Network to hls4ml's neutral layer list, with nothing left for hls4ml to infer, default or forget.

Plain layers whose weights are quantized already, an explicit type for every tensor, and a refusal of what hls4ml's C++
would assert or get wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import singledispatch
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from fpgaml.errors import ConfigError, UnsupportedLayer
from fpgaml.ir.accumulate import tensor_types
from fpgaml.ir.fixed import MAX_WIDTH, Codes, FixedPoint, Floats, smallest
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
    Input,
    Layer,
    MaxPool,
    Multiply,
    Network,
    Pad,
    PRelu,
    Reshape,
    Shape,
    Table,
    Upsample,
    matrix_size,
    weights_of,
)
from fpgaml.target.design import Design, IoType, Strategy

Entry = dict[str, Any]  # one layer in hls4ml's neutral layer list


def lower(network: Network, design: Design, folder: Path) -> tuple[dict[str, Any], dict[str, Floats]]:
    """Return hls4ml's layer list and configuration for `network` as JSON-ready data, and its weights by key.

    Raises: ConfigError if the io type cannot do a layer; UnsupportedLayer if hls4ml cannot.
    """
    if all(layer.renames or not layer.sources for layer in network):
        raise UnsupportedLayer(f"network {network.name!r} only renames its input: hls4ml writes no C++ for that")
    types, shapes = tensor_types(network), network.shapes
    arrays: dict[str, Floats] = {}
    layers: list[Entry] = []
    config: dict[str, Entry] = {}
    for layer in network:
        check_layer(layer, design.io_type, *(types[s] for s in layer.sources))
        _check_flatten(network, layer, design.io_type)
        entry = entry_of(layer, shapes[layer.sources[0]] if layer.sources else (), shapes[layer.name])
        for field, weights in weights_of(layer).items():
            codes = codes_for_hls4ml(layer, field, shapes[layer.name])
            arrays[f"{layer.name}.{field}"] = weights.type.decode(codes)
            name = "depthwise" if isinstance(layer, DepthwiseConv) and field == "kernel" else HLS4ML_WEIGHT[field]
            entry[f"{name}_data"] = {"array": f"{layer.name}.{field}"}
        sources = list(layer.sources)
        for name, kind in casts_before(layer, types, network):
            layers.append({"name": name, "inputs": sources, "outputs": [name], **_cast_entry(shapes[layer.sources[0]])})
            config[name] = {"Precision": {"result": kind.cpp}, "Trace": False}
            sources = [name]
        layers.append({"name": layer.name, "inputs": sources, "outputs": [layer.name], **entry})
        config[layer.name] = {
            "Precision": {what: kind.cpp for what, kind in expected_types(layer, types).items()}
            | {"result": _result_type(layer, types, network).cpp},
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
    kind = layer.cast
    if kind is None:
        return []
    found, x = [], types[layer.sources[0]]
    wide = x.fraction - kind.fraction + 2
    if wide > x.width:
        if wide > MAX_WIDTH:
            raise UnsupportedLayer(
                f"layer {layer.name!r}: rounding {x} to {kind} drops {x.fraction - kind.fraction} bits, too many"
            )
        name = _new_name(f"{layer.name}_wide", network)
        found.append((name, FixedPoint(wide, wide - x.fraction, x.signed)))
    if kind != layer.own_type:  # hls4ml casts to a layer's own type, and to no other
        found.append((_new_name(f"{layer.name}_index", network), kind))
    return found


def _result_type(layer: Layer, types: Mapping[str, FixedPoint], network: Network) -> FixedPoint:
    """Return the type of a layer's output in the C++: hls4ml repeats values in the very type, rounding mode and all."""
    repeated = {source for one in network if one.repeats for source in (one.name, *one.sources)}
    origin = layer
    while layer.name in repeated and (origin.repeats or origin.renames):
        origin = network[origin.sources[0]]
    return types[origin.name]


HLS4ML_WEIGHT = {"kernel": "weight", "bias": "bias", "scale": "scale", "table": "table", "slopes": "param"}


def expected_types(layer: Layer, types: Mapping[str, FixedPoint]) -> dict[str, FixedPoint]:
    """Return every type of a layer by hls4ml's name for it: result, accum, and one for each weight array."""
    found = {"result": types[layer.name]}
    found |= {HLS4ML_WEIGHT[field]: weights.type for field, weights in weights_of(layer).items()}
    return found | types_inside(layer, types[layer.name], *(types[s] for s in layer.sources))


@singledispatch
def types_inside(layer: Layer, y: FixedPoint, *xs: FixedPoint) -> dict[str, FixedPoint]:
    """Return the types between a layer's inputs and its result, by hls4ml's name for them; none for most."""
    return {}


@types_inside.register
def _(layer: Dense | Conv | DepthwiseConv | MaxPool, y: FixedPoint, *xs: FixedPoint) -> dict[str, FixedPoint]:
    return {"accum": y}


@types_inside.register
def _(layer: AveragePool, y: FixedPoint, *xs: FixedPoint) -> dict[str, FixedPoint]:
    return {"accum": mean_type(layer, xs[0])}


@types_inside.register
def _(layer: Activation, y: FixedPoint, *xs: FixedPoint) -> dict[str, FixedPoint]:
    return {"param": slope_type(layer, xs[0])} if layer.slope else {}


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


def slope_type(layer: Activation, x: FixedPoint) -> FixedPoint:
    """Return a signed type that holds a leaky ReLU's slope exactly, and so wide that its cast can drop what it must.

    ``ap_fixed`` cannot round away more bits than the product of slope and input has.
    """
    code, fraction = layer.slope_code
    exact = smallest(0, code, fraction, signed=True)
    width = max(exact.width, x.fraction + fraction - layer.type.fraction + 2 - x.width)
    return FixedPoint(width, width - fraction, True)


@singledispatch
def check_layer(layer: Layer, io_type: IoType, *xs: FixedPoint) -> None:
    """Raise ConfigError for what hls4ml's C++ asserts or gets wrong in a layer, for the types that it reads."""


@check_layer.register
def _(layer: Conv | DepthwiseConv, io_type: IoType, *xs: FixedPoint) -> None:
    wide = any(stride > size for stride, size in zip(layer.strides, layer.window, strict=True))
    if io_type is IoType.STREAM and wide:
        raise ConfigError(
            f"layer {layer.name!r}: a convolution with io_stream must have no strides {layer.strides} above its "
            f"window {layer.window}: hls4ml's C++ gives wrong sums then; use io_parallel"
        )


@check_layer.register
def _(layer: AveragePool, io_type: IoType, *xs: FixedPoint) -> None:
    _check_pool(layer, io_type)


@check_layer.register
def _(layer: MaxPool, io_type: IoType, *xs: FixedPoint) -> None:
    if _check_pool(layer, io_type) and not xs[0].signed:
        raise ConfigError(
            f"layer {layer.name!r}: hls4ml pads an unsigned maximum with its largest value; put a Pad before it"
        )


def _check_pool(layer: MaxPool | AveragePool, io_type: IoType) -> bool:
    """Raise ConfigError for windows that cannot be streamed; return whether the layer pads."""
    padded = any(a or b for a, b in layer.padding)
    if io_type is IoType.STREAM and (padded or layer.window != layer.strides):
        raise ConfigError(
            f"layer {layer.name!r}: pooling with io_stream must have strides equal to its window {layer.window} and no "
            f"padding, not strides {layer.strides}{' and padding' if padded else ''}; use io_parallel"
        )
    return padded


def _check_flatten(network: Network, layer: Layer, io_type: IoType) -> None:
    """Raise ConfigError for a streamed flatten that is read pixel by pixel.

    Source: hls4ml 1.3, ``ReshapeStream``: a flatten is not repacked, and only a dense layer takes any packing.
    """
    if io_type is not IoType.STREAM or not layer.renames:
        return
    x, y = network.shapes[layer.sources[0]], network.shapes[layer.name]
    readers = [other for other in network if layer.name in other.sources]
    wrong = [other.name for other in readers if matrix_size(other) is None]  # one with a matrix is a Dense here
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
    return {"class_name": f"Conv{len(layer.window)}D", **_conv_entry(layer.window, layer.strides, layer.padding, x, y)}


@entry_of.register
def _(layer: DepthwiseConv, x: Shape, y: Shape) -> Entry:
    entry = {"class_name": f"DepthwiseConv{len(layer.window)}D", "depth_multiplier": 1, "depthwise_quantizer": None}
    return entry | _conv_entry(layer.window, layer.strides, layer.padding, x, y)


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
def _(layer: PRelu, x: Shape, y: Shape) -> Entry:
    return {"class_name": "PReLU", "activation": "prelu", "n_in": prod(x)}


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
def _(layer: Upsample, x: Shape, y: Shape) -> Entry:
    """In one dimension, hls4ml's image is one row high.

    Source of the limit: ``nnet_image.h`` finds the place of an output by a ratio in 65536ths, rounded up; it is the
    right one while outputs times factor along an axis stay within 65536.
    """
    if any(n * factor > RESIZED for n, factor in zip(y, layer.factors, strict=False)):
        raise UnsupportedLayer(
            f"layer {layer.name!r}: hls4ml takes the wrong values where outputs times factor along an axis exceed "
            f"{RESIZED}; {y[:-1]} outputs by {layer.factors} do"
        )
    before, after = ((1,) * (3 - len(shape)) + shape[:-1] for shape in (x, y))
    entry = {"class_name": f"UpSampling{len(layer.factors)}D", "algorithm": "nearest", "data_format": "channels_last"}
    return entry | {"n_chan": x[-1]} | _by_axis("in", before) | _by_axis("out", after)


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


RESIZED = 1 << 16
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


@singledispatch
def codes_for_hls4ml(layer: Layer, field: str, y: Shape) -> Codes:
    """Return the codes of a weight array in the axes that hls4ml expects of a layer with output shape `y`."""
    return weights_of(layer)[field].codes


@codes_for_hls4ml.register
def _(layer: Dense, field: str, y: Shape) -> Codes:
    codes = weights_of(layer)[field].codes
    return codes.reshape((1,) * (len(y) - 1) + codes.shape) if field == "kernel" else codes


@codes_for_hls4ml.register
def _(layer: DepthwiseConv, field: str, y: Shape) -> Codes:
    codes = weights_of(layer)[field].codes
    return codes[..., None] if field == "kernel" else codes  # Keras' axes: window, channels, multiplier


@codes_for_hls4ml.register
def _(layer: PRelu, field: str, y: Shape) -> Codes:
    return np.broadcast_to(layer.slopes.codes, y)  # one slope a value


@codes_for_hls4ml.register
def _(layer: Table, field: str, y: Shape) -> Codes:
    codes = layer.table.codes
    return np.roll(codes, len(codes) // 2) if layer.index.signed else codes  # by raw bits: negative codes come last

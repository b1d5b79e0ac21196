"""From layers to the stages that compute them: one function a kind of layer.

    lowered = lower(network, design)       the stages of a network in order, or a sentence why it cannot be built

A map travels position by position in row-major order, all channels of one in a beat; a vector that comes from outside
travels value by value, and one that a matrix product made travels in one beat.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import singledispatch
from itertools import pairwise
from math import prod

import numpy as np

from fpgaml.backend.rtl.stage import Rom, Steps, Stream, StreamStage, each, passing
from fpgaml.backend.rtl.sums import write_sums
from fpgaml.errors import ConfigError, UnsupportedLayer
from fpgaml.ir.accumulate import intervals, tensor_types
from fpgaml.ir.fixed import Codes, FixedPoint, Overflow, Rounding, smallest
from fpgaml.ir.network import (
    Activation,
    Affine,
    ArgMax,
    AveragePool,
    Conv,
    Dense,
    DepthwiseConv,
    Flatten,
    Function,
    Input,
    Layer,
    MaxPool,
    Network,
    Pad,
    Reshape,
    Shape,
    Table,
    Weights,
)
from fpgaml.target.design import Design, IoType, Strategy

LEVELS = 3  # adders in a row between two registers
TABLE_BITS = 16  # of an index: a ROM of 65,536 entries for each channel
ROUNDINGS = tuple(Rounding[name] for name in "TRN TRN_ZERO RND RND_ZERO RND_INF RND_MIN_INF RND_CONV".split())
OVERFLOWS = tuple(Overflow[name] for name in "WRAP SAT SAT_ZERO SAT_SYM".split())
# Words of SystemVerilog that the name of a network, which becomes a module, must not be.
WORDS = frozenset(
    """always and assert assign assume automatic before begin bind bit break buf byte case cell chandle checker class
    clocking config const constraint context continue cover cross deassign default defparam design disable dist do edge
    else end endcase endmodule enum event expect export extern final first_match for force foreach forever fork function
    generate genvar global if iff ifnone import initial inout input inside instance int integer interface intersect join
    large let liblist library local localparam logic longint macromodule matches medium modport module nand negedge new
    nor not null or output package packed parameter pmos posedge primitive priority program property protected pull0
    pull1 pulldown pullup pure rand randc randcase real realtime ref reg release repeat restrict return scalared
    sequence shortint shortreal signed small solve specify specparam static string strong struct super supply0 supply1
    table tagged task this throughout time timeprecision timeunit tran tri type typedef union unique unsigned until use
    uwire var vectored virtual void wait wand weak while wildcard wire with within wor xnor xor""".split()
)


@dataclass(frozen=True, eq=False)
class Lowered:
    """A network as stages in a row. inputs, output: the streams at its ports; types: of every tensor."""

    network: Network
    design: Design
    inputs: Stream
    stages: tuple[StreamStage, ...]

    @property
    def output(self) -> Stream:
        """The stream that leaves."""
        return self.stages[-1].out if self.stages else self.inputs


@dataclass(frozen=True)
class Surroundings:
    """What a layer's stages know of their surroundings."""

    network: Network
    design: Design
    x: Stream
    shape: Shape
    type: FixedPoint


def lower(network: Network, design: Design) -> Lowered:
    """Return the stages of `network`. Raises: ConfigError, UnsupportedLayer with what cannot be built, and why."""
    if design.io_type is not IoType.STREAM:
        raise ConfigError(
            f"the Verilog backend builds io_stream only, not {design.io_type}; set design.io_type = 'io_stream'"
        )
    if network.name in WORDS or network.name.startswith("nn_"):
        raise ConfigError(f"network name {network.name!r} is a word of Verilog or of fpgaml's modules; take another")
    types, shapes, layers = tensor_types(network), network.shapes, list(network)
    for before, layer in pairwise(layers):
        if layer.sources != (before.name,):
            raise UnsupportedLayer(
                f"layer {layer.name!r}: the Verilog backend builds layers in a row, and this one reads "
                f"{' and '.join(map(repr, layer.sources))}; use the backend Vitis"
            )
    first = _input(network.input)
    x, made = first, list[StreamStage]()
    for layer in layers[1:]:
        stages = stages_of(layer, Surroundings(network, design, x, shapes[layer.name], types[layer.name]))
        if stages:
            made += [*stages[:-1], replace(stages[-1], layers=(layer.name,))]
            x = stages[-1].out
        elif made:
            x = replace(x, shape=shapes[layer.name])
            made[-1] = replace(made[-1], out=x, layers=(*made[-1].layers, layer.name))
        else:
            x = first = replace(x, shape=shapes[layer.name])
    if not made:
        made = [StreamStage(f"{network.output.name}__slice", "nn_slice", {"WIDTH": x.width}, x, each(x.beats))]
    return Lowered(network, design, first, tuple(made))


def _reuse_factors(beats: int, values: int, outputs: int) -> tuple[int, ...]:
    """Return the valid reuse factors: some of the values of a beat at a time for all outputs, or one for some."""
    some = {beats * n for n in range(1, values + 1) if values % n == 0}
    return tuple(sorted(some | {beats * values * n for n in range(1, outputs + 1) if outputs % n == 0}))


def _input(layer: Input) -> Stream:
    beats, channels = (layer.dims[0], 1) if len(layer.dims) == 1 else (prod(layer.dims[:-1]), layer.dims[-1])
    return Stream(layer.dims, beats, channels, layer.type)


@singledispatch
def stages_of(layer: Layer, place: Surroundings) -> list[StreamStage]:
    """Return the stages of one layer; none if it gives the same values in the same order."""
    raise UnsupportedLayer(
        f"layer {layer.name!r}: the Verilog backend has no {type(layer).__name__} yet; use the backend Vitis"
    )


@stages_of.register
def _(layer: Activation, place: Surroundings) -> list[StreamStage]:
    slope, finer = layer.slope_code if layer.function is Function.RELU else (0, 0)
    if not -(1 << 31) <= slope < 1 << 31 or finer > 31:
        raise UnsupportedLayer(
            f"layer {layer.name!r}: the Verilog backend takes slopes of up to 31 bits, not {layer.slope!r}"
        )
    relu = {"RELU": int(layer.function is Function.RELU), "SLOPE": slope, "SLOPE_UP": finer if slope else 0}
    drop = place.x.type.fraction + (finer if slope else 0) - layer.type.fraction
    return [_cast(layer.name, place.x, drop, layer.type, relu)]


def _cast(name: str, x: Stream, drop: int, kind: FixedPoint, more: dict[str, int] | None = None) -> StreamStage:
    given = {"CHANNELS": x.channels, "IN_WIDTH": x.type.width, "IN_SIGNED": int(x.type.signed)}
    parameters = given | _rounds(drop, kind) | (more or {})
    return StreamStage(name, "nn_cast", parameters, replace(x, type=kind), each(x.beats))


def _rounds(drop: int, kind: FixedPoint) -> dict[str, int]:
    return {
        "DROP": drop,
        "OUT_WIDTH": kind.width,
        "OUT_SIGNED": int(kind.signed),
        "ROUNDING": ROUNDINGS.index(kind.rounding),
        "OVERFLOW": OVERFLOWS.index(kind.overflow),
    }


@stages_of.register
def _(layer: Table, place: Surroundings) -> list[StreamStage]:
    if layer.index.width > TABLE_BITS:
        raise UnsupportedLayer(
            f"layer {layer.name!r}: the Verilog backend takes tables of up to {TABLE_BITS} bits of index, not "
            f"{layer.index.width}"
        )
    name, kind, width = layer.name, layer.table.type, layer.index.width
    index = _cast(f"{name}__index", place.x, place.x.type.fraction - layer.index.fraction, layer.index)
    bits = (1 << width) - 1
    rows = np.zeros(1 << width, object)
    for at, code in enumerate(layer.table.codes.tolist()):
        rows[(layer.index.low + at) & bits] = code & ((1 << kind.width) - 1)
    out = replace(place.x, type=kind)
    parameters = {"CHANNELS": out.channels, "INDEX_WIDTH": width, "OUT_WIDTH": kind.width}
    return [
        index,
        StreamStage(
            name, f"{name}__lookup", parameters, out, each(out.beats), rom=Rom(tuple(rows.tolist()), kind.width)
        ),
    ]


@stages_of.register(Flatten)
def _(layer: Flatten, place: Surroundings) -> list[StreamStage]:
    return []


@stages_of.register
def _(layer: Reshape, place: Surroundings) -> list[StreamStage]:
    wanted = place.shape[-1] if len(place.shape) > 1 else place.x.channels
    return _rebeat(f"{layer.name}__", layer.name, place.x, place.shape, wanted)


def _rebeat(prefix: str, last: str, x: Stream, shape: Shape, channels: int) -> list[StreamStage]:
    """Return the stages that make beats of `channels` values: gathered to a beat that both divide, then split."""
    found, size = [], prod(x.shape)
    if channels % x.channels and x.channels % channels:
        found.append(_gather(f"{prefix}gather", x, x.shape, size))
        x = found[-1].out
    if channels > x.channels:
        found.append(_gather(last, x, shape, channels))
    elif channels < x.channels:
        ratio, width = x.channels // channels, channels * x.type.width
        steps = np.arange(x.beats * ratio)
        every = np.ones(len(steps), bool)
        timing = Steps(every, steps % ratio == ratio - 1, every)
        out = Stream(shape, len(steps), channels, x.type)
        found.append(StreamStage(last, "nn_split", {"BEATS": ratio, "WIDTH": width}, out, timing))
    return found


def _gather(name: str, x: Stream, shape: Shape, channels: int) -> StreamStage:
    ratio = channels // x.channels
    out = Stream(shape, x.beats // ratio, channels, x.type)
    timing = passing(np.arange(x.beats) % ratio == ratio - 1)
    return StreamStage(name, "nn_gather", {"BEATS": ratio, "WIDTH": x.width}, out, timing)


def _in_one_beat(layer: Layer, x: Stream) -> list[StreamStage]:
    """Return what gathers the values along the last axis into one beat: nothing if they come so."""
    return _rebeat(f"{layer.name}__", f"{layer.name}__whole", x, x.shape, x.shape[-1])


@stages_of.register
def _(layer: ArgMax, place: Surroundings) -> list[StreamStage]:
    before = _in_one_beat(layer, place.x)
    x = before[-1].out if before else place.x
    parameters = {"CHANNELS": x.channels, "IN_WIDTH": x.type.width, "IN_SIGNED": int(x.type.signed)}
    kind = FixedPoint(1, 1, signed=False)
    if place.type.width != 1:
        raise UnsupportedLayer(f"layer {layer.name!r}: a class must come in 1 bit, not {place.type}")
    return [*before, StreamStage(layer.name, "nn_argmax", parameters, replace(x, type=kind), each(x.beats))]


@stages_of.register
def _(layer: Affine, place: Surroundings) -> list[StreamStage]:
    before = _in_one_beat(layer, place.x)
    x = before[-1].out if before else place.x
    factors = layer.scale.codes << (place.type.fraction - x.type.fraction - layer.scale.type.fraction)
    wide = smallest(int(factors.min()), int(factors.max()), 0, signed=True).width
    parameters: dict[str, int | str] = {
        "CHANNELS": x.channels, "IN_WIDTH": x.type.width, "IN_SIGNED": int(x.type.signed), "SCALE_WIDTH": wide,
        "OUT_WIDTH": place.type.width, "SCALE": packed(factors, wide),
        "BIAS": packed(_offset(layer.bias, place.type), place.type.width),
    }  # fmt: skip
    out = replace(x, type=place.type)
    return [
        *before,
        StreamStage(
            layer.name, "nn_affine", parameters, out, each(x.beats), multipliers=len(np.unique(layer.scale.codes))
        ),
    ]


def _offset(bias: Weights, kind: FixedPoint) -> Codes:
    """Return the bias in units of the sums."""
    return bias.codes << (kind.fraction - bias.type.fraction)


def packed(codes: Codes, width: int) -> str:
    """Return codes as one Verilog number, the first in its lowest bits."""
    return f"{len(codes) * width}'h{pack(codes, width):x}"


def pack(codes: Codes, width: int) -> int:
    """Return codes as one number, the first in its lowest bits."""
    text = "".join(f"{code & ((1 << width) - 1):0{width}b}" for code in reversed(codes.reshape(-1).tolist()))
    return int(text, 2)


@stages_of.register
def _(layer: Pad, place: Surroundings) -> list[StreamStage]:
    return [_pad(layer.name, place.x, layer.padding, 0, place.shape)]


def _pad(name: str, x: Stream, padding: tuple[tuple[int, int], ...], fill: int, shape: Shape) -> StreamStage:
    rows, cols = x.rows_cols
    (top, bottom), (left, right) = ((0, 0), *padding) if len(padding) == 1 else padding
    inside = np.zeros((top + rows + bottom, left + cols + right), bool)
    inside[top : top + rows, left : left + cols] = True
    steps = inside.reshape(-1)
    parameters: dict[str, int | str] = {
        "WIDTH": x.width, "ROWS": rows, "COLS": cols, "TOP": top, "BOTTOM": bottom, "LEFT": left, "RIGHT": right,
        "FILL": packed(np.full(x.channels, fill), x.type.width),
    }  # fmt: skip
    out = Stream(shape, len(steps), x.channels, x.type)
    return StreamStage(name, "nn_pad", parameters, out, Steps(steps, steps, np.ones(len(steps), bool)))


def _windows(
    layer: Layer,
    x: Stream,
    window: Shape,
    strides: Shape,
    padding: tuple[tuple[int, int], ...],
    shape: Shape,
    fill: int,
) -> list[StreamStage]:
    """Return what makes the windows of a layer: padding if there is any, and a line buffer."""
    found = []
    if any(a or b for a, b in padding):
        spatial = [n + a + b for n, (a, b) in zip(x.shape[:-1], padding, strict=True)]
        found.append(_pad(f"{layer.name}__padded", x, padding, fill, (*spatial, x.channels)))
        x = found[-1].out
    rows, cols = x.rows_cols
    (high, wide), (down, right) = ((1, *window), (1, *strides)) if len(window) == 1 else (window, strides)
    row, col = np.indices((rows, cols))
    ends = (row >= high - 1) & (col >= wide - 1) & ((row - high + 1) % down == 0) & ((col - wide + 1) % right == 0)
    out = Stream((*shape[:-1], high * wide * x.channels), int(ends.sum()), high * wide * x.channels, x.type)
    parameters = {
        "WIDTH": x.width, "ROWS": rows, "COLS": cols, "KERNEL_ROWS": high, "KERNEL_COLS": wide, "STRIDE_ROWS": down,
        "STRIDE_COLS": right,
    }  # fmt: skip
    return [*found, StreamStage(f"{layer.name}__window", "nn_window", parameters, out, passing(ends.reshape(-1)))]


@stages_of.register
def _(layer: MaxPool, place: Surroundings) -> list[StreamStage]:
    low = intervals(place.network)[layer.sources[0]].low
    before = _windows(layer, place.x, layer.window, layer.strides, layer.padding, place.shape, low)
    return [*before, _reduce(layer.name, before[-1].out, prod(layer.window), place.shape, place.x.type, False)]


def _reduce(name: str, x: Stream, taps: int, shape: Shape, kind: FixedPoint, add: bool) -> StreamStage:
    parameters = {
        "TAPS": taps, "CHANNELS": shape[-1], "IN_WIDTH": x.type.width, "IN_SIGNED": int(x.type.signed),
        "OUT_WIDTH": kind.width, "SUM": int(add),
    }  # fmt: skip
    return StreamStage(name, "nn_reduce", parameters, Stream(shape, x.beats, shape[-1], kind), each(x.beats))


@stages_of.register
def _(layer: AveragePool, place: Surroundings) -> list[StreamStage]:
    if any(a or b for a, b in layer.padding):
        raise UnsupportedLayer(
            f"layer {layer.name!r}: the Verilog backend has no average pooling over padding yet; use the backend Vitis"
        )
    before = _windows(layer, place.x, layer.window, layer.strides, layer.padding, place.shape, 0)
    x, count = before[-1].out, prod(layer.window)
    total = smallest(min(x.type.low, 0) * count, x.type.high * count, x.type.fraction, signed=True)
    sums = _reduce(f"{layer.name}__sum", x, count, place.shape, total, True)
    if count.bit_count() == 1:
        drop = x.type.fraction + count.bit_length() - 1 - layer.type.fraction
        return [*before, sums, _cast(layer.name, sums.out, drop, layer.type)]
    up = max(layer.type.fraction - x.type.fraction, 0)
    parameters = {"CHANNELS": place.shape[-1], "IN_WIDTH": total.width, "UP": up, "COUNT": count}
    parameters |= _rounds(x.type.fraction + up + 2 - layer.type.fraction, layer.type)
    out = replace(sums.out, type=layer.type)
    return [*before, sums, StreamStage(layer.name, "nn_mean", parameters, out, each(out.beats))]


@stages_of.register
def _(layer: Dense, place: Surroundings) -> list[StreamStage]:
    x, shape = place.x, place.shape
    if len(shape) > 1 and x.channels != len(layer.kernel.codes):
        before = _in_one_beat(layer, x)
        return before + _product(layer, layer.kernel.codes, replace(place, x=before[-1].out))
    return _product(layer, layer.kernel.codes, place)


@stages_of.register
def _(layer: Conv, place: Surroundings) -> list[StreamStage]:
    before = _windows(layer, place.x, layer.window, layer.strides, layer.padding, place.shape, 0)
    matrix = layer.kernel.codes.reshape(-1, layer.kernel.codes.shape[-1])
    return before + _product(layer, matrix, replace(place, x=before[-1].out))


@stages_of.register
def _(layer: DepthwiseConv, place: Surroundings) -> list[StreamStage]:
    reuse = place.design.reuse_of(layer.name)
    if reuse != 1 and any(one.name == layer.name and one.reuse_factor for one in place.design.per_layer):
        raise ConfigError(
            f"layer {layer.name!r}: a depthwise convolution of the Verilog backend must have reuse factor 1, not "
            f"{reuse}"
        )
    before = _windows(layer, place.x, layer.window, layer.strides, layer.padding, place.shape, 0)
    taps, channels = layer.kernel.codes.reshape(-1, layer.kernel.codes.shape[-1]).shape
    matrix = np.zeros((taps, channels, channels), np.int64)
    matrix[:, np.arange(channels), np.arange(channels)] = layer.kernel.codes.reshape(taps, channels)
    x = before[-1].out
    return [
        *before,
        _adders(
            layer, matrix.reshape(-1, channels), replace(place, x=x), Stream(place.shape, x.beats, channels, place.type)
        ),
    ]


def _product_beats(matrix: Codes, x: Stream) -> tuple[int, int]:
    """Return in how many beats, of how many values, one product with a matrix gets its input."""
    beats = x.beats if len(x.shape) == 1 else 1
    return beats, len(matrix) // beats


def _product(layer: Dense | Conv, matrix: Codes, place: Surroundings) -> list[StreamStage]:
    """Return what multiplies by a matrix: adders if a beat has all and is taken each cycle, else an engine."""
    x, outputs = place.x, matrix.shape[-1]
    beats, values = _product_beats(matrix, x)
    products = x.beats // beats
    reuse = _reuse(layer, place.design, beats, values, outputs)
    out = Stream(place.shape, products, outputs, place.type)
    if reuse == 1:
        return [_adders(layer, matrix, place, out)]
    per_beat = reuse // beats
    taken, made = (values // per_beat, outputs) if per_beat <= values else (1, outputs * values // per_beat)
    return [*_slice(layer, x, per_beat), _engine(layer, matrix, place, out, (beats, values, taken, made))]


def _reuse(layer: Layer, design: Design, beats: int, values: int, outputs: int) -> int:
    """Return the reuse factor of a layer, as the design says it. Raises: ConfigError if it is not valid."""
    asked = design.reuse_of(layer.name)
    valid = _reuse_factors(beats, values, outputs)
    if design.strategy_of(layer.name) is Strategy.RESOURCE_UNROLLED:
        raise ConfigError(
            f"layer {layer.name!r}: the Verilog backend knows the strategies latency, resource and "
            "distributed_arithmetic, not resource_unrolled"
        )
    if design.strategy_of(layer.name) is not Strategy.RESOURCE and asked == 1:
        return valid[0]
    if asked not in valid:
        near = min(valid, key=lambda one: (abs(one - asked), one))
        because = f", for its input comes in {beats:,} beats" if asked < beats else ""
        raise ConfigError(
            f"layer {layer.name!r}: reuse factor {asked} is not valid for its {beats * values} x {outputs} matrix in "
            f"the Verilog backend{because}; the nearest valid one is {near}"
        )
    return asked


def _slice(layer: Layer, x: Stream, per_beat: int) -> list[StreamStage]:
    """Return a register for the beat that an engine works on, so that what stands before it can go on."""
    if per_beat == 1:
        return []
    return [StreamStage(f"{layer.name}__held", "nn_slice", {"WIDTH": x.width}, x, each(x.beats))]


def _adders(layer: Layer, matrix: Codes, place: Surroundings, out: Stream) -> StreamStage:
    kernel, bias = layer.kernel, layer.bias  # type: ignore[attr-defined]
    x, kind = place.x.type, place.type
    up = kind.fraction - x.fraction - kernel.type.fraction
    module = f"{layer.name}__sums"
    text, latency = write_sums(module, matrix, _offset(bias, kind), up, x, kind, LEVELS)
    return StreamStage(layer.name, module, {}, out, each(out.beats, latency), own=text)


def _engine(
    layer: Dense | Conv, matrix: Codes, place: Surroundings, out: Stream, size: tuple[int, int, int, int]
) -> StreamStage:
    beats, values, taken, made = size
    x, kind, outputs = place.x.type, place.type, matrix.shape[-1]
    width = smallest(int(matrix.min(initial=0)), int(matrix.max(initial=0)), 0, signed=True).width
    chunks, groups = values // taken, outputs // made
    # (beat, chunk, input of a chunk, group, output of a group) -> a row for each beat, group and chunk
    rows = matrix.reshape(beats, chunks, taken, groups, made).transpose(0, 3, 1, 4, 2)
    words = tuple(pack(row, width) for row in rows.reshape(-1, made * taken))
    steps = out.beats * len(words)
    at = np.arange(steps)
    timing = Steps(
        np.ones(steps, bool), at % (chunks * groups) == chunks * groups - 1, at % len(words) == len(words) - 1, 3
    )
    parameters: dict[str, int | str] = {
        "BEATS": beats, "INPUTS": values, "OUTPUTS": outputs, "TAKEN": taken, "MADE": made, "IN_WIDTH": x.width,
        "IN_SIGNED": int(x.signed), "WEIGHT_WIDTH": width,
        "UP": kind.fraction - x.fraction - layer.kernel.type.fraction, "SUM_WIDTH": kind.width,
        "ROW_WIDTH": max(1, (len(words) - 1).bit_length()), "BIAS": packed(_offset(layer.bias, kind), kind.width),
    }  # fmt: skip
    rom = Rom(words, taken * made * width)
    return StreamStage(layer.name, "nn_engine", parameters, out, timing, rom=rom, multipliers=taken * made)

"""The Network: a quantized neural network as one small frozen value in integer codes.

    Network(name, layers)        layers in topological order, the first an `Input`, the last the output
    Input                        shape and type of one image
    Dense  Conv  DepthwiseConv   weights as read-only integer codes with their FixedPoint; results are exact
    MaxPool  AveragePool         windows over the spatial axes
    Activation                   linear or ReLU (leaky if it has a slope), cast to a stated type
    PRelu                        a ReLU with learned slopes, exact
    Table                        any function of one value, as an explicit table of output codes
    Affine                       scale and bias per channel: batch normalization that has no layer to fold into
    Flatten  Reshape  Pad  Upsample  Add  Multiply  Concatenate
    ArgMax                       1 where the largest value is, else 0: a class instead of logits

Shapes leave out the images axis and put channels last: ``(features,)``, ``(length, channels)`` or
``(height, width, channels)``. One `Conv` serves one and two dimensions: its kernel's rank says which.
Batch normalization, dropout and softmax are gone when a Keras model has been read; nothing below knows them.

A kind says here what it *is*: its shape rule, how it comes to its result (`Result`), the types it states, a few words.
What it *does* is elsewhere, one `functools.singledispatch` function a module: ranges and accumulators in accumulate.py,
execution in emulate.py, C++ in backend/hls4ml.py, cost in estimate/. No other module asks what class a layer has;
`tests/test_layer_kinds.py` lists what each kind must have, and CONTRIBUTING.md how to add one.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from enum import StrEnum
from functools import cached_property, wraps
from math import prod
from typing import Any, ClassVar, TypeVar

import numpy as np

from fpgaml.errors import ConfigError, DataError, UnsupportedLayer, nearest
from fpgaml.ir.fixed import Codes, FixedPoint, Floats, Overflow, grid, smallest
from fpgaml.ir.shown import Shown, Summary

Shape = tuple[int, ...]
Found = TypeVar("Found")

# Names become C++ identifiers in the generated project: these are C++ keywords or names hls4ml uses itself.
RESERVED = frozenset(
    """alignas alignof and asm auto bool break case catch char class const continue default delete do double else enum
    explicit export extern false float for friend goto if inline int long mutable namespace new not nullptr operator or
    private protected public register return short signed sizeof static struct switch template this throw true try
    typedef typename union unsigned using virtual void volatile while xor input output result model nnet hls main
    myproject weights""".split()
)
# hls4ml keeps a layer's output among its settings, under the layer's name: these are names of settings.
SETTINGS = frozenset(
    """accum_t activation algorithm align_corners apply_reset_gate axis bias bias_t class_name conv_implementation
    count_pad crop_bottom crop_left crop_right crop_top data_format data_reader depth_multiplier depthwise
    depthwise_accum_t depthwise_result_t depthwise_reuse_factor depthwise_t direction embeddings embeddings_t
    epsilon_power_of_10 equation exp_table exp_table_t expression filt_height filt_width implementation in_height
    in_width index index_t inp_shape input_layers input_shape inputs inv_inp_t inv_table inv_table_t layer_list
    lut_functions n_chan n_filt n_in n_inner n_out n_outer n_partitions n_symbols n_time_steps name narrow op
    out_height out_shape out_width output_layers output_shape outputs pad_bottom pad_left pad_right pad_top
    parallelization_factor param param_t part pass_initial_states perm perm_str pointwise pointwise_accum_t
    pointwise_reuse_factor pointwise_t pool_height pool_op pool_width precision quantizer recurrent_activation
    recurrent_bias recurrent_bias_t recurrent_reuse_factor recurrent_weight recurrent_weight_t result_t
    return_sequences return_state reuse_factor rounding_mode scale scale_t seq_len shift shift_t signed skip slope
    slope_t strategy stride_height stride_width table table_range_power2 table_size table_t target_shape time_major
    time_step_loop_parallelism trace use_beta use_gamma value vocab_size weight weight_t wrapped_layer""".split()
)
PROJECTS = frozenset(
    {"myproject"}
)  # reserved for layers alone: hls4ml's default name of a project, and so of its function


@dataclass(frozen=True, eq=False)
class Weights:
    """A read-only array of integer codes with the type that holds them."""

    codes: Codes
    type: FixedPoint

    def __post_init__(self) -> None:
        codes = np.array(self.codes, dtype=np.int64)
        if not self.type.holds(codes):
            raise DataError(f"weights from {codes.min()} to {codes.max()} do not fit {self.type}")
        codes.setflags(write=False)
        object.__setattr__(self, "codes", codes)

    @classmethod
    def of(cls, values: Floats) -> Weights:
        """Return real `values` with the narrowest type that holds each of them exactly."""
        codes, fraction = grid(values)
        low, high = (int(codes.min()), int(codes.max())) if codes.size else (0, 0)
        return cls(codes, smallest(low, high, fraction))

    @property
    def values(self) -> Floats:
        """The real values."""
        return self.type.decode(self.codes)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Weights):
            return NotImplemented
        return self.type == other.type and np.array_equal(self.codes, other.codes)

    def __hash__(self) -> int:
        return hash((self.type, self.codes.shape, self.codes.tobytes()))

    def __repr__(self) -> str:
        return f"Weights({'x'.join(map(str, self.codes.shape))} of {self.type})"


class Function(StrEnum):
    """What an `Activation` does before it casts."""

    LINEAR = "linear"
    RELU = "relu"


class Result(StrEnum):
    """How a kind of layer comes to its output."""

    STATED = "stated"  # in a type that the layer states: rounded to it, or looked up in it
    COMPUTED = "computed"  # sums and products, exact: in the narrowest type that no partial sum can leave
    MOVED = "moved"  # values that it reads, chosen or put elsewhere: they keep their type


@dataclass(frozen=True)
class Layer:
    """A node: its name and the names of the layers whose outputs it reads."""

    name: str
    sources: tuple[str, ...]
    arity: ClassVar[int | None] = 1  # None: two or more
    result: ClassVar[Result]
    renames: ClassVar[bool] = False  # gives the same values in the same order: no hardware
    repeats: ClassVar[bool] = False  # gives each value several times, in the type in which it comes
    learned: ClassVar[bool] = True  # its weight arrays, if any, are parameters; False: they are results, written out

    @property
    def own_type(self) -> FixedPoint | None:
        """The type that it carries, to which it rounds (an Input: in which an image comes); None if it has none."""
        found: FixedPoint | None = getattr(self, "type", None)
        return found

    @property
    def stated(self) -> FixedPoint | None:
        """The type of its output, if it states one: its own, or one that follows from what it is."""
        return self.own_type

    @property
    def cast(self) -> FixedPoint | None:
        """The type to which it casts each value it reads, if it does so."""
        return None

    @property
    def divisor(self) -> int:
        """What its sums are divided by."""
        return 1

    @property
    def words(self) -> str:
        """What it does, in a few words for a person."""
        raise UnsupportedLayer(f"layer {self.name!r}: a {type(self).__name__} has no words for what it does")

    def shape(self, *inputs: Shape) -> Shape:
        """Return the output shape for the input shapes. Raises: ConfigError where they do not fit."""
        raise UnsupportedLayer(f"layer {self.name!r}: a {type(self).__name__} has no shape rule")


@dataclass(frozen=True)
class Input(Layer):
    """One image: its shape and the type of its codes."""

    dims: Shape
    type: FixedPoint
    result: ClassVar[Result] = Result.STATED
    arity: ClassVar[int | None] = 0

    def shape(self, *inputs: Shape) -> Shape:
        return self.dims

    @property
    def words(self) -> str:
        return "input"


@dataclass(frozen=True)
class Dense(Layer):
    """Matrix product over the last axis plus bias. kernel: (inputs, outputs); bias: (outputs,)."""

    kernel: Weights
    bias: Weights
    result: ClassVar[Result] = Result.COMPUTED

    def shape(self, *inputs: Shape) -> Shape:
        n_in, n_out = self.kernel.codes.shape
        _must(self, inputs[0][-1] == n_in, f"input {inputs[0]} must end in {n_in}, the rows of its kernel")
        _must(self, self.bias.codes.shape == (n_out,), f"bias must have shape ({n_out},)")
        return (*inputs[0][:-1], n_out)

    @property
    def words(self) -> str:
        return f"{self.kernel.codes.shape[0]} x {self.kernel.codes.shape[1]} sum"


@dataclass(frozen=True)
class Conv(Layer):
    """Convolution in one or two dimensions plus bias.

    kernel: (length, channels, filters) or (height, width, channels, filters); bias: (filters,).
    padding: zeros before and after each spatial axis.
    """

    kernel: Weights
    bias: Weights
    strides: Shape
    padding: tuple[tuple[int, int], ...]
    result: ClassVar[Result] = Result.COMPUTED

    def shape(self, *inputs: Shape) -> Shape:
        channels, filters = self.kernel.codes.shape[-2:]
        _must(self, inputs[0][-1] == channels, f"input {inputs[0]} must end in {channels} channels")
        _must(self, self.bias.codes.shape == (filters,), f"bias must have shape ({filters},)")
        return (*_windows(self, inputs[0], self.window, self.strides, self.padding), filters)

    @property
    def window(self) -> Shape:
        """Taps along each spatial axis."""
        return self.kernel.codes.shape[:-2]

    @property
    def words(self) -> str:
        return f"{_times(self.window)} convolution, {self.kernel.codes.shape[-1]} filters"


@dataclass(frozen=True)
class DepthwiseConv(Layer):
    """One filter a channel. kernel: (height, width, channels) or (length, channels); bias: (channels,)."""

    kernel: Weights
    bias: Weights
    strides: Shape
    padding: tuple[tuple[int, int], ...]
    result: ClassVar[Result] = Result.COMPUTED

    def shape(self, *inputs: Shape) -> Shape:
        channels = self.kernel.codes.shape[-1]
        _must(self, inputs[0][-1] == channels, f"input {inputs[0]} must end in {channels} channels")
        _must(self, self.bias.codes.shape == (channels,), f"bias must have shape ({channels},)")
        return (*_windows(self, inputs[0], self.window, self.strides, self.padding), channels)

    @property
    def window(self) -> Shape:
        """Taps along each spatial axis."""
        return self.kernel.codes.shape[:-1]

    @property
    def words(self) -> str:
        return f"{_times(self.window)} depthwise convolution"


@dataclass(frozen=True)
class MaxPool(Layer):
    """Largest value of each window; padding never wins (it counts as the smallest code)."""

    window: Shape
    strides: Shape
    padding: tuple[tuple[int, int], ...]
    result: ClassVar[Result] = Result.MOVED

    def shape(self, *inputs: Shape) -> Shape:
        return (*_windows(self, inputs[0], self.window, self.strides, self.padding), inputs[0][-1])

    @property
    def words(self) -> str:
        return f"largest of {_times(self.window)}"


@dataclass(frozen=True)
class AveragePool(Layer):
    """Mean of each window over the values that are not padding, rounded once to `type`."""

    window: Shape
    strides: Shape
    padding: tuple[tuple[int, int], ...]
    type: FixedPoint
    result: ClassVar[Result] = Result.STATED

    def shape(self, *inputs: Shape) -> Shape:
        return (*_windows(self, inputs[0], self.window, self.strides, self.padding), inputs[0][-1])

    @property
    def divisor(self) -> int:
        return prod(self.window)

    @property
    def words(self) -> str:
        return f"mean of {_times(self.window)}, rounded once"


@dataclass(frozen=True)
class Activation(Layer):
    """Linear or ReLU, then a cast to `type`. A negative `slope` of ReLU is a power of two or exact in few bits."""

    function: Function
    type: FixedPoint
    slope: float = 0.0
    result: ClassVar[Result] = Result.STATED

    def shape(self, *inputs: Shape) -> Shape:
        return inputs[0]

    @property
    def cast(self) -> FixedPoint:
        return self.type

    @property
    def slope_code(self) -> tuple[int, int]:
        """Its slope as a code and that code's fraction bits, 0 or more: what it reads goes to their sum."""
        codes, fraction = grid([self.slope])
        return int(codes[0]) << max(-fraction, 0), max(fraction, 0)

    @property
    def words(self) -> str:
        function = "ReLU" if self.function is Function.RELU else "linear"
        slope = f" with slope {self.slope:g}" if self.slope else ""
        exact = self.type.overflow is Overflow.WRAP
        return f"{function}{slope}, " + ("exact" if exact else f"{self.type.rounding} {self.type.overflow}")


@dataclass(frozen=True)
class PRelu(Layer):
    """The value itself above zero, else a slope times it, exact. slopes: the input's shape, or 1 along shared axes."""

    slopes: Weights
    result: ClassVar[Result] = Result.COMPUTED

    def shape(self, *inputs: Shape) -> Shape:
        given = self.slopes.codes.shape
        fits = len(given) == len(inputs[0]) and all(n in (1, size) for n, size in zip(given, inputs[0], strict=True))
        _must(self, fits, f"slopes must have the shape {inputs[0]} of its input, or 1 along axes that share them")
        return inputs[0]

    @property
    def words(self) -> str:
        return f"ReLU with {self.slopes.codes.size} learned slopes"


@dataclass(frozen=True)
class Table(Layer):
    """Any function of one value: cast to `index`, then look up. table: (2**index.width,), lowest code first."""

    index: FixedPoint
    table: Weights
    result: ClassVar[Result] = Result.STATED
    learned: ClassVar[bool] = False

    def shape(self, *inputs: Shape) -> Shape:
        entries = 1 << self.index.width
        _must(self, self.table.codes.shape == (entries,), f"table must have {entries} entries")
        return inputs[0]

    @property
    def stated(self) -> FixedPoint:
        return self.table.type

    @property
    def cast(self) -> FixedPoint:
        return self.index

    @property
    def words(self) -> str:
        return f"table of {len(self.table.codes)} entries"


@dataclass(frozen=True)
class Affine(Layer):
    """``scale * x + bias`` per channel, exact. scale, bias: (channels,)."""

    scale: Weights
    bias: Weights
    result: ClassVar[Result] = Result.COMPUTED

    def shape(self, *inputs: Shape) -> Shape:
        channels = (inputs[0][-1],)
        _must(self, self.scale.codes.shape == channels, f"scale must have shape {channels}")
        _must(self, self.bias.codes.shape == channels, f"bias must have shape {channels}")
        return inputs[0]

    @property
    def words(self) -> str:
        return "scale and shift"


@dataclass(frozen=True)
class Flatten(Layer):
    """All axes into one, row-major, channels last."""

    result: ClassVar[Result] = Result.MOVED
    renames: ClassVar[bool] = True

    def shape(self, *inputs: Shape) -> Shape:
        return (prod(inputs[0]),)

    @property
    def words(self) -> str:
        return "flatten"


@dataclass(frozen=True)
class Reshape(Layer):
    """Same values in row-major order, other shape."""

    dims: Shape
    result: ClassVar[Result] = Result.MOVED
    renames: ClassVar[bool] = True

    def shape(self, *inputs: Shape) -> Shape:
        _must(self, prod(self.dims) == prod(inputs[0]), f"shape {self.dims} must hold the {prod(inputs[0])} inputs")
        return self.dims

    @property
    def words(self) -> str:
        return "reshape"


@dataclass(frozen=True)
class Pad(Layer):
    """Zeros around the spatial axes."""

    padding: tuple[tuple[int, int], ...]
    result: ClassVar[Result] = Result.MOVED

    def shape(self, *inputs: Shape) -> Shape:
        *spatial, channels = inputs[0]
        _must(self, len(self.padding) == len(spatial), f"padding must name {len(spatial)} axes")
        return (*(n + a + b for n, (a, b) in zip(spatial, self.padding, strict=True)), channels)

    @property
    def words(self) -> str:
        return "zeros around"


@dataclass(frozen=True)
class Upsample(Layer):
    """Each value `factors` times along each spatial axis: nearest neighbour."""

    factors: Shape
    result: ClassVar[Result] = Result.MOVED
    repeats: ClassVar[bool] = True

    def shape(self, *inputs: Shape) -> Shape:
        *spatial, channels = inputs[0]
        _must(self, len(self.factors) == len(spatial) >= 1, f"factors must name the {len(spatial)} axes of {inputs[0]}")
        _must(self, min(self.factors) >= 1, f"factors must be positive, not {self.factors}")
        return (*(n * factor for n, factor in zip(spatial, self.factors, strict=True)), channels)

    @property
    def words(self) -> str:
        return f"each value {_times(self.factors)} times"


@dataclass(frozen=True)
class Add(Layer):
    """Exact sum of inputs of equal shape."""

    arity: ClassVar[int | None] = None
    result: ClassVar[Result] = Result.COMPUTED

    def shape(self, *inputs: Shape) -> Shape:
        _must(self, len(set(inputs)) == 1, f"inputs must have one shape, not {inputs}")
        return inputs[0]

    @property
    def words(self) -> str:
        return f"add {len(self.sources)} inputs"


@dataclass(frozen=True)
class Multiply(Layer):
    """Exact product, value by value, of two inputs of equal shape."""

    arity: ClassVar[int | None] = 2
    result: ClassVar[Result] = Result.COMPUTED

    def shape(self, *inputs: Shape) -> Shape:
        _must(self, len(set(inputs)) == 1, f"inputs must have one shape, not {inputs}")
        return inputs[0]

    @property
    def words(self) -> str:
        return f"multiply {len(self.sources)} inputs"


@dataclass(frozen=True)
class Concatenate(Layer):
    """Inputs side by side on the last axis, on a grid that holds them all exactly."""

    arity: ClassVar[int | None] = None
    result: ClassVar[Result] = Result.MOVED

    def shape(self, *inputs: Shape) -> Shape:
        _must(self, len({s[:-1] for s in inputs}) == 1, f"inputs must agree but for the last axis, not {inputs}")
        return (*inputs[0][:-1], sum(s[-1] for s in inputs))

    @property
    def words(self) -> str:
        return f"concatenate {len(self.sources)} inputs"


@dataclass(frozen=True)
class ArgMax(Layer):
    """One where the largest value is (the first of several), zero elsewhere: one bit a class."""

    result: ClassVar[Result] = Result.STATED

    def shape(self, *inputs: Shape) -> Shape:
        _must(self, len(inputs[0]) == 1, f"input {inputs[0]} must have one axis, the classes")
        return inputs[0]

    @property
    def stated(self) -> FixedPoint:
        return FixedPoint(1, 1, signed=False)

    @property
    def words(self) -> str:
        return "argmax"


KINDS = {
    kind.__name__: kind
    for kind in (
        Input, Dense, Conv, DepthwiseConv, MaxPool, AveragePool, Activation, PRelu, Table, Affine, Flatten, Reshape,
        Pad, Upsample, Add, Multiply, Concatenate, ArgMax,
    )
}  # fmt: skip


@dataclass(frozen=True, repr=False)
class Network(Shown):
    """A quantized network. Building one checks it: a Network that exists is well formed."""

    name: str
    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        check_identifier(self.name, "network")
        if not self.layers or not isinstance(self.layers[0], Input):
            raise ConfigError(f"network {self.name!r} must begin with an Input")
        seen: dict[str, Layer] = {}
        for layer in self.layers:
            check_identifier(layer.name, "layer")
            if layer.name in seen:
                raise ConfigError(f"network {self.name!r} has two layers called {layer.name!r}")
            if isinstance(layer, Input) and seen:
                raise ConfigError(f"network {self.name!r} has a second input {layer.name!r}; one is supported")
            few = len(layer.sources) < 2 if layer.arity is None else len(layer.sources) != layer.arity
            if few:
                wanted = "two or more inputs" if layer.arity is None else f"{layer.arity} input(s)"
                raise ConfigError(f"layer {layer.name!r} must have {wanted}, not {len(layer.sources)}")
            for source in layer.sources:
                if source not in seen:
                    raise ConfigError(
                        f"layer {layer.name!r} reads {source!r}, which is not before it{nearest(source, seen)}"
                    )
            seen[layer.name] = layer
        unread = [n for n in list(seen)[:-1] if not any(n in layer.sources for layer in self.layers)]
        if unread:
            raise ConfigError(f"network {self.name!r} has one output; nothing reads layer {unread[0]!r}")
        _ = self.shapes

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    def __getitem__(self, name: str) -> Layer:
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise KeyError(name)

    @property
    def summary(self) -> Summary:
        """Its layers: what each does, its output shape, how many weights it has."""
        counts = [sum(held.codes.size for held in weights_of(layer).values()) for layer in self.layers]
        ends = " -> ".join(_times(self.shapes[layer.name]) for layer in (self.input, self.output))
        rows = [
            (layer.name, layer.words, _times(self.shapes[layer.name]), f"{count:,}")
            for layer, count in zip(self.layers, counts, strict=True)
        ]
        line = f"{self.name}: {len(self.layers)} layers, {ends}, {sum(counts):,} weights, digest {self.digest[:8]}"
        return Summary(line, ("layer", "what it does", "output", "weights"), rows)

    @property
    def input(self) -> Input:
        """The first layer."""
        first = self.layers[0]
        assert isinstance(first, Input)
        return first

    @property
    def output(self) -> Layer:
        """The last layer."""
        return self.layers[-1]

    @cached_property
    def shapes(self) -> dict[str, Shape]:
        """Output shape of every layer, without the images axis."""
        found: dict[str, Shape] = {}
        for layer in self.layers:
            found[layer.name] = layer.shape(*(found[s] for s in layer.sources))
        return found

    @cached_property
    def digest(self) -> str:
        """SHA-256 over everything that decides a bit, as hex. Equal networks have equal digests."""
        text, arrays = pack(self)
        sha = hashlib.sha256(text.encode())
        for key in sorted(arrays):
            sha.update(key.encode() + np.ascontiguousarray(arrays[key], "<i8").tobytes())
        return sha.hexdigest()


def once(find: Callable[[Network], Found]) -> Callable[[Network], Found]:
    """Let `find` work once for a Network, which is frozen, and keep the result in it, as it keeps its shapes."""

    @wraps(find)
    def kept(network: Network) -> Found:
        known = vars(network)
        if find.__name__ not in known:
            known[find.__name__] = find(network)
        found: Found = known[find.__name__]
        return found

    return kept


def weights_of(layer: Layer) -> dict[str, Weights]:
    """Return the weight arrays of a layer by field name (``kernel``, ``bias``, ...), in order; empty if it has none."""
    found = {f.name: getattr(layer, f.name) for f in fields(layer)}
    return {name: value for name, value in found.items() if isinstance(value, Weights)}


def matrix_size(layer: Layer) -> tuple[int, int] | None:
    """Return the rows and columns of the matrix that `layer` multiplies by; None if it has none.

    A convolution is a product of its flattened window with (window x channels, filters).
    Source: hls4ml 1.3, ``FPGABackend.get_layer_mult_size``, counts the same.
    """
    kernel = weights_of(layer).get("kernel")
    return None if kernel is None else (prod(kernel.codes.shape[:-1]), int(kernel.codes.shape[-1]))


def has_own_type(kind: type[Layer]) -> bool:
    """Return whether layers of a kind carry a type of their own."""
    return any(f.name == "type" for f in fields(kind))


def check_identifier(name: str, what: str) -> None:
    """Raise ConfigError unless `name` can be a C++ identifier in a generated project."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) or "__" in name:
        raise ConfigError(
            f"{what} name {name!r} must be a C++ identifier: letters, digits and single underscores, first a letter"
        )
    if name in RESERVED and not (what != "layer" and name in PROJECTS):
        raise ConfigError(
            f"{what} name {name!r} is a word of C++, or a name in hls4ml's own code; take another, e.g. {name + '_1'!r}"
        )


def identifier(text: str, kind: str = "net") -> str:
    """Return `text` as a C++ identifier that `check_identifier` takes.

    What cannot stand in one becomes an underscore; `kind` goes before a digit, behind a reserved word (of a layer also
    the name of one of hls4ml's settings), and for nothing.
    """
    clean = re.sub(r"_+", "_", re.sub(r"[^A-Za-z0-9]", "_", text)).strip("_") or kind
    clean = clean if clean[0].isalpha() else f"{kind}_{clean}"
    taken = clean in RESERVED or (kind == "layer" and clean in SETTINGS)
    return f"{clean}_{kind}" if taken else clean


def pack(network: Network) -> tuple[str, dict[str, Codes]]:
    """Return what a network is as text, and its weights as arrays: what is digested and saved."""
    arrays: dict[str, Codes] = {}

    def plain(value: Any, key: str) -> Any:
        match value:
            case Weights():
                arrays[key] = value.codes
                return {"weights": key, "type": str(value.type)}
            case FixedPoint():
                return {"type": str(value)}
            case tuple():
                return [plain(item, key) for item in value]
            case _:
                return value

    layers = [
        {"kind": type(layer).__name__}
        | {f.name: plain(getattr(layer, f.name), f"{layer.name}.{f.name}") for f in fields(layer)}
        for layer in network.layers
    ]
    return json.dumps({"format": 1, "name": network.name, "layers": layers}), arrays


def _windows(layer: Layer, shape: Shape, window: Shape, strides: Shape, padding: tuple[tuple[int, int], ...]) -> Shape:
    """Return how many windows fit along each spatial axis."""
    spatial = shape[:-1]
    ranks = {len(spatial), len(window), len(strides), len(padding)}
    _must(layer, len(ranks) == 1, f"window {window}, strides {strides} and padding must match the axes of {spatial}")
    _must(layer, min(strides, default=1) >= 1, f"strides must be positive, not {strides}")
    sizes = tuple(n + a + b - k for n, k, (a, b) in zip(spatial, window, padding, strict=True))
    _must(layer, min(sizes) >= 0, f"window {window} must not be larger than the padded input {spatial}")
    return tuple(size // stride + 1 for size, stride in zip(sizes, strides, strict=True))


def _times(sizes: Shape) -> str:
    return "x".join(map(str, sizes))


def _must(layer: Layer, holds: bool, rule: str) -> None:
    if not holds:
        raise ConfigError(f"layer {layer.name!r}: {rule}")

"""What each kind of Keras layer becomes in a Network, whether its numbers have types already or not.

    READERS[node.kind](build, node)     adds the layers that stand for a node; returns the name of the last

A `Builder` walks a graph and collects layers. What depends on the numbers is left to its two forms: read.py takes
what QKeras quantizers state and is exact, floats.py keeps real weights and marks where values will be rounded.
To add a layer that both read: one function here, entered in `READERS`; one that only QKeras has, in read.py.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from fpgaml.errors import FpgamlError, UnsupportedLayer
from fpgaml.frontend.graph import Graph, Layer, Node, input_of
from fpgaml.ir.fixed import Floats
from fpgaml.ir.network import Add as AddLayer
from fpgaml.ir.network import (
    Concatenate,
    Conv,
    Dense,
    DepthwiseConv,
    Flatten,
    MaxPool,
    Multiply,
    Pad,
    Reshape,
    Shape,
    Upsample,
    identifier,
)
from fpgaml.ir.network import Layer as NetworkLayer

Padding = tuple[tuple[int, int], ...]
RELUS = (keras.layers.ReLU, keras.layers.LeakyReLU)  # layers that may stand where an activation does


@dataclass
class Builder(ABC):
    """Collects layers as a graph is read, with their shapes and the nodes they stand for."""

    shapes: dict[str, Shape] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)  # node: the layer here with its output
    origin: dict[str, Node] = field(default_factory=dict)  # layer here: the node it was made for

    def read(self, graph: Graph) -> None:
        """Add the layers of every node."""
        self.notes += graph.notes
        for node in graph:
            before = len(self.shapes)
            try:
                self.outputs[node.name] = self.read_one(node)
            except FpgamlError as error:
                self.outputs[node.name] = self.refused(node, error)
            made = list(self.shapes)[before:]
            self.origin |= dict.fromkeys(made, node)
            self.done(node, made)

    def read_one(self, node: Node) -> str:
        """Add the layers of one node; return the name of the last."""
        return self.reader_of(node)(self, node)

    def refused(self, node: Node, error: FpgamlError) -> str:
        """Do without a node that cannot be read, or raise `error`."""
        raise error

    @abstractmethod
    def done(self, node: Node, made: list[str]) -> None:
        """Take note of the layers made for a node."""

    def name(self, wanted: str) -> str:
        """Return `wanted` as a new C++ identifier, and note it if it had to change."""
        clean = identifier(wanted, "layer")
        found, number = clean, 2
        while found in self.shapes:
            found, number = f"{clean}_{number}", number + 1
        if found != wanted:
            self.notes.append(f"layer {wanted!r} is called {found!r} in C++")
        return found

    def sources(self, node: Node) -> tuple[str, ...]:
        """Return the layers here whose outputs a node reads."""
        return tuple(self.outputs[source] for source in node.sources)

    def source(self, node: Node) -> str:
        """Return the one layer here that a node reads."""
        return self.outputs[node.sources[0]]

    def leave_out(self, node: Node, what: str, source: str) -> str:
        """Leave out a softmax or sigmoid at the end: the class does not need it."""
        where = "the class is the largest logit" if what == "softmax" else "the class is 1 where the logit is above 0"
        self.notes.append(f"the {what} at the end is left out: the outputs are logits, and {where}")
        return source

    # --- what depends on the numbers ---------------------------------------------------------------------------------

    @abstractmethod
    def reader_of(self, node: Node) -> Reader:
        """Return the reader of a node's kind. Raises: UnsupportedLayer if there is none."""

    @abstractmethod
    def add(self, kind: type[NetworkLayer], name: str, sources: tuple[str, ...], **settings: Any) -> str:
        """Add a layer without weights and without a type; return its name."""

    @abstractmethod
    def input(self, name: str, dims: Shape) -> str:
        """Add the input."""

    @abstractmethod
    def weighted(self, node: Node, kind: type[NetworkLayer], settings: Mapping[str, Any]) -> str:
        """Add a layer with a kernel and a bias, and the activation inside it."""

    @abstractmethod
    def mean(self, node: Node, window: Shape, strides: Shape, padding: Padding) -> str:
        """Add a mean over windows."""

    @abstractmethod
    def summed(self, node: Node, made: str) -> str:
        """Round the sum `made`, where sums are rounded."""

    @abstractmethod
    def activate(self, node: Node, activation: Any, source: str, name: str) -> str:
        """Add what `activation` (a Keras function or a QKeras quantizer) does; return the last layer's name."""

    @abstractmethod
    def relu(self, node: Node, source: str, name: str, slope: float) -> str:
        """Add a ReLU in floating point."""

    @abstractmethod
    def rectified(self, source: str, name: str, slope: float, node: Node) -> str:
        """Add a ReLU on the way to a result, which rounds nothing."""

    @abstractmethod
    def constant(
        self, kind: type[NetworkLayer], name: str, sources: tuple[str, ...], arrays: dict[str, Floats], **settings: Any
    ) -> str:
        """Add a layer with weights that nobody learned."""

    @abstractmethod
    def normalized(self, node: Node, scale: Floats, bias: Floats, *, what: str) -> str:
        """Add a scale and a bias for each channel (channels,)."""

    @abstractmethod
    def scaled(self, node: Node, source: str, name: str, scale: float, offset: float) -> str:
        """Add ``scale * x + offset``, the same for all values."""

    @abstractmethod
    def looked_up(self, source: str, name: str, what: str, function: Callable[[Any], Any]) -> str:
        """Add a table of a function in floating point, called `what`."""

    @abstractmethod
    def prelu(self, node: Node) -> str:
        """Add a ReLU whose slopes were learned."""

    @abstractmethod
    def normalize(self, node: Node) -> str:
        """Add a batch normalization, if it is not in the weights before it."""

    @abstractmethod
    def never_negative(self, name: str) -> bool:
        """Return whether no output of a layer can be below zero."""


Reader = Callable[[Any, Node], str]


def _input(build: Builder, node: Node) -> str:
    name, dims = input_of(node)
    return build.input(build.name(name), dims)


def dense(build: Builder, node: Node) -> str:
    """Read a matrix product."""
    return build.weighted(node, Dense, {})


def conv(build: Builder, node: Node) -> str:
    """Read a convolution in one or two dimensions; gaps and groups in its kernel become zeros."""
    must_end_in_channels(node.layer)
    return build.weighted(node, Conv, window_settings(build, node, _spread(node.layer)))


def depthwise(build: Builder, node: Node) -> str:
    """Read a convolution of each channel by itself; one of several filters a channel becomes a plain one with zeros."""
    must_end_in_channels(node.layer)
    kind = DepthwiseConv if node.layer.depth_multiplier == 1 else Conv
    return build.weighted(node, kind, depthwise_settings(build, node))


def depthwise_settings(build: Builder, node: Node) -> dict[str, Any]:
    """Return strides and padding of a depthwise convolution."""
    layer = node.layer
    strides = tuple(layer.strides) * (len(layer.kernel_size) // len(layer.strides))
    return _settings(build, node, _spread(layer), strides)


def _spread(layer: Layer) -> Shape:
    """Return what a kernel covers along each axis, its gaps included."""
    rates = tuple(layer.dilation_rate) * (len(layer.kernel_size) // len(layer.dilation_rate))
    return tuple((size - 1) * rate + 1 for size, rate in zip(layer.kernel_size, rates, strict=True))


def whole_kernel(layer: Layer, kernel: Floats) -> Floats:
    """Return the kernel (*window, channels, filters) of a convolution with zeros for gaps, groups and other channels.

    One filter a channel stays as it is: (*window, channels, 1).
    """
    *window, rows, filters = kernel.shape
    if getattr(layer, "dilation_rate", None) is not None and _spread(layer) != tuple(window):
        wide = np.zeros((*_spread(layer), rows, filters), kernel.dtype)
        rates = tuple(layer.dilation_rate) * (len(window) // len(layer.dilation_rate))
        wide[tuple(slice(None, None, rate) for rate in rates)] = kernel
        kernel, window = wide, list(wide.shape[:-2])
    if getattr(layer, "depth_multiplier", 1) != 1:  # filter j of channel c is output c * filters + j
        found = np.zeros((*window, rows, rows, filters), kernel.dtype)
        found[..., range(rows), range(rows), :] = kernel
        return found.reshape(*window, rows, rows * filters)
    groups = getattr(layer, "groups", 1)
    if groups == 1:
        return kernel
    own = filters // groups
    found = np.zeros((*window, rows * groups, filters), kernel.dtype)
    for group in range(groups):
        part = slice(group * own, (group + 1) * own)
        found[..., group * rows : (group + 1) * rows, part] = kernel[..., part]
    return found


def window_settings(build: Builder, node: Node, window: Shape) -> dict[str, Any]:
    """Return strides and padding of a layer with windows."""
    return _settings(build, node, window, tuple(node.layer.strides))


def _settings(build: Builder, node: Node, window: Shape, strides: Shape) -> dict[str, Any]:
    return {"strides": strides, "padding": padding_of(node.layer, build.shapes[build.source(node)], window, strides)}


def _batch_norm(build: Builder, node: Node) -> str:
    return build.normalize(node)


def _max_pool(build: Builder, node: Node) -> str:
    window, source = tuple(node.layer.pool_size), build.source(node)
    settings = window_settings(build, node, window)
    name = build.name(node.name)
    if any(a or b for a, b in settings["padding"]) and build.never_negative(source):
        # hls4ml pads an unsigned maximum with a set top bit, the largest value; zero is the smallest: pad with it
        source = build.add(Pad, build.name(f"{node.name}_pad"), (source,), padding=settings["padding"])
        settings["padding"] = ((0, 0),) * len(window)
    return build.add(MaxPool, name, (source,), window=window, **settings)


def _average_pool(build: Builder, node: Node) -> str:
    window = tuple(node.layer.pool_size)
    return build.mean(node, window, **window_settings(build, node, window))


def _global_max_pool(build: Builder, node: Node) -> str:
    window, padding = whole(build, node)
    name = build.name(node.name)
    made = build.add(MaxPool, name, (build.source(node),), window=window, strides=window, padding=padding)
    return drop_axes(build, node, made)


def _global_average_pool(build: Builder, node: Node) -> str:
    window, padding = whole(build, node)
    return drop_axes(build, node, build.mean(node, window, window, padding))


def whole(build: Builder, node: Node) -> tuple[Shape, Padding]:
    """Return the window that covers all a node reads, and no padding."""
    *window, _ = build.shapes[build.source(node)]
    return tuple(window), ((0, 0),) * len(window)


def drop_axes(build: Builder, node: Node, pooled: str) -> str:
    """Take away the spatial axes behind global pooling, as Keras does."""
    return pooled if node.layer.keepdims else build.add(Flatten, build.name(f"{node.name}_flat"), (pooled,))


def _flatten(build: Builder, node: Node) -> str:
    if len(build.shapes[build.source(node)]) == 1:
        return build.source(node)
    return build.add(Flatten, build.name(node.name), (build.source(node),))


def _reshape(build: Builder, node: Node) -> str:
    return build.add(Reshape, build.name(node.name), (build.source(node),), dims=node.shape)


def _nothing(build: Builder, node: Node) -> str:
    build.notes.append(f"layer {node.name!r} ({node.kind}) does nothing at inference")
    return build.source(node)


def _pad(build: Builder, node: Node) -> str:
    padding = node.layer.padding
    pairs = (padding,) if isinstance(padding[0], int) else padding
    pairs = tuple((int(a), int(b)) for a, b in pairs)
    return build.add(Pad, build.name(node.name), (build.source(node),), padding=pairs)


def _upsample(build: Builder, node: Node) -> str:
    layer = node.layer
    if getattr(layer, "interpolation", "nearest") != "nearest":
        raise UnsupportedLayer(f"layer {node.name!r}: interpolation must be nearest, not {layer.interpolation}")
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        raise UnsupportedLayer(f"layer {node.name!r}: data_format must be channels_last")
    factors = (layer.size,) if isinstance(layer.size, int) else tuple(int(n) for n in layer.size)
    return build.add(Upsample, build.name(node.name), (build.source(node),), factors=factors)


def _crop(build: Builder, node: Node) -> str:
    """A convolution of each channel by itself that picks the value behind what is cut off."""
    cuts, source = node.layer.cropping, build.source(node)
    cuts = (cuts,) if isinstance(cuts[0], int) else cuts
    channels, kernel = build.shapes[source][-1], np.zeros(tuple(a + b + 1 for a, b in cuts))
    kernel[tuple(a for a, _ in cuts)] = 1
    arrays = {"kernel": np.repeat(kernel[..., None], channels, axis=-1), "bias": np.zeros(channels)}
    plain = {"strides": (1,) * len(cuts), "padding": ((0, 0),) * len(cuts)}
    return build.summed(node, build.constant(DepthwiseConv, build.name(node.name), (source,), arrays, **plain))


def _normalization(build: Builder, node: Node) -> str:
    """Keras' preprocessing layer, which learned mean and variance from data."""
    layer, channels = node.layer, build.shapes[build.source(node)][-1]
    mean, variance = (np.asarray(values, np.float64) for values in (layer.mean, layer.variance))
    if layer.invert or any(values.shape[:-1].count(1) != values.ndim - 1 for values in (mean, variance)):
        raise UnsupportedLayer(f"layer {node.name!r}: a Normalization must be by channel (axis -1) and not inverted")
    scale = 1 / np.maximum(np.sqrt(variance.reshape(-1)), keras.config.epsilon())
    scale, bias = np.broadcast_to(scale, channels), np.broadcast_to(-mean.reshape(-1) * scale, channels)
    return build.normalized(node, scale, bias, what="normalization")


def _repeat(build: Builder, node: Node) -> str:
    length = build.shapes[build.source(node)][-1]
    one = build.add(Reshape, build.name(f"{node.name}_row"), (build.source(node),), dims=(1, length))
    return build.add(Upsample, build.name(node.name), (one,), factors=(node.layer.n,))


def _add(build: Builder, node: Node) -> str:
    return build.summed(node, pairwise(build, node, AddLayer))


def _multiply(build: Builder, node: Node) -> str:
    return build.summed(node, pairwise(build, node, Multiply))


def _square(build: Builder, node: Node) -> str:
    return build.summed(node, build.add(Multiply, build.name(node.name), build.sources(node) * 2))


def _elu(build: Builder, node: Node) -> str:
    alpha = float(node.layer.alpha)
    return build.looked_up(build.source(node), build.name(node.name), "elu", lambda x: keras.activations.elu(x, alpha))


def _subtract(build: Builder, node: Node) -> str:
    one, other = _two(build, node)
    return build.summed(node, _difference(build, node, one, other, node.name))


def _difference(build: Builder, node: Node, one: str, other: str, name: str) -> str:
    negative = build.scaled(node, other, build.name(f"{name}_negative"), -1.0, 0.0)
    return build.add(AddLayer, build.name(name), (one, negative))


def _average(build: Builder, node: Node) -> str:
    total = pairwise(build, node, AddLayer, f"{node.name}_sum")
    return build.summed(node, build.scaled(node, total, build.name(node.name), 1 / len(node.sources), 0.0))


def _maximum(build: Builder, node: Node) -> str:
    """The second plus what the first has more, and so on: exact."""
    made, *others = build.sources(node)
    for at, other in enumerate(others):
        more = _difference(build, node, made, other, f"{node.name}_more{at + 1}")
        more = build.rectified(more, build.name(f"{node.name}_relu{at + 1}"), 0.0, node)
        made = build.add(
            AddLayer, build.name(f"{node.name}_{at + 1}" if others[at + 1 :] else node.name), (other, more)
        )
    return build.summed(node, made)


def _minimum(build: Builder, node: Node) -> str:
    """The second less what it has more than the first, and so on: exact."""
    made, *others = build.sources(node)
    for at, other in enumerate(others):
        more = _difference(build, node, other, made, f"{node.name}_more{at + 1}")
        more = build.rectified(more, build.name(f"{node.name}_relu{at + 1}"), 0.0, node)
        name = f"{node.name}_{at + 1}" if others[at + 1 :] else node.name
        made = _difference(build, node, other, more, name)
    return build.summed(node, made)


def _two(build: Builder, node: Node) -> tuple[str, str]:
    """Return the two layers that a node reads. Raises: UnsupportedLayer for a constant, or another number of them."""
    found = build.sources(node)
    if len(found) != 2:
        raise UnsupportedLayer(
            f"layer {node.name!r}: a {node.kind} must read two tensors, or one and a number, not an array of "
            "constants; use a layer with weights for these"
        )
    return found[0], found[1]


def _rescale(build: Builder, node: Node) -> str:
    scale, offset = (np.asarray(value, np.float64) for value in (node.layer.scale, node.layer.offset))
    if scale.ndim or offset.ndim:
        raise UnsupportedLayer(f"layer {node.name!r}: scale and offset must be one number each")
    return build.scaled(node, build.source(node), build.name(node.name), float(scale), float(offset))


def _concatenate(build: Builder, node: Node) -> str:
    rank = len(build.shapes[build.source(node)])
    axis = node.layer.axis + rank + 1 if node.layer.axis < 0 else node.layer.axis
    return pairwise(build, node, Concatenate) if axis == rank else _stacked(build, node, axis - 1)


def _stacked(build: Builder, node: Node, axis: int) -> str:
    """Join maps along a spatial axis: each among zeros, added up, which is exact."""
    sizes = [build.shapes[source][axis] for source in build.sources(node)]
    parts = []
    for at, source in enumerate(build.sources(node)):
        around = [(0, 0)] * (len(build.shapes[source]) - 1)
        around[axis] = (sum(sizes[:at]), sum(sizes[at + 1 :]))
        parts.append(build.add(Pad, build.name(f"{node.name}_zeros{at + 1}"), (source,), padding=tuple(around)))
    return build.summed(node, _joined(build, parts, AddLayer, node.name))


def pairwise(build: Builder, node: Node, kind: type[NetworkLayer], name: str = "") -> str:
    """Merge any number of inputs two by two: hls4ml takes two."""
    return _joined(build, list(build.sources(node)), kind, name or node.name)


def _joined(build: Builder, parts: list[str], kind: type[NetworkLayer], wanted: str) -> str:
    made, *others = parts
    for at, other in enumerate(others):
        name = wanted if at == len(others) - 1 else f"{wanted}_part{at + 1}"
        made = build.add(kind, build.name(name), (made, other))
    return made


# --- operators on tensors, and functions of keras.ops ----------------------------------------------------------------


def operator(tensors: Reader, number: Callable[[float, bool], tuple[float, float]] | None = None) -> Reader:
    """Return the reader of an operator on two tensors, or on one and a number.

    number: scale and offset for the number, and whether it comes first.
    """

    def read(build: Builder, node: Node) -> str:
        if len(node.sources) == 1 and len(node.numbers) == 1 and number is not None:
            first = isinstance(node.arguments.args[0], (int, float, np.number))
            scale, offset = number(node.numbers[0], first)
            return build.summed(node, build.scaled(node, build.source(node), build.name(node.name), scale, offset))
        _two(build, node)
        return tensors(build, node)

    return read


def _bounded_by(tensors: Reader, sign: float) -> Reader:
    """Return the reader of the largest (sign 1) or smallest (-1) of two tensors, or of one and a number."""

    def read(build: Builder, node: Node) -> str:
        if len(node.sources) != 1 or len(node.numbers) != 1:
            _two(build, node)
            return tensors(build, node)
        bound = node.numbers[0]
        more = build.scaled(node, build.source(node), build.name(f"{node.name}_more"), sign, -sign * bound)
        more = build.rectified(more, build.name(f"{node.name}_relu"), 0.0, node)
        return build.summed(node, build.scaled(node, more, build.name(node.name), sign, bound))

    return read


def _negative(build: Builder, node: Node) -> str:
    return build.scaled(node, build.source(node), build.name(node.name), -1.0, 0.0)


def _divided(number: float, first: bool) -> tuple[float, float]:
    if first or not number:
        raise UnsupportedLayer("a tensor must be divided by a number that is not 0; nothing else is on a grid")
    return 1 / number, 0.0


def _no_quotient(build: Builder, node: Node) -> str:
    raise UnsupportedLayer(f"layer {node.name!r}: a quotient of two tensors is on no grid; multiply instead")


def _function(name: str) -> Reader:
    """Return the reader of a function of keras.ops that has a namesake among the activations."""

    def read(build: Builder, node: Node) -> str:
        function = getattr(keras.activations, name)
        return build.activate(node, function, build.source(node), build.name(node.name))

    return read


def activation(build: Builder, node: Node) -> str:
    """Read a layer that is a function, a quantizer or another layer."""
    return build.activate(node, node.layer.activation, build.source(node), build.name(node.name))


def _relu(build: Builder, node: Node) -> str:
    return relu_layer(build, node, node.layer, build.source(node), build.name(node.name))


def relu_layer(build: Builder, node: Node, layer: Layer, source: str, name: str) -> str:
    """Add what a ReLU or LeakyReLU does; a bound is what is left of it after a second ReLU, which is exact."""
    if getattr(layer, "threshold", 0):
        raise UnsupportedLayer(f"layer {node.name!r}: a ReLU must have no threshold, not {layer.threshold}")
    bound, slope = getattr(layer, "max_value", None), float(layer.negative_slope)
    if bound is None:
        return build.relu(node, source, name, slope)
    return bounded(build, node, build.rectified(source, name, slope, node), float(bound))


def bounded(build: Builder, node: Node, source: str, bound: float) -> str:
    """Add the smaller of `source` and a number."""
    left = build.scaled(node, source, build.name(f"{node.name}_left"), -1.0, bound)
    left = build.rectified(left, build.name(f"{node.name}_bound"), 0.0, node)
    return build.summed(node, build.scaled(node, left, build.name(f"{node.name}_bounded"), -1.0, bound))


def _prelu(build: Builder, node: Node) -> str:
    return build.prelu(node)


def _softmax(build: Builder, node: Node) -> str:
    if not node.last:
        raise UnsupportedLayer(f"layer {node.name!r}: a softmax is supported at the end of the model only")
    return build.leave_out(node, "softmax", build.source(node))


def must_end_in_channels(layer: Layer) -> None:
    """Raise UnsupportedLayer for a layer with channels first."""
    if layer.data_format != "channels_last":
        raise UnsupportedLayer(f"layer {layer.name!r}: data_format must be channels_last")


def padding_of(layer: Layer, x: Shape, window: Shape, strides: Shape) -> Padding:
    """Return zeros before and after each axis, as Keras puts them (for "same", more behind if odd)."""
    if layer.padding == "valid":
        return ((0, 0),) * len(window)
    if layer.padding == "causal":
        return ((window[0] - 1, 0),)
    if layer.padding != "same":
        raise UnsupportedLayer(f"layer {layer.name!r}: padding must be valid, same or causal, not {layer.padding!r}")
    pairs = []
    for size, k, stride in zip(x[:-1], window, strides, strict=True):
        total = max((-(-size // stride) - 1) * stride + k - size, 0)
        pairs.append((total // 2, total - total // 2))
    return tuple(pairs)


READERS: dict[str, Reader] = {
    "InputLayer": _input,
    "Dense": dense,
    "Conv1D": conv,
    "Conv2D": conv,
    "DepthwiseConv1D": depthwise,
    "DepthwiseConv2D": depthwise,
    "BatchNormalization": _batch_norm,
    "MaxPooling1D": _max_pool,
    "MaxPooling2D": _max_pool,
    "AveragePooling1D": _average_pool,
    "AveragePooling2D": _average_pool,
    "GlobalMaxPooling1D": _global_max_pool,
    "GlobalMaxPooling2D": _global_max_pool,
    "GlobalAveragePooling1D": _global_average_pool,
    "GlobalAveragePooling2D": _global_average_pool,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Dropout": _nothing,
    "AlphaDropout": _nothing,
    "GaussianDropout": _nothing,
    "GaussianNoise": _nothing,
    "SpatialDropout1D": _nothing,
    "SpatialDropout2D": _nothing,
    "ActivityRegularization": _nothing,
    "Identity": _nothing,
    "RandomBrightness": _nothing,
    "RandomContrast": _nothing,
    "RandomFlip": _nothing,
    "RandomRotation": _nothing,
    "RandomTranslation": _nothing,
    "RandomZoom": _nothing,
    "ZeroPadding1D": _pad,
    "ZeroPadding2D": _pad,
    "Cropping1D": _crop,
    "Cropping2D": _crop,
    "Normalization": _normalization,
    "RepeatVector": _repeat,
    "UpSampling1D": _upsample,
    "UpSampling2D": _upsample,
    "Add": _add,
    "Multiply": _multiply,
    "Subtract": _subtract,
    "Average": _average,
    "Maximum": _maximum,
    "Minimum": _minimum,
    "Rescaling": _rescale,
    "Concatenate": _concatenate,
    "ops.Add": operator(_add, lambda number, first: (1.0, number)),
    "ops.Subtract": operator(_subtract, lambda number, first: (-1.0, number) if first else (1.0, -number)),
    "ops.Multiply": operator(_multiply, lambda number, first: (number, 0.0)),
    "ops.Square": _square,
    "ops.Divide": operator(_no_quotient, _divided),
    "ops.TrueDivide": operator(_no_quotient, _divided),
    "ops.Maximum": _bounded_by(_maximum, 1.0),
    "ops.Minimum": _bounded_by(_minimum, -1.0),
    "ops.Negative": _negative,
    "ops.Concatenate": _concatenate,
    "ops.Reshape": _reshape,
    "ops.Relu": _function("relu"),
    "ops.Sigmoid": _function("sigmoid"),
    "ops.Tanh": _function("tanh"),
    "ops.Softmax": _function("softmax"),
    "Activation": activation,
    "ReLU": _relu,
    "LeakyReLU": _relu,
    "PReLU": _prelu,
    "ELU": _elu,
    "Softmax": _softmax,
}

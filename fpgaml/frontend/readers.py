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

from fpgaml.errors import FpgamlError, UnsupportedLayer
from fpgaml.frontend.graph import Graph, Layer, Node, activation_of, input_of
from fpgaml.ir.network import Add as AddLayer
from fpgaml.ir.network import (
    Concatenate,
    Conv,
    Dense,
    DepthwiseConv,
    Flatten,
    MaxPool,
    Pad,
    Reshape,
    Shape,
    Upsample,
    identifier,
)
from fpgaml.ir.network import Layer as NetworkLayer

Padding = tuple[tuple[int, int], ...]


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
    """Read a convolution in one or two dimensions."""
    must_be_plain(node.layer)
    return build.weighted(node, Conv, window_settings(build, node, node.layer.kernel_size))


def depthwise(build: Builder, node: Node) -> str:
    """Read a convolution of each channel by itself."""
    must_be_plain(node.layer)
    return build.weighted(node, DepthwiseConv, depthwise_settings(build, node))


def depthwise_settings(build: Builder, node: Node) -> dict[str, Any]:
    """Return strides and padding of a depthwise convolution."""
    layer = node.layer
    if layer.depth_multiplier != 1:
        raise UnsupportedLayer(f"layer {node.name!r}: depth_multiplier must be 1, not {layer.depth_multiplier}")
    strides = tuple(layer.strides) * (len(layer.kernel_size) // len(layer.strides))
    return _settings(build, node, tuple(layer.kernel_size), strides)


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


def _add(build: Builder, node: Node) -> str:
    return build.summed(node, pairwise(build, node, AddLayer))


def _concatenate(build: Builder, node: Node) -> str:
    rank = len(build.shapes[build.source(node)])
    if node.layer.axis not in (-1, rank):
        raise UnsupportedLayer(f"layer {node.name!r}: axis must be the last, not {node.layer.axis}")
    return pairwise(build, node, Concatenate)


def pairwise(build: Builder, node: Node, kind: type[NetworkLayer]) -> str:
    """Merge any number of inputs two by two: hls4ml takes two."""
    made, *others = build.sources(node)
    for at, other in enumerate(others):
        name = node.name if at == len(others) - 1 else f"{node.name}_part{at + 1}"
        made = build.add(kind, build.name(name), (made, other))
    return made


def activation(build: Builder, node: Node) -> str:
    """Read a layer that is a function or a quantizer."""
    return build.activate(node, node.layer.activation, build.source(node), build.name(node.name))


def _relu(build: Builder, node: Node) -> str:
    activation_of(node.layer)  # refuses a bounded one
    return build.relu(node, build.source(node), build.name(node.name), float(node.layer.negative_slope))


def _prelu(build: Builder, node: Node) -> str:
    return build.prelu(node)


def _softmax(build: Builder, node: Node) -> str:
    if not node.last:
        raise UnsupportedLayer(f"layer {node.name!r}: a softmax is supported at the end of the model only")
    return build.leave_out(node, "softmax", build.source(node))


def must_be_plain(layer: Layer) -> None:
    """Raise UnsupportedLayer for a convolution with channels first, dilation or groups."""
    if layer.data_format != "channels_last":
        raise UnsupportedLayer(f"layer {layer.name!r}: data_format must be channels_last")
    if any(rate != 1 for rate in layer.dilation_rate):
        raise UnsupportedLayer(f"layer {layer.name!r}: dilation_rate must be 1, not {layer.dilation_rate}")
    if getattr(layer, "groups", 1) != 1:
        raise UnsupportedLayer(f"layer {layer.name!r}: groups must be 1, not {layer.groups}")


def padding_of(layer: Layer, x: Shape, window: Shape, strides: Shape) -> Padding:
    """Return zeros before and after each axis, as Keras' "same" and "valid" put them (more behind if odd)."""
    if layer.padding == "valid":
        return ((0, 0),) * len(window)
    if layer.padding != "same":
        raise UnsupportedLayer(f"layer {layer.name!r}: padding must be valid or same, not {layer.padding!r}")
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
    "ZeroPadding1D": _pad,
    "ZeroPadding2D": _pad,
    "UpSampling1D": _upsample,
    "UpSampling2D": _upsample,
    "Add": _add,
    "Concatenate": _concatenate,
    "Activation": activation,
    "ReLU": _relu,
    "LeakyReLU": _relu,
    "PReLU": _prelu,
    "Softmax": _softmax,
}

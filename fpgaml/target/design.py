"""How a network is to be built: the choices that decide cost but not one bit of the result.

    >>> design = Design(Backend.VITIS, "xc7z020clg400-1", clock_ns=10.0, strategy=Strategy.RESOURCE, reuse_factor=16)
    >>> design.with_reuse({"fc1": 64}).reuse_of("fc1")
    64

A *reuse factor* is how many products one multiplier makes for one input. In the resource strategy hls4ml takes only
some of them for a matrix of `n_in` rows and `n_out` columns (`valid_reuse_factors`) and silently moves the others to
the nearest; fpgaml refuses them instead (`check_design`), for the design that was estimated must be the one built.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache

from fpgaml.errors import ConfigError, nearest
from fpgaml.ir.network import DepthwiseConv, Layer, Network, matrix_size
from fpgaml.target.boards import check_part_number
from fpgaml.target.toolchain import Backend, Tool


class IoType(StrEnum):
    """How values travel between layers: all at once on wires, or pixel by pixel through FIFOs."""

    PARALLEL = "io_parallel"
    STREAM = "io_stream"


class Strategy(StrEnum):
    """How hls4ml writes the matrix product of a layer."""

    LATENCY = "latency"
    RESOURCE = "resource"
    RESOURCE_UNROLLED = "resource_unrolled"
    DISTRIBUTED_ARITHMETIC = "distributed_arithmetic"


RESOURCES = (Strategy.RESOURCE, Strategy.RESOURCE_UNROLLED)


@dataclass(frozen=True)
class LayerDesign:
    """What one layer does differently from the rest; None keeps the design's own value."""

    name: str
    reuse_factor: int | None = None
    strategy: Strategy | None = None

    def __post_init__(self) -> None:
        if self.reuse_factor is not None:
            _check_reuse(self.reuse_factor, f"of layer {self.name!r}")


@dataclass(frozen=True)
class Design:
    """Backend, part, clock, io type, strategy and reuse factor, with exceptions by layer."""

    backend: Backend
    part: str
    clock_ns: float = 5.0
    io_type: IoType = IoType.PARALLEL
    strategy: Strategy = Strategy.LATENCY
    reuse_factor: int = 1
    per_layer: tuple[LayerDesign, ...] = ()

    def __post_init__(self) -> None:
        check_part_number(self.part)
        if not 0 < self.clock_ns < 1e6:
            raise ConfigError(f"clock of a design must be a period above 0 ns, not {self.clock_ns}")
        _check_reuse(self.reuse_factor, "of a design")
        names = [one.name for one in self.per_layer]
        for name in names:
            if names.count(name) > 1:
                raise ConfigError(f"layer {name!r} must be given once in a design, not {names.count(name)} times")

    @property
    def tool(self) -> Tool:
        """The synthesis program of the backend."""
        return self.backend.tool

    def reuse_of(self, layer: str) -> int:
        """Return the reuse factor of the layer called `layer`."""
        found = self._exception(layer).reuse_factor
        return self.reuse_factor if found is None else found

    def strategy_of(self, layer: str) -> Strategy:
        """Return the strategy of the layer called `layer`."""
        return self._exception(layer).strategy or self.strategy

    def with_reuse(self, factors: Mapping[str, int]) -> Design:
        """Return this design with the reuse factor of each named layer replaced."""
        names = dict.fromkeys([one.name for one in self.per_layer] + list(factors))
        changed = (
            replace(self._exception(n), reuse_factor=factors[n]) if n in factors else self._exception(n) for n in names
        )
        return replace(self, per_layer=tuple(changed))

    def _exception(self, layer: str) -> LayerDesign:
        return next((one for one in self.per_layer if one.name == layer), LayerDesign(layer))


def is_valid_reuse(n_in: int, n_out: int, reuse: int) -> bool:
    """Return whether the resource strategy takes `reuse` for a matrix of `n_in` rows and `n_out` columns.

    Source: hls4ml 1.3, ``FPGABackend._validate_reuse_factor``; the three conditions are those that
    ``nnet_dense_resource.h`` states as assertions.
    """
    size = n_in * n_out
    if not 1 <= reuse <= size or size % reuse:
        return False
    if reuse >= n_in:
        return reuse % n_in == 0
    limit = -(-size // reuse)
    return limit % n_out == 0


@lru_cache(maxsize=4096)
def valid_reuse_factors(n_in: int, n_out: int) -> tuple[int, ...]:
    """Return every valid reuse factor of an `n_in` x `n_out` matrix, ascending; 1 and n_in * n_out are among them."""
    return tuple(f for f in _divisors(n_in * n_out) if is_valid_reuse(n_in, n_out, f))


def reuse_factors(network: Network, name: str, design: Design) -> tuple[int, ...]:
    """Return the reuse factors that `design` allows the layer called `name`, ascending; (1,) if it has no matrix."""
    size = matrix_size(network[name])
    if size is None or design.strategy_of(name) is Strategy.DISTRIBUTED_ARITHMETIC:
        return (1,)
    found = []
    for factor in valid_reuse_factors(*size):
        with suppress(ConfigError):
            _check_layer(network, network[name], design.with_reuse({name: factor}))
            found.append(factor)
    return tuple(found)


def nearest_reuse_factor(n_in: int, n_out: int, reuse: int) -> int:
    """Return the valid reuse factor nearest to `reuse`; of two equally near, the smaller."""
    valid = valid_reuse_factors(n_in, n_out)
    place = bisect_left(valid, reuse)
    around = valid[max(place - 1, 0) : place + 1]
    return min(around, key=lambda factor: (abs(factor - reuse), factor))


def check_design(network: Network, design: Design) -> None:
    """Raise ConfigError unless every layer of `network` can be built as `design` says."""
    names = [layer.name for layer in network]
    for one in design.per_layer:
        if one.name not in names:
            raise ConfigError(
                f"the design names layer {one.name!r}, which network {network.name!r} has not{nearest(one.name, names)}"
            )
    for layer in network:
        _check_layer(network, layer, design)


def takes(layer: Layer, strategy: Strategy, io_type: IoType) -> bool:
    """Return whether hls4ml has a strategy for a kind of layer."""
    unable = (Strategy.DISTRIBUTED_ARITHMETIC, *(RESOURCES if io_type is IoType.PARALLEL else ()))
    return not (isinstance(layer, DepthwiseConv) and strategy in unable)


def _check_layer(network: Network, layer: Layer, design: Design) -> None:
    size = matrix_size(layer)
    reuse = design.reuse_of(layer.name)
    if size is None:
        return
    n_in, n_out = size
    strategy = design.strategy_of(layer.name)
    if reuse > n_in * n_out:
        raise ConfigError(
            f"layer {layer.name!r}: reuse factor must be at most {n_in * n_out}, its number of weights, not {reuse}"
        )
    if strategy is Strategy.DISTRIBUTED_ARITHMETIC and reuse != 1:
        raise ConfigError(f"layer {layer.name!r}: distributed_arithmetic must have reuse factor 1, not {reuse}")
    if not takes(layer, strategy, design.io_type):
        raise ConfigError(
            f"layer {layer.name!r}: hls4ml has no {strategy} for depthwise convolutions with {design.io_type}; give "
            "this layer the strategy latency"
        )
    if strategy is Strategy.RESOURCE_UNROLLED and reuse == n_in * n_out:
        raise ConfigError(
            f"layer {layer.name!r}: resource_unrolled must have a reuse factor below {reuse}, its number of weights"
        )
    if strategy in RESOURCES and not is_valid_reuse(n_in, n_out, reuse):
        raise ConfigError(
            f"layer {layer.name!r}: reuse factor {reuse} is not valid for its {n_in} x {n_out} matrix in the "
            f"{strategy} strategy; the nearest valid one is {nearest_reuse_factor(n_in, n_out, reuse)}"
        )

    if _is_parallel_conv(network, layer, design) and reuse > n_in:
        raise ConfigError(
            f"layer {layer.name!r}: a convolution with io_parallel and {strategy} must have a reuse factor of "
            f"at most {n_in}, its window times its channels, not {reuse}: hls4ml's C++ is wrong beyond; use io_stream"
        )


def _is_parallel_conv(network: Network, layer: Layer, design: Design) -> bool:
    """Return whether hls4ml makes its parallel resource convolution of a layer with a matrix: of all over a map.

    Source: hls4ml 1.3, ``nnet_conv1d_resource.h`` asserts the limit; in two dimensions beyond it the sums come out
    wrong without a word (tests/test_hunt.py).
    """
    resource = design.strategy_of(layer.name) in RESOURCES
    over_map = len(network.shapes[layer.name]) > 1
    return resource and design.io_type is IoType.PARALLEL and over_map


def _check_reuse(reuse: int, whose: str) -> None:
    if reuse < 1:
        raise ConfigError(f"reuse factor {whose} must be 1 or more, not {reuse}")


def _divisors(number: int) -> list[int]:
    small = [n for n in range(1, int(number**0.5) + 1) if number % n == 0]
    return small + [number // n for n in reversed(small) if n * n != number]

"""The facts of a layer that decide its cost: the one record that every formula reads.

    Network + Design + part  --adapter.py-->  LayerFacts  <--groundtruth.py--  a row of layers.csv
                                                  |
                                      formulas.py, compose.py

So the estimate of a network runs through exactly the code that was fitted to, and validated on, real reports. The
record holds numbers only and knows neither Keras nor reports. `Target` is what all layers of a design share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from math import ceil, log2

from fpgaml.errors import ConfigError
from fpgaml.target.design import IoType, Strategy
from fpgaml.target.toolchain import Tool


class Kind(StrEnum):
    """What a layer is, as far as cost goes."""

    DENSE = "dense"
    CONV = "convolution"
    DEPTHWISE = "depthwise convolution"
    POOL = "pooling"
    GLOBAL_POOL = "global pooling"
    ACTIVATION = "activation"
    TABLE = "table"
    SOFTMAX = "softmax"
    AFFINE = "affine"
    MOVE = "data movement"
    RECURRENT = "recurrent"
    OTHER = "other"


MATRICES = (Kind.DENSE, Kind.CONV, Kind.DEPTHWISE, Kind.RECURRENT)


class Multipliers(StrEnum):
    """Where the tool puts products: its own choice, or all in DSP slices or in fabric (``config_op mul -impl``)."""

    AUTO = "auto"
    DSP = "dsp"
    FABRIC = "fabric"


# The tools put a letter before a family for its automotive or military grade (``azynq``): the end of a name counts.
SLOW_FAMILIES = ("zynq", "artix7", "spartan7", "artix7l")
MIDDLE_FAMILIES = ("virtex7", "kintex7", "kintex7l")


class Speed(StrEnum):
    """Families with like logic delays."""

    SLOW = "7 series, low cost"
    MIDDLE = "7 series, fast"
    FAST = "UltraScale"

    @classmethod
    def of(cls, family: str) -> Speed:
        """Return the class of a device family as the tools name it, e.g. ``zynq`` or ``virtexuplus``."""
        if family.endswith(SLOW_FAMILIES):
            return cls.SLOW
        return cls.MIDDLE if family.endswith(MIDDLE_FAMILIES) else cls.FAST


@dataclass(frozen=True)
class Target:
    """What all layers of a design share: tool, device family, clock period (ns), usable period (ns), io type.

    dataflow: layers are processes with handshakes, not parts of one pipelined function; io_stream always, and
    io_parallel as soon as one layer is reused in the resource strategy or is a convolution.
    """

    tool: Tool
    family: str
    clock_ns: float
    budget_ns: float
    io_type: IoType
    multipliers: Multipliers = Multipliers.AUTO
    dataflow: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.budget_ns <= self.clock_ns:
            raise ConfigError(f"usable period must be above 0 and at most {self.clock_ns} ns, not {self.budget_ns}")

    @cached_property
    def speed(self) -> Speed:
        """The delay class of the family."""
        return Speed.of(self.family)

    @property
    def streams(self) -> bool:
        """Whether values travel through FIFOs pixel by pixel."""
        return self.io_type is IoType.STREAM


@dataclass(frozen=True)
class LayerFacts:
    """One layer. Widths are bits, sizes are elements, `pixels` count positions (1 for a vector).

    n_in, n_out: rows and columns of the weight matrix. lanes: elements that one call handles side by side (all of
    them in io_parallel, one pixel's channels in io_stream). light: weights of two nonzero canonical signed digits, one
    adder each. heavy: weights with three or more nonzero canonical
    signed digits: those that become multipliers. shared: the heavy products that differ (an input times the same
    magnitude is made once). stable: a softmax that subtracts the maximum first. guessed: the weights are not known.
    """

    name: str
    kind: Kind
    target: Target
    strategy: Strategy = Strategy.LATENCY
    reuse: int = 1
    n_in: int = 0
    n_out: int = 0
    pixels_in: int = 1
    pixels_out: int = 1
    row: int = 1
    window: int = 1
    channels: int = 1
    filters: int = 1
    lanes: int = 1
    in_bits: int = 16
    weight_bits: int = 16
    accum_bits: int = 16
    out_bits: int = 16
    rounds: bool = False
    nonzero: float = 0.0
    light: float = 0.0
    heavy: float = 0.0
    shared: float = 0.0
    table_size: int = 1024
    table_bits: int = 18
    stable: bool = True
    guessed: bool = False

    @property
    def weights(self) -> int:
        """Number of weights, zeros included."""
        return self.n_in * self.n_out

    @cached_property
    def unrolled(self) -> bool:
        """Whether each weight has its own place in the circuit, so that zeros and powers of two cost nothing."""
        if self.kind in (Kind.RECURRENT, Kind.DEPTHWISE):
            return False
        return self.strategy is Strategy.LATENCY or self.reuse == 1

    @cached_property
    def limit(self) -> int:
        """Most multipliers the layer may have. Source: hls4ml, ``multiplier_limit``."""
        if not self.unrolled:
            return max(1, ceil(self.weights / self.reuse))
        zeros = max(0.0, self.weights - self.nonzero)
        return max(1, ceil(self.weights / self.reuse) - int(zeros // self.reuse))

    @cached_property
    def multipliers(self) -> int:
        """How many multipliers there are, in DSP slices or fabric."""
        if self.kind is Kind.RECURRENT:
            return ceil(3 * self.n_out * (self.n_in + self.n_out) / self.reuse) + 3 * self.n_out
        if not self.unrolled:
            return self.limit
        return min(self.limit, round(self.shared))

    @cached_property
    def fan_in(self) -> float:
        """Mean number of products that one output adds."""
        if self.unrolled and self.nonzero and self.n_out:
            return max(1.0, self.nonzero / self.n_out)
        return float(max(1, self.n_in))

    @cached_property
    def adder_bits(self) -> int:
        """Mean width of the adders of a tree: HLS cuts the accumulator down to what the products can reach.

        Half of a tree's adders add two products, a quarter two of these sums: two bits more than a product on average.
        """
        return min(self.accum_bits, self.in_bits + self.weight_bits + 2)

    @cached_property
    def levels(self) -> float:
        """Depth of the adder tree."""
        return log2(self.fan_in)


def slices_of(facts: LayerFacts) -> int:
    """Return the DSP slices that one multiplier of the layer takes; 0 where it goes to fabric.

    A slice multiplies 25 x 18 bits (27 x 18 in UltraScale), signed. The tools put products of two narrow operands
    in fabric; above 10 bits they take a slice. Sources: UG479, UG579; operand widths of calibration/mults.csv.
    """
    wide, narrow = sorted((facts.in_bits, facts.weight_bits), reverse=True)
    choice = facts.target.multipliers
    if choice is Multipliers.FABRIC or (choice is Multipliers.AUTO and wide <= 10):
        return 0
    port = 27 if facts.target.speed is Speed.FAST else 25
    if narrow <= 18:
        return 1 if wide <= port else 2
    return 2 if wide <= port else 4


def memory_blocks(depth: int, width: int) -> int:
    """Return the 18 kb blocks of a memory of `depth` words of `width` bits. Source: UG473, port shapes of RAMB18."""
    shapes = ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1))
    return min(ceil(depth / d) * ceil(width / w) for d, w in shapes)


def needs_dataflow(layers: Sequence[LayerFacts]) -> bool:
    """Return whether hls4ml writes these layers as a dataflow region. Source: hls4ml, ``PipelineStyle`` in ``auto``."""
    return any(
        one.target.streams
        or one.kind in (Kind.CONV, Kind.DEPTHWISE, Kind.RECURRENT)
        or (one.kind is Kind.DENSE and one.strategy is not Strategy.LATENCY)
        for one in layers
    )

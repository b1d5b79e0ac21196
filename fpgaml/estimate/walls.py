"""The known walls of HLS: designs that fail or never finish, whatever their size would have been.

Each rule is one function from the facts of a layer to a `Wall` or None. They do not change the estimate; they say
that there may be nothing to estimate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from fpgaml.estimate.facts import Kind, LayerFacts

UNROLL_LIMIT = 4096  # Source: hls4ml FAQ and Vivado HLS message "Stop unrolling loop ... it may cause large runtime"
PARTITION_LIMIT = 4096  # Source: Vivado HLS message "array partition ... exceeds the maximum of 4096 elements"
PARALLEL_IMAGE_LIMIT = 4096  # values on wires; above, scheduling of io_parallel convolutions takes days or fails


class Certainty(StrEnum):
    """How sure it is that a wall stops the tool."""

    FAILS = "fails"
    RISK = "risk"


@dataclass(frozen=True)
class Wall:
    """A limit that a layer meets, and what to do."""

    layer: str
    certainty: Certainty
    reason: str
    advice: str

    def __str__(self) -> str:
        return f"layer {self.layer!r} {self.certainty}: {self.reason}; {self.advice}"


def walls(layers: Sequence[LayerFacts]) -> tuple[Wall, ...]:
    """Return every wall that the layers of a design meet."""
    return tuple(wall for facts in layers for rule in RULES if (wall := rule(facts)) is not None)


def _unrolled(facts: LayerFacts) -> Wall | None:
    if facts.kind not in (Kind.DENSE, Kind.CONV) or not facts.unrolled or facts.weights <= UNROLL_LIMIT:
        return None
    certainty = Certainty.FAILS if facts.target.tool.toolchain.refuses_to_unroll else Certainty.RISK
    reason = f"it unrolls {facts.weights:,} products, more than the {UNROLL_LIMIT:,} that {facts.target.tool} unrolls"
    return Wall(facts.name, certainty, reason, "use the resource strategy with a reuse factor above 1")


def _partitioned(facts: LayerFacts) -> Wall | None:
    elements = facts.n_in if facts.kind is Kind.DENSE else facts.channels * facts.pixels_in
    if facts.target.streams or facts.kind is Kind.CONV or elements <= PARTITION_LIMIT:
        return None
    reason = f"its input is an array of {elements:,} values on wires, more than the {PARTITION_LIMIT:,} of a partition"
    return Wall(facts.name, Certainty.FAILS, reason, "use io_stream")


def _parallel_convolution(facts: LayerFacts) -> Wall | None:
    if facts.target.streams or facts.kind not in (Kind.CONV, Kind.DEPTHWISE):
        return None
    values = max(facts.pixels_in * facts.channels, facts.pixels_out * facts.filters)
    if values <= PARALLEL_IMAGE_LIMIT:
        return None
    reason = f"its images have {values:,} values on wires: io_parallel convolutions of this size never finish in HLS"
    return Wall(facts.name, Certainty.FAILS, reason, "use io_stream")


RULES: tuple[Callable[[LayerFacts], Wall | None], ...] = (_unrolled, _partitioned, _parallel_convolution)

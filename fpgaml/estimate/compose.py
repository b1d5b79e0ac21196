"""From layers to a design: what lies between the layers, and how their cycles add up.

Resources add: the design is the sum of its layers, the FIFOs between them (`fifo_terms`, `fifo_blocks`) and little
glue. Cycles do not. In one pipelined function the latencies follow each other; in a dataflow region the layers work
at the same time, so the slowest sets the interval and the others add only what they need for the last pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, log2

from fpgaml.estimate.facts import Kind, LayerFacts, memory_blocks
from fpgaml.estimate.formulas import Terms


@dataclass(frozen=True)
class Timing:
    """Latency and initiation interval of one layer in cycles, and the depth of its logic, not rounded."""

    facts: LayerFacts
    latency: float
    interval: float
    depth: float


def latency_terms(timings: Sequence[Timing]) -> Terms:
    """Return the terms of a design's latency in cycles."""
    if not timings:
        return {}
    if not timings[0].facts.target.dataflow:
        left = sum(t.depth % 1.0 for t in timings)  # what floors cut off adds up again across layers
        boundaries = len(timings) / timings[0].facts.target.budget_ns
        return {"layers": sum(t.latency for t in timings), "boundaries": boundaries, "left over": left}
    slowest = max(timings, key=lambda t: t.latency)
    return {"slowest": slowest.latency, "rest": sum(_tail(t) for t in timings if t is not slowest), "control": 1.0}


def interval_of(timings: Sequence[Timing]) -> float:
    """Return a design's initiation interval in cycles."""
    if not timings:
        return 1.0
    longest = max(t.interval for t in timings)
    if not timings[0].facts.target.dataflow:
        return longest
    slowest = max(timings, key=lambda t: t.interval)
    pipelined = slowest.facts.kind is Kind.DENSE and not slowest.facts.unrolled and not slowest.facts.target.streams
    return longest if pipelined else longest + 1


def _tail(timing: Timing) -> float:
    """Return the cycles a layer still needs when its last input pixel arrives."""
    pixels = max(1, timing.facts.pixels_in)
    return timing.latency / pixels if timing.facts.target.streams else timing.latency


def fifo_terms(layers: Sequence[LayerFacts]) -> Terms:
    """Return the terms of LUT and FF between the layers: FIFOs by number and bits, and glue by layers."""
    found = {"layers": float(len(layers)), "control": 1.0}
    for place, facts in enumerate(layers):
        elements = fifo_elements(facts)
        if not facts.target.dataflow:
            before = facts.lanes * facts.in_bits if place == 0 else 0
            kept = elements * facts.out_bits if facts.kind in (Kind.DENSE, Kind.CONV) else 0
            found["registers"] = found.get("registers", 0.0) + before + kept
            continue
        if facts.target.tool.toolchain.wide_fifos and facts.target.streams:
            parts = {"wide fifos": 1.0, "wide bits": float(elements * facts.out_bits)}
        else:
            entry = facts.n_in if place == 0 and _has_entry(facts) else 0
            bits = elements * facts.out_bits + entry * facts.in_bits
            parts = {"fifos": float(elements + entry), "fifo bits": float(bits)}
        if facts.target.streams:
            parts["deep bits"] = elements * facts.out_bits * log2(1 + facts.pixels_out)
        for name, value in parts.items():
            found[name] = found.get(name, 0.0) + value
    return found


def _has_entry(facts: LayerFacts) -> bool:
    """Return whether the inputs go through FIFOs too: Vivado HLS puts an entry process before a parallel dataflow."""
    return facts.target.tool.toolchain.entry_process and not facts.target.streams and facts.kind is Kind.DENSE


def fifo_elements(facts: LayerFacts) -> int:
    """Return how many values a layer hands on side by side."""
    if facts.kind in (Kind.DENSE, Kind.RECURRENT):
        return max(1, facts.n_out)
    if facts.kind in (Kind.CONV, Kind.DEPTHWISE, Kind.POOL, Kind.MOVE, Kind.GLOBAL_POOL):
        return facts.filters if facts.target.streams else facts.filters * facts.pixels_out
    return facts.lanes


def fifo_blocks(layers: Sequence[LayerFacts]) -> float:
    """Return the 18 kb blocks of all FIFOs.

    Vivado HLS gives each element of a pixel its own FIFO, as deep as the next power of two; Vitis HLS one FIFO as
    wide as the pixel. Shallow ones become shift registers. In io_parallel each value has a FIFO of two words, which
    some versions of Vivado HLS put in block RAM when there are many layers reused; they are counted as registers.
    """
    return sum(_blocks(facts) for facts in layers if facts.target.streams)


def _blocks(facts: LayerFacts) -> float:
    depth, elements = facts.pixels_out, fifo_elements(facts)
    if facts.target.tool.toolchain.wide_fifos:
        return 0.0 if depth < 64 else float(memory_blocks(depth, elements * facts.out_bits))
    if depth * facts.out_bits <= 1024:
        return 0.0
    deep = 1 << ceil(log2(depth))
    return float(elements * max(1, ceil(deep / 1024)) * ceil(facts.out_bits / 18))


# What the coefficients are before any data: cycles of latency, LUTs and FFs a FIFO or a bit.
PRIORS: dict[str, dict[str, float]] = {
    "pipeline latency": {"layers": 1.0, "boundaries": 2.0, "left over": 0.7},
    "dataflow latency": {"slowest": 1.0, "rest": 0.8, "control": 4.0},
    "LUT": {
        "layers": 10.0,
        "control": 40.0,
        "fifos": 15.0,
        "fifo bits": 1.0,
        "wide fifos": 60.0,
        "wide bits": 0.8,
        "deep bits": 0.1,
    },
    "FF": {
        "layers": 20.0,
        "control": 20.0,
        "registers": 1.0,
        "fifos": 5.0,
        "fifo bits": 0.4,
        "wide fifos": 90.0,
        "wide bits": 0.5,
        "deep bits": 0.05,
    },
}

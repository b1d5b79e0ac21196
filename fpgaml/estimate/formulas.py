"""What a layer costs, in terms that mean something: adders, registers, multiplexers, comparators, tables.

DSP slices and block RAM follow from counting (`dsp_of`, `bram_of`), cycles from the delay of the adder tree and the
loops that hls4ml writes (`cycles_of`, with the constants `Delays`). LUT and FF are sums of terms with coefficients of
zero or more,

    LUT = sum of c[name] * term,    terms by `lut_terms` and `ff_terms`,

one set of coefficients for each regime (`regime_of`), which calibrate.py fits. Each term is a number of bits of some
structure, so a coefficient reads as "LUTs a bit" and can be judged.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, log2

from fpgaml.estimate.facts import MATRICES, Kind, LayerFacts, Speed, memory_blocks, slices_of

Terms = dict[str, float]


@dataclass(frozen=True)
class Delays:
    """Delays in ns, by speed class.

    Of a product, of one level of an adder tree, of a softmax without its trees, and of the steps around the product in
    a streamed convolution that reuses its multipliers.
    """

    product: dict[str, float]
    adder: dict[str, float]
    softmax: dict[str, float]
    steps: dict[str, float]


DELAYS = Delays(
    product={Speed.SLOW: 4.0, Speed.MIDDLE: 2.5, Speed.FAST: 2.0},
    adder={Speed.SLOW: 4.25, Speed.MIDDLE: 2.2, Speed.FAST: 0.72},
    softmax={Speed.SLOW: 18.0, Speed.MIDDLE: 12.0, Speed.FAST: 6.0},
    steps={Speed.SLOW: 25.0, Speed.MIDDLE: 22.0, Speed.FAST: 15.0},
)


IN_FABRIC = 0.3  # delay of a product in fabric over that of one in a DSP slice


def regime_of(facts: LayerFacts) -> str:
    """Return the name of the set of coefficients that a layer uses."""
    if facts.kind in (Kind.DENSE, Kind.CONV):
        how = "unrolled" if facts.unrolled else "reused"
        return f"{facts.kind} {how}"
    return str(facts.kind)


# -- cycles ----------------------------------------------------------------------------------------------------


def depth_of(facts: LayerFacts, delays: Delays) -> float:
    """Return the depth of a layer's logic in clock cycles, not rounded."""
    speed = facts.target.speed
    per_level = delays.adder[speed]
    match facts.kind:
        case kind if kind in MATRICES:
            delay = _product_ns(facts, delays) + per_level * facts.levels
        case Kind.SOFTMAX:
            trees = 2 if facts.stable else 1  # the maximum and the sum
            delay = delays.softmax[speed] * (1.0 if facts.stable else 0.3) + trees * per_level * log2(
                max(2, facts.lanes)
            )
        case Kind.GLOBAL_POOL:
            delay = per_level * log2(max(2, facts.pixels_in))
        case Kind.POOL:
            delay = per_level * log2(max(2, facts.window))
        case Kind.TABLE:
            delay = 2 * per_level
        case _:
            delay = 0.8 * per_level
    return delay / facts.target.budget_ns


def _product_ns(facts: LayerFacts, delays: Delays) -> float:
    """Return the delay of a product: that of 16 x 16 bits, in proportion to the operands' bits; 0 without any.

    A product in fabric is pipelined with the tree around it and costs about a third of one in a DSP slice.
    """
    if not facts.heavy and facts.unrolled:
        return 0.0
    share = 1.0 if slices_of(facts) else IN_FABRIC
    return share * delays.product[facts.target.speed] * (facts.in_bits + facts.weight_bits) / 32


def cycles_of(facts: LayerFacts, delays: Delays = DELAYS) -> tuple[float, float]:
    """Return latency and initiation interval of a layer in clock cycles."""
    if facts.kind is Kind.RECURRENT:
        step = facts.reuse + 10
        return 20.0 * step, 20.0 * step  # the number of time steps is not in the facts
    if facts.kind in (Kind.DENSE, Kind.CONV, Kind.DEPTHWISE):
        return _matrix_cycles(facts, delays)
    if facts.target.streams:
        return _stream_cycles(facts, delays)
    latency = floor(depth_of(facts, delays)) + 2 * (facts.kind is Kind.SOFTMAX) + (facts.kind is Kind.TABLE)
    return float(latency), 1.0


def _matrix_cycles(facts: LayerFacts, delays: Delays) -> tuple[float, float]:
    latency, interval = _product_cycles(facts, delays)
    target = facts.target
    if facts.kind is Kind.DENSE:
        if not target.streams:
            return latency, interval
        words = max(1, ceil(facts.n_in / max(1, facts.lanes)))
        extra = 0.0 if facts.unrolled else 1.0 + floor(delays.steps[target.speed] / target.budget_ns)
        total = latency + extra + (words if words > 1 else 0)
        return total, max(total, 1.0)
    if not target.streams:
        steps = facts.pixels_out if facts.window > 1 else 1
        return steps * interval + latency, steps * interval
    each = _cycles_a_pixel(facts, delays, interval)
    return facts.pixels_in * each, facts.pixels_in * each


def _product_cycles(facts: LayerFacts, delays: Delays) -> tuple[float, float]:
    """Return latency and interval of one matrix product."""
    depth = depth_of(facts, delays)
    if not facts.unrolled:
        return facts.reuse + 1.0 + (depth > 1), float(facts.reuse)
    if facts.reuse == 1:
        return float(floor(depth)), 1.0
    turns = facts.shared / facts.limit  # products one multiplier makes
    interval = ceil(turns) + min(4, round(depth)) if turns > 1 else 1
    interval = max(2, min(facts.reuse, interval))
    return float(max(floor(depth), interval - 1)), float(interval)


def _cycles_a_pixel(facts: LayerFacts, delays: Delays, interval: float) -> float:
    target = facts.target
    if facts.unrolled and facts.reuse == 1:
        if target.tool.toolchain.pixel_a_cycle:
            return 1.0
        return 2.0 + floor((delays.adder[target.speed] * facts.levels + 0.5) / target.budget_ns)
    return interval + 2.0 + round(delays.steps[target.speed] / target.budget_ns)


def _stream_cycles(facts: LayerFacts, delays: Delays) -> tuple[float, float]:
    pixels = facts.pixels_in
    match facts.kind:
        case Kind.POOL | Kind.GLOBAL_POOL:
            total = pixels + 3.0
        case Kind.SOFTMAX if pixels == 1:
            total = 4.0 + min(facts.reuse, facts.lanes) + floor(depth_of(facts, delays))
        case Kind.SOFTMAX | Kind.AFFINE:
            total = float(pixels * min(facts.reuse, facts.lanes))
        case Kind.MOVE:
            total = max(facts.pixels_in * 1.15, facts.pixels_out) + 3.0
        case Kind.TABLE:
            total = pixels + 2.0
        case _:
            total = pixels + 3.0 if pixels > 1 else float(floor(depth_of(facts, delays)))
    return total, max(1.0, total)


# -- counted resources -----------------------------------------------------------------------------------------


def dsp_of(facts: LayerFacts) -> float:
    """Return the DSP slices of a layer."""
    match facts.kind:
        case kind if kind in MATRICES:
            return float(facts.multipliers * slices_of(facts))
        case Kind.SOFTMAX:
            if facts.target.multipliers == "fabric" or facts.table_size < 2:
                return 0.0
            return float(ceil(facts.lanes / facts.reuse) if facts.target.streams else facts.lanes)
        case Kind.AFFINE:
            if not facts.heavy or slices_of(facts) == 0:
                return 0.0
            return float(ceil(facts.heavy / facts.reuse) if facts.target.streams else facts.heavy)
        case _:
            return 0.0


def bram_of(facts: LayerFacts) -> float:
    """Return the 18 kb blocks inside a layer: its weights if they are reused, its tables. FIFOs are the design's."""
    match facts.kind:
        case Kind.SOFTMAX:
            copies = facts.lanes if not facts.target.streams or facts.lanes < 4 else ceil(facts.lanes / facts.reuse) + 1
            return float(copies * memory_blocks(facts.table_size, facts.table_bits))
        case Kind.TABLE:
            return float(ceil(facts.lanes / 2) * memory_blocks(facts.table_size, facts.out_bits))
        case Kind.RECURRENT:
            return _weight_blocks(facts, facts.multipliers - 3 * facts.n_out) + ceil(facts.n_out * 1.5)
        case Kind.DENSE | Kind.CONV | Kind.DEPTHWISE if not facts.unrolled:
            return _weight_blocks(facts, facts.limit) + _index_blocks(facts)
        case _:
            return 0.0


def _weight_blocks(facts: LayerFacts, words: int) -> float:
    width = words * facts.weight_bits
    if facts.reuse < 2 or width * facts.reuse <= 1024:  # small memories become LUTs
        return 0.0
    return float(ceil(width / 36) if facts.reuse <= 512 else memory_blocks(facts.reuse, width))


def _index_blocks(facts: LayerFacts) -> float:
    """Return the blocks of the table that says which output a product belongs to; only when one column a turn."""
    if facts.reuse <= max(facts.n_in, 1024):
        return 0.0
    return float(memory_blocks(facts.reuse, max(1, ceil(log2(max(2, facts.n_out))))))


# -- fitted resources ------------------------------------------------------------------------------------------


def lut_terms(facts: LayerFacts) -> Terms:
    """Return the terms of the LUT count; each is a number of bits."""
    match facts.kind:
        case Kind.DENSE | Kind.CONV if facts.unrolled:
            return _unrolled_lut(facts) | _around(facts)
        case Kind.DENSE | Kind.CONV | Kind.DEPTHWISE | Kind.RECURRENT:
            return _reused_lut(facts) | _around(facts)
        case Kind.POOL:
            return {
                "comparators": float(facts.window * facts.channels * facts.in_bits),
                "comparisons": float(facts.window * facts.channels),
                "outputs": float(facts.channels * facts.out_bits),
                "control": 1.0,
            }
        case Kind.GLOBAL_POOL:
            return {"comparators": float(facts.lanes * facts.in_bits), "control": 1.0}
        case Kind.SOFTMAX:
            fabric = facts.lanes * 324.0 * (facts.target.multipliers == "fabric")
            bits = float(facts.lanes * facts.in_bits) * (1.0 if facts.stable else 0.25)
            return {"elements": bits, "streamed": bits * facts.target.streams, "products": fabric, "control": 1.0}
        case Kind.AFFINE:
            return {
                "elements": float(facts.lanes * facts.in_bits),
                "products": facts.heavy * facts.in_bits,
                "control": float(facts.target.streams),
            }
        case Kind.MOVE | Kind.OTHER:
            return {"elements": float(facts.filters * facts.in_bits), "control": 1.0}
        case _:
            return _elementwise(facts)


def ff_terms(facts: LayerFacts, delays: Delays = DELAYS) -> Terms:
    """Return the terms of the FF count; each is a number of bits."""
    flow = float(facts.target.dataflow)
    depth = depth_of(facts, delays)
    match facts.kind:
        case Kind.DENSE | Kind.CONV if facts.unrolled:
            return _unrolled_ff(facts, delays) | _around(facts)
        case Kind.DENSE | Kind.CONV | Kind.DEPTHWISE | Kind.RECURRENT:
            return {
                "inputs": float(facts.n_in * facts.in_bits),
                "multipliers": float(facts.multipliers * (facts.in_bits + facts.weight_bits)),
                "accumulators": float(facts.n_out * facts.accum_bits),
            } | _around(facts)
        case Kind.POOL:
            window = float(facts.window * facts.channels * facts.in_bits)
            return {"window": window, "depth": window * depth, "control": 1.0}
        case Kind.GLOBAL_POOL:
            return {"depth": facts.lanes * facts.in_bits * depth, "control": 1.0}
        case Kind.SOFTMAX:
            return {"depth": facts.lanes * facts.in_bits * depth, "control": 1.0}
        case Kind.AFFINE | Kind.MOVE | Kind.OTHER:
            return {"elements": float(facts.lanes * facts.out_bits) * flow, "control": flow}
        case _:
            return {
                "registered": float(facts.lanes * facts.out_bits) * (depth >= 1),
                "handshake": float(facts.lanes * facts.out_bits) * (flow and not facts.target.streams),
                "streamed": float(facts.lanes * facts.out_bits) * facts.target.streams * min(1.0, depth),
                "control": flow,
            }


def _unrolled_lut(facts: LayerFacts) -> Terms:
    in_fabric = facts.multipliers if slices_of(facts) == 0 else 0
    return {
        "adders": max(0.0, facts.nonzero - facts.n_out) * facts.adder_bits,
        "light": facts.light * facts.in_bits,
        "heavy": facts.heavy * facts.adder_bits,
        "products": float(in_fabric * facts.in_bits * facts.weight_bits),
        "reuse": max(0.0, facts.shared - facts.multipliers) * facts.in_bits,
        "outputs": float(facts.n_out * facts.accum_bits),
    }


def _unrolled_ff(facts: LayerFacts, delays: Delays) -> Terms:
    limited = facts.shared > facts.limit
    _, interval = _product_cycles(facts, delays)
    stages = floor(1.3 * _product_ns(facts, delays) / facts.target.budget_ns)
    alive = _alive(facts, delays) / (1.33 if interval > 1 else 1.0)
    return {
        "tree": alive * facts.adder_bits,
        "products": facts.heavy * (facts.in_bits + facts.weight_bits) * stages,
        "outputs": facts.n_out * facts.accum_bits * min(1.0, depth_of(facts, delays)),
        "reuse": max(0.0, facts.nonzero - alive) * facts.adder_bits * limited,
        "inputs": float(facts.n_in * facts.in_bits * (limited or facts.target.dataflow)),
    }


def _alive(facts: LayerFacts, delays: Delays) -> float:
    """Return how many values the pipeline registers of an adder tree hold: a level down, half as many are left."""
    per_level, product = delays.adder[facts.target.speed], _product_ns(facts, delays)
    alive = 0.0
    for cut in range(1, floor(depth_of(facts, delays)) + 1):
        level = max(0.0, (0.9 * cut * facts.target.budget_ns - product) / per_level)  # a cut is never quite full
        alive += max(facts.nonzero * 2**-level, min(facts.nonzero, facts.n_out))
    return alive


def _reused_lut(facts: LayerFacts) -> Terms:
    count, in_bits = facts.multipliers, facts.in_bits
    in_fabric = count if slices_of(facts) == 0 else 0
    choices = max(1, min(facts.reuse, facts.n_in))
    return {
        "adders": float(count * facts.accum_bits),
        "selectors": count * in_bits * log2(choices),
        "inputs": float(facts.n_in * in_bits),
        "products": float(in_fabric * in_bits * facts.weight_bits),
        "outputs": float(facts.n_out * facts.accum_bits),
    }


def _around(facts: LayerFacts) -> Terms:
    """Return what a convolution has around its product: the window and, in io_parallel, choosing the pixel."""
    if facts.kind is not Kind.CONV:
        return {"control": float(facts.target.dataflow)}
    image = facts.pixels_in * facts.channels * facts.in_bits * (not facts.target.streams)
    return {"window": float(facts.n_in * facts.in_bits), "image": float(image), "control": 1.0}


def _elementwise(facts: LayerFacts) -> Terms:
    bits = float(facts.lanes * facts.in_bits)
    return {
        "elements": bits,
        "rounding": bits * facts.rounds,
        "handshake": float(facts.lanes * facts.out_bits) * facts.target.dataflow,
        "control": float(facts.target.dataflow),
    }


# -- what coefficients are before any data: LUTs or FFs a bit ----------------------------------------------------

_AROUND = {"window": 1.0, "image": 1.0, "control": 200.0}
PRIORS: dict[str, dict[str, dict[str, float]]] = {
    "LUT": {
        "dense unrolled": {
            "adders": 1.0, "light": 0.8, "heavy": 0.5, "products": 0.9, "reuse": 0.3, "outputs": 0.8, "control": 40.0,
        },
        "dense reused": {
            "adders": 2.0, "selectors": 2.0, "inputs": 0.3, "products": 1.0, "outputs": 1.5, "control": 200.0,
        },
        "pooling": {"comparators": 2.0, "comparisons": 30.0, "outputs": 2.0, "control": 200.0},
        "global pooling": {"comparators": 3.0, "control": 200.0},
        "softmax": {"elements": 6.0, "streamed": 6.0, "products": 1.0, "control": 50.0},
        "activation": {"elements": 1.7, "rounding": 0.7, "handshake": 0.8, "control": 80.0},
        "affine": {"elements": 1.7, "products": 0.5, "control": 100.0},
        "table": {"elements": 4.0, "rounding": 0.5, "handshake": 2.0, "control": 80.0},
        "data movement": {"elements": 1.0, "control": 250.0},
        "recurrent": {
            "adders": 2.0, "selectors": 4.0, "inputs": 3.0, "products": 1.0, "outputs": 30.0, "control": 300.0,
        },
        "other": {"elements": 3.0, "control": 200.0},
    },
    "FF": {
        "dense unrolled": {
            "tree": 0.9, "products": 1.5, "outputs": 0.5, "reuse": 0.7, "inputs": 0.4, "control": 10.0,
        },
        "dense reused": {"inputs": 1.0, "multipliers": 1.5, "accumulators": 1.5, "control": 150.0},
        "pooling": {"window": 1.0, "depth": 1.5, "control": 150.0},
        "global pooling": {"depth": 1.0, "control": 100.0},
        "softmax": {"depth": 1.0, "control": 40.0},
        "activation": {"registered": 0.8, "handshake": 0.9, "streamed": 0.5, "control": 5.0},
        "affine": {"elements": 1.0, "control": 20.0},
        "table": {"registered": 0.7, "handshake": 0.5, "streamed": 2.0, "control": 5.0},
        "data movement": {"elements": 0.5, "control": 30.0},
        "recurrent": {"inputs": 3.0, "multipliers": 1.5, "accumulators": 10.0, "control": 300.0},
        "other": {"elements": 1.0, "control": 50.0},
    },
}  # fmt: skip
for _metric in ("LUT", "FF"):
    _sets = PRIORS[_metric]
    _sets["convolution unrolled"] = _sets["dense unrolled"] | _AROUND
    _sets["convolution reused"] = _sets["dense reused"] | _AROUND
    _sets["depthwise convolution"] = _sets["dense reused"]

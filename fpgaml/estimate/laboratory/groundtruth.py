"""Rows of designs.csv and layers.csv as facts and truths.

`read(folder)` returns the designs of a folder with the columns that data/calibration/README.md lists. Cells may be
empty and columns missing: what is not there gets the neutral value that `LayerFacts` declares, statistics of weights
that are not there are guessed from their width and the facts are marked `guessed`. No column that a report gives
(latency, resources, multiplier instances) is ever read as a feature.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from math import ceil, prod
from pathlib import Path

from fpgaml.errors import DataError
from fpgaml.estimate.facts import Kind, LayerFacts, Multipliers, Target, needs_dataflow
from fpgaml.target.design import IoType, Strategy
from fpgaml.target.measurement import ESTIMATED, Metric
from fpgaml.target.toolchain import Tool

Row = Mapping[str, str]

TRUTH_COLUMNS = {
    Metric.LATENCY: "latency_max",
    Metric.INTERVAL: "ii_max",
    Metric.LUT: "lut",
    Metric.FF: "ff",
    Metric.DSP: "dsp",
    Metric.BRAM18: "bram18k",
}
USUAL_CLOCK = 5.0  # ns, hls4ml's default, where a row gives none
LINE = "(line)"  # key under which a row keeps its file and line, for messages
SIGNS_AND_SHIFTS = 1.4  # weights of different value that are one product: w, -w, 2w; between 1 and 2 x bits
SYNTHESIS_COLUMNS = {Metric.LUT: "vs_lut", Metric.FF: "vs_ff", Metric.DSP: "vs_dsp", Metric.BRAM18: "vs_bram36"}


@dataclass(frozen=True)
class KnownLayer:
    """A layer's facts and what its report says."""

    facts: LayerFacts
    truth: dict[Metric, float]


@dataclass(frozen=True)
class KnownDesign:
    """A design of the ground truth. `synthesis`: after logic synthesis, where known. `fifos`: FF, LUT of its FIFOs."""

    name: str
    repository: str
    target: Target
    layers: tuple[KnownLayer, ...]
    truth: dict[Metric, float]
    synthesis: dict[Metric, float]
    stock: bool
    consistent: bool

    @property
    def trusted(self) -> bool:
        """Whether it is from an unchanged library and its reports belong to its firmware."""
        return self.stock and self.consistent


def read(folder: Path) -> list[KnownDesign]:
    """Return the designs of `folder` (designs.csv, layers.csv). Raises: DataError naming file and line."""
    designs = _rows(folder / "designs.csv", ("id",))
    layers: dict[str, list[Row]] = {}
    for row in _rows(folder / "layers.csv", ("design",)):
        if row.get("outer", "1") != "0":
            layers.setdefault(row["design"], []).append(row)
    return [_design(row, sorted(layers.get(row["id"], []), key=_place)) for row in designs]


def _place(row: Row) -> int:
    """Return where a layer stands: hls4ml numbers its configurations (``config2``, ``relu_config4``) in order."""
    found = re.search(r"(\d+)(?:_mult)?$", row.get("config", ""))
    return int(found.group(1)) if found else 0


def _rows(path: Path, needed: tuple[str, ...]) -> list[Row]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            rows = [
                {LINE: f"{path}, line {reader.line_num}"} | {k: (v or "").strip() for k, v in row.items() if k}
                for row in reader
            ]
            header = reader.fieldnames or []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} must be a readable CSV file: {error}") from error
    for column in needed:
        if column not in header:
            raise DataError(f"{path}, line 1: column {column!r} must be there, found {', '.join(header) or 'nothing'}")
    return list(rows)


def _design(row: Row, layers: list[Row]) -> KnownDesign:
    target = _target(row)
    known = [KnownLayer(_layer(one, row, target), _truth(one, TRUTH_COLUMNS)) for one in layers]
    if not known:
        known = [KnownLayer(facts, {}) for facts in _from_topology(row, target)]
    target = replace(target, dataflow=needs_dataflow([one.facts for one in known]))
    known = [
        KnownLayer(replace(one.facts, target=replace(one.facts.target, dataflow=target.dataflow)), one.truth)
        for one in known
    ]
    synthesis = _truth(row, SYNTHESIS_COLUMNS)
    if Metric.BRAM18 in synthesis:
        synthesis[Metric.BRAM18] *= 2  # the column counts tiles of 36 kb
    return KnownDesign(
        name=row["id"],
        repository=row.get("source") or row["id"].split(":")[0],
        target=target,
        layers=tuple(known),
        truth=_truth(row, TRUTH_COLUMNS),
        synthesis=synthesis,
        stock=row.get("nonstock", "0") != "1",
        consistent=row.get("consistent", "1") == "1",
    )


def _truth(row: Row, columns: Mapping[Metric, str]) -> dict[Metric, float]:
    found = {metric: _number(row.get(columns[metric], "")) for metric in ESTIMATED if metric in columns}
    return {metric: value for metric, value in found.items() if value is not None and value >= 0}


def _target(row: Row) -> Target:
    tool = Tool.VITIS_HLS if "vitis" in row.get("tool", "").lower() else Tool.VIVADO_HLS
    clock = _number(row.get("clock_target_ns", ""))
    if clock is not None and clock <= 0:
        raise DataError(f"{row[LINE]}: clock_target_ns must be a period above 0 ns, not {clock:g}")
    clock = clock or USUAL_CLOCK
    uncertainty = _number(row.get("clock_unc_ns", ""))
    if uncertainty is None or not 0 <= uncertainty < clock:
        uncertainty = clock * tool.toolchain.clock_uncertainty
    stream = "stream" in row.get("io_type", "").lower()
    return Target(
        tool=tool,
        family=row.get("family", "").lower() or "virtexuplus",
        clock_ns=clock,
        budget_ns=clock - uncertainty,
        io_type=IoType.STREAM if stream else IoType.PARALLEL,
        multipliers=_multipliers(row.get("path", "")),
    )


def _multipliers(path: str) -> Multipliers:
    """Read where a design was told to put products, which one repository states in its folder names."""
    found = re.search(r"/(DSP|LUT)_reuse\d+/", path)
    if not found:
        return Multipliers.AUTO
    return Multipliers.DSP if found.group(1) == "DSP" else Multipliers.FABRIC


_KINDS = (
    ("softmax", Kind.SOFTMAX),
    ("global", Kind.GLOBAL_POOL),
    ("pool", Kind.POOL),
    ("depthwise", Kind.DEPTHWISE),
    ("separable", Kind.DEPTHWISE),
    ("conv", Kind.CONV),
    ("cnnshift", Kind.OTHER),
    ("gru", Kind.RECURRENT),
    ("lstm", Kind.RECURRENT),
    ("dense", Kind.DENSE),
    ("zeropad", Kind.MOVE),
    ("concat", Kind.MOVE),
    ("resize", Kind.MOVE),
    ("repack", Kind.MOVE),
    ("transpose", Kind.MOVE),
    ("clone", Kind.MOVE),
    ("relu", Kind.ACTIVATION),
    ("linear", Kind.ACTIVATION),
    ("normalize", Kind.AFFINE),
    ("sigmoid", Kind.TABLE),
    ("tanh", Kind.TABLE),
    ("elu", Kind.TABLE),
    ("soft", Kind.TABLE),
)


def _kind(row: Row) -> Kind:
    for name in (row.get("kind", "").lower(), row.get("func", "").lower()):
        for word, kind in _KINDS:
            if word in name:
                return kind
    return Kind.OTHER


def _layer(row: Row, design: Row, target: Target) -> LayerFacts:
    kind = _kind(row)
    io = row.get("io_type", "")
    if io in ("io_parallel", "io_stream"):
        target = replace(target, io_type=IoType(io))
    default = _bits(design.get("default_precision", ""), 16)
    n_in, n_out, window = _matrix(row, kind)
    channels, filters = _channels(row, kind, n_in, n_out)
    pixels_in, pixels_out = _pixels(row, kind, target, channels, n_in)
    facts = LayerFacts(
        name=row.get("layer_name") or row.get("module", ""),
        kind=kind,
        target=target,
        strategy=_strategy(row, design),
        reuse=max(1, _integer(row, "reuse_factor") or _integer(design, "reuse_factor") or 1),
        n_in=n_in,
        n_out=n_out,
        pixels_in=pixels_in,
        pixels_out=pixels_out,
        row=max(1, _integer(row, "in_width") or 1),
        window=window,
        channels=channels,
        filters=filters,
        lanes=_lanes(row, target, kind, channels, n_in, pixels_out),
        in_bits=_bits(row.get("in_type", ""), default),
        weight_bits=_bits(row.get("weight_type", ""), default),
        accum_bits=_bits(row.get("accum_type", "") or row.get("out_type", ""), default),
        out_bits=_bits(row.get("out_type", ""), default),
        rounds="RND" in row.get("out_type", "") or "SAT" in row.get("out_type", ""),
        table_size=_integer(row, "table_size") or 1024,
        stable=row.get("implementation", "") not in ("latency", "argmax"),
        table_bits=_bits(row.get("table_type", "") or row.get("exp_table_type", ""), 18),
    )
    return _weights(facts, row)


def _matrix(row: Row, kind: Kind) -> tuple[int, int, int]:
    """Return rows and columns of the weight matrix (elements for layers without one) and the window size."""
    height, width = _integer(row, "filt_height") or 1, _integer(row, "filt_width") or 1
    if kind in (Kind.POOL, Kind.GLOBAL_POOL):
        height, width = _integer(row, "pool_height") or 1, _integer(row, "pool_width") or 1
    n_in, n_out = _integer(row, "n_in") or 0, _integer(row, "n_out") or 0
    if kind is Kind.CONV and not n_in:
        n_in, n_out = height * width * (_integer(row, "n_chan") or 1), _integer(row, "n_filt") or 1
    if kind is Kind.DENSE and not n_out:
        n_out = _integer(row, "out_pack") or 1
    return n_in, n_out, height * width


def _channels(row: Row, kind: Kind, n_in: int, n_out: int) -> tuple[int, int]:
    channels = _integer(row, "n_chan") or _integer(row, "in_pack") or 0
    filters = _integer(row, "n_filt") or 0
    if kind is Kind.DENSE:
        return max(1, n_in), max(1, n_out)
    if channels < 1:
        channels = filters if filters > 0 else max(1, n_in)
    if filters < 1:
        filters = _integer(row, "out_pack") or channels
    return channels, filters


def _pixels(row: Row, kind: Kind, target: Target, channels: int, n_in: int) -> tuple[int, int]:
    sizes = [[_integer(row, f"{side}_{axis}") for axis in ("height", "width")] for side in ("in", "out")]
    before, after = (prod(n for n in pair if n) for pair in sizes)
    if kind in (Kind.ACTIVATION, Kind.TABLE, Kind.SOFTMAX, Kind.AFFINE) and target.streams:
        pack = _integer(row, "in_pack") or channels
        count = max(1, ceil(n_in / max(1, pack)))
        return count, count
    if kind is Kind.GLOBAL_POOL:
        return max(1, before if before > 1 else n_in), 1
    if kind is Kind.POOL and n_in and before == 1:
        return n_in, _integer(row, "n_out") or max(1, after)
    return max(1, before), max(1, after)


def _lanes(row: Row, target: Target, kind: Kind, channels: int, n_in: int, pixels: int) -> int:
    if target.streams:
        return max(1, _integer(row, "in_pack") or channels)
    if kind is Kind.GLOBAL_POOL:  # its n_in counts pixels
        return max(1, n_in * channels)
    return max(1, n_in or channels * pixels)


def _weights(facts: LayerFacts, row: Row) -> LayerFacts:
    """Return `facts` with the statistics of its weights; guessed from number and width where the row has none."""
    total = float(_integer(row, "n_weights") or facts.weights)
    nonzero = _count(row, "w_nonzero")
    digits = [_count(row, f"w_csd{n}") for n in ("1", "2", "3", "4", "5plus")]
    if nonzero is None:
        nonzero = max(0.0, total - (_count(row, "n_zeros_decl") or 0.0))
    if any(d is None for d in digits):
        heavy = nonzero * heavy_share(facts.weight_bits)
        light = 0.6 * (nonzero - heavy)
        return replace(facts, nonzero=nonzero, light=light, heavy=heavy, shared=heavy, guessed=True)
    counts = [float(d or 0) for d in digits]
    heavy = min(nonzero, sum(counts[2:]))
    distinct = _count(row, "w_distinct") or total
    magnitudes = distinct * (heavy / nonzero if nonzero else 0.0) / SIGNS_AND_SHIFTS
    shared = expected_distinct(heavy, facts.n_in, magnitudes)
    return replace(facts, nonzero=nonzero, light=min(nonzero, counts[1]), heavy=heavy, shared=shared)


def heavy_share(bits: int) -> float:
    """Return the share of weights of a width that have three or more digits, where the weights are unknown.

    About what a normal distribution that fills half its range gives; nothing of 4 bits or fewer has three digits
    but 5 = 101 - 0 and 11, 13 patterns.
    """
    return min(0.8, max(0.0, 0.12 * (bits - 3)))


def expected_distinct(heavy: float, rows: int, values: float) -> float:
    """Return how many of `heavy` products differ, when each of `rows` inputs draws from `values` magnitudes.

    An input times the same odd magnitude is one product, whatever its sign and shift, and the tools make it once.
    """
    if rows < 1 or values < 1 or heavy <= 0:
        return heavy
    each = heavy / rows
    return rows * values * (1 - (1 - 1 / values) ** each) if values > 1 else min(heavy, float(rows))


def _strategy(row: Row, design: Row) -> Strategy:
    text = (row.get("strategy") or "").lower()
    if not text:
        module = row.get("kind", "").lower()
        found = [word for word in ("latency", "resource") if word in module]
        text = found[0] if found else design.get("strategy", "").lower()
    return Strategy.RESOURCE if "resource" in text else Strategy.LATENCY


def _from_topology(row: Row, target: Target) -> list[LayerFacts]:
    """Return dense, ReLU and softmax layers for a topology such as ``16-64-32-5-softmax``; none if it has others."""
    parts = [part for part in row.get("topology", "").split("-") if part and part != "BN"]
    sizes = [int(part) for part in parts if part.isdigit()]
    if len(sizes) < 2 or any(not part.isdigit() and part not in ("softmax", "sigmoid") for part in parts):
        return []
    bits = _bits(row.get("default_precision", ""), 16)
    reuse = [max(1, int(n)) for n in re.findall(r"\d+", row.get("reuse_factor", ""))] or [1]
    found = []
    for place, (n_in, n_out) in enumerate(pairwise(sizes)):
        heavy = n_in * n_out * heavy_share(bits)
        dense = LayerFacts(
            name=f"dense{place}",
            kind=Kind.DENSE,
            target=target,
            strategy=_strategy({}, row),
            reuse=reuse[min(place, len(reuse) - 1)],
            n_in=n_in,
            n_out=n_out,
            channels=n_in,
            filters=n_out,
            lanes=n_in,
            nonzero=n_in * n_out,
            light=0.3 * n_in * n_out,
            heavy=heavy,
            shared=heavy,
            guessed=True,
        )
        softmax = place == len(sizes) - 2 and parts[-1] == "softmax"
        after = LayerFacts(
            name=f"activation{place}",
            kind=Kind.SOFTMAX if softmax else Kind.ACTIVATION,
            target=target,
            n_in=n_out,
            lanes=n_out,
            guessed=True,
        )
        for facts in (dense, after):
            found.append(replace(facts, in_bits=bits, weight_bits=bits, accum_bits=bits, out_bits=bits))
    return found


def _bits(text: str, default: int) -> int:
    found = re.search(r"(?:fixed|int)\s*<\s*(\d+)", text)
    return int(found.group(1)) if found else default


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except (TypeError, ValueError):
        return None
    return value if abs(value) < 1e15 else None


def _count(row: Row, column: str) -> float | None:
    value = _number(row.get(column, ""))
    return None if value is None or value < 0 else value


def _integer(row: Row, column: str) -> int | None:
    """Return a count; None where there is none, also for the negative numbers that hls4ml writes for unknown."""
    value = _count(row, column)
    return None if value is None else int(value)

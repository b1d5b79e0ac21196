"""The fitted model: coefficients, and the median estimate they give for layers and designs.

Only numpy-free arithmetic, so that a query takes well under a millisecond a layer. The coefficients, the residual
quantiles that make the ranges, the range of the data, and the digest of the data all come from
data/calibration/coefficients.json, which calibrate.py writes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from math import exp, hypot
from typing import Any

from fpgaml.errors import FormatError
from fpgaml.estimate.compose import Timing, fifo_blocks, fifo_terms, interval_of, latency_terms
from fpgaml.estimate.facts import Kind, LayerFacts
from fpgaml.estimate.formulas import Delays, Terms, bram_of, cycles_of, depth_of, dsp_of, ff_terms, lut_terms, regime_of
from fpgaml.estimate.residuals import OFFSETS, ErrorSpread
from fpgaml.target.measurement import ESTIMATED, MedianRange, Metric

FITTED = (Metric.LUT, Metric.FF)
Values = dict[Metric, float]


@dataclass(frozen=True)
class Coefficients:
    """Everything that calibrate.py fits.

    layers: metric -> regime -> term -> coefficient. tools: metric -> tool -> factor. between: metric or latency kind
    -> term -> coefficient. counted: metric -> factor of the counted resources.
    """

    delays: Delays
    layers: dict[str, dict[str, dict[str, float]]]
    tools: dict[str, dict[str, float]]
    between: dict[str, dict[str, float]]


@dataclass(frozen=True)
class CostModel:
    """The coefficients with what is known of their errors; see calibrate.py for each part."""

    coefficients: Coefficients
    spreads: dict[str, dict[str, dict[str, ErrorSpread]]]
    synthesis: dict[str, dict[str, float]]
    limits: dict[str, Any]
    errors: dict[str, dict[str, dict[str, float]]]
    data: str
    designs: int
    repositories: int

    def spread(self, level: str, metric: Metric, group: str) -> ErrorSpread:
        """Return the spread of a metric for a ``design`` or ``layer`` of a group."""
        known = self.spreads[level][metric]
        return known.get(group, known["all"])

    def is_outside(self, facts: LayerFacts) -> bool:
        """Return whether a layer leaves the range of the data by more than half."""
        known = self.limits["regimes"].get(regime_of(facts))
        target = facts.target
        if known is None or f"{target.tool}, {target.speed}" not in self.limits["seen"]:
            return True
        low, high = self.limits["clock_ns"]
        if not low / 1.5 <= target.clock_ns <= high * 1.5:
            return True
        return any(not a / 1.5 <= getattr(facts, name) <= b * 1.5 for name, (a, b) in known.items())


@lru_cache(maxsize=1)
def model() -> CostModel:
    """Return the model that ships with the package. Raises: FormatError if its file is damaged."""
    text = files("fpgaml").joinpath("data/calibration/coefficients.json").read_text(encoding="utf-8")
    try:
        content = json.loads(text)
        return CostModel(
            Coefficients(Delays(**content["delays"]), content["layers"], content["tools"], content["between"]),
            {
                level: {m: {g: ErrorSpread(*ends) for g, ends in groups.items()} for m, groups in metrics.items()}
                for level, metrics in content["spreads"].items()
            },
            content["synthesis"],
            content["limits"],
            content["errors"],
            content["data"],
            content["designs"],
            content["repositories"],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError(f"data/calibration/coefficients.json is damaged ({error}); run make calibrate") from error


@dataclass(frozen=True)
class Prediction:
    """Medians of a design and of each of its layers."""

    design: Values
    layers: tuple[Values, ...]


def predict(layers: Sequence[LayerFacts], coefficients: Coefficients) -> Prediction:
    """Return the median estimate of a design that consists of `layers`, in order."""
    each = tuple(predict_layer(facts, coefficients) for facts in layers)
    return Prediction(predict_design(layers, each, coefficients), each)


def predict_layer(facts: LayerFacts, coefficients: Coefficients) -> Values:
    """Return the median estimate of one layer."""
    latency, interval = cycles_of(facts, coefficients.delays)
    found = {
        Metric.LATENCY: latency,
        Metric.INTERVAL: interval,
        Metric.DSP: dsp_of(facts),
        Metric.BRAM18: bram_of(facts),
    }
    for metric, terms in ((Metric.LUT, lut_terms(facts)), (Metric.FF, ff_terms(facts, coefficients.delays))):
        weights = coefficients.layers[metric].get(regime_of(facts), {})
        found[metric] = weighted(terms, weights) * tool_factor(facts, coefficients.tools[metric])
    return found


def predict_design(layers: Sequence[LayerFacts], each: Sequence[Values], coefficients: Coefficients) -> Values:
    """Return the median estimate of the whole design from those of its layers."""
    timings = [
        Timing(f, v[Metric.LATENCY], v[Metric.INTERVAL], depth_of(f, coefficients.delays))
        for f, v in zip(layers, each, strict=True)
    ]
    between = fifo_terms(layers)
    found = {metric: sum(values[metric] for values in each) for metric in (Metric.LUT, Metric.FF, Metric.DSP)}
    for metric in FITTED:
        found[metric] += weighted(between, coefficients.between[metric])
    found[Metric.BRAM18] = sum(values[Metric.BRAM18] for values in each) + fifo_blocks(layers)
    found[Metric.INTERVAL] = interval_of(timings)
    latency = weighted(latency_terms(timings), coefficients.between[schedule_of(layers)])
    found[Metric.LATENCY] = max(latency, found[Metric.INTERVAL] - 1, 1.0)
    return {metric: found[metric] for metric in ESTIMATED}


def tool_factor(facts: LayerFacts, factors: dict[str, float]) -> float:
    """Return what a tool makes of an unrolled matrix product, as a factor; 1 for all else."""
    if facts.kind in (Kind.DENSE, Kind.CONV) and facts.unrolled:
        return factors.get(str(facts.target.tool), 1.0)
    return 1.0


def schedule_of(layers: Sequence[LayerFacts]) -> str:
    """Return how the layers of a design are scheduled: as one pipeline or as a dataflow region."""
    return "dataflow latency" if layers and layers[0].target.dataflow else "pipeline latency"


def group_of(layers: Sequence[LayerFacts]) -> str:
    """Return the group of designs whose errors a design shares.

    Vivado HLS puts the many small FIFOs of a parallel dataflow now in LUTs, now in block RAM: hence by tool there.
    """
    if any(facts.kind is Kind.RECURRENT for facts in layers):
        return "recurrent"
    if not layers or not layers[0].target.dataflow:
        return "pipeline"
    return "stream" if layers[0].target.streams else f"parallel dataflow, {layers[0].target.tool}"


def synthesized(metric: Metric, median: float, group: str, known: CostModel, *, widen: bool = False) -> MedianRange:
    """Return the interval of a resource after logic synthesis, from the median estimate of HLS csynth.

    The median is csynth's times the usual ratio; the errors of both, being independent, add as squares.
    """
    ratio, spread = known.synthesis[metric], known.spread("design", metric, group)
    base = max(0.0, (median + OFFSETS[metric]) * exp(ratio["median"]) - OFFSETS[metric])
    low, high = ratio["low"] - ratio["median"], ratio["high"] - ratio["median"]
    return ErrorSpread(-hypot(spread.low, low), hypot(spread.high, high)).around(metric, base, widen=widen)


def weighted(terms: Terms, coefficients: dict[str, float]) -> float:
    """Return the sum of the terms times their coefficients; a term without one counts nothing."""
    return sum(coefficients.get(name, 0.0) * value for name, value in terms.items())

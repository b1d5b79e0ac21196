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
from math import exp
from typing import Any

from fpgaml.errors import FormatError
from fpgaml.estimate.compose import Timing, fifo_blocks, fifo_terms, interval_of, latency_terms
from fpgaml.estimate.facts import LayerFacts
from fpgaml.estimate.formulas import Delays, Terms, bram_of, cycles_of, depth_of, dsp_of, ff_terms, lut_terms, regime_of
from fpgaml.measurement import ESTIMATED, Metric

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
    found = {Metric.LATENCY: latency, Metric.INTERVAL: interval, Metric.DSP: dsp_of(facts), Metric.BRAM18: bram_of(facts)}
    for metric, terms in ((Metric.LUT, lut_terms(facts)), (Metric.FF, ff_terms(facts, coefficients.delays))):
        weights = coefficients.layers[metric].get(regime_of(facts), {})
        found[metric] = weighted(terms, weights) * coefficients.tools[metric].get(tool_group(facts), 1.0)
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
    flow = "dataflow latency" if layers and layers[0].target.dataflow else "pipeline latency"
    found[Metric.LATENCY] = max(
        weighted(latency_terms(timings), coefficients.between[flow]), found[Metric.INTERVAL] - 1, 1.0
    )
    return {metric: found[metric] for metric in ESTIMATED}


def tool_group(facts: LayerFacts) -> str:
    """Return the group whose common factor a layer shares: one for each tool."""
    return str(facts.target.tool)


def weighted(terms: Terms, coefficients: dict[str, float]) -> float:
    """Return the sum of the terms times their coefficients; a term without one counts nothing."""
    return sum(coefficients.get(name, 0.0) * value for name, value in terms.items())

"""Estimate a network before synthesis: ``estimate(network, design, part)``.

    >>> found = estimate(network, Design(Backend.VITIS, "xc7z020clg400-1", 10.0), find_part("xc7z020clg400-1"))
    >>> str(found.csynth[Metric.LUT]), found.latency_us
    ('~... LUT (... to ...)', MedianRange(median=..., low=..., high=...))

Two stages are estimated and never mixed: what HLS csynth will report, and what logic synthesis will make of it (about
half the LUTs). Each number is a Measurement with an 80 % range from designs that the fit had not seen. A design outside
the range of the data still gets numbers, flagged `extrapolated` and with a wider range.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from math import floor

from fpgaml.estimate.adapter import facts_of
from fpgaml.estimate.facts import Kind, LayerFacts
from fpgaml.estimate.formulas import regime_of
from fpgaml.estimate.model import CostModel, Values, group_of, model, predict, synthesized
from fpgaml.estimate.residuals import probability_below
from fpgaml.estimate.walls import Wall, walls
from fpgaml.ir.network import Network, weights_of
from fpgaml.ir.shown import Shown, Summary
from fpgaml.target.boards import Part
from fpgaml.target.design import Design, check_design
from fpgaml.target.measurement import ESTIMATED, RESOURCES, Measurement, MedianRange, Metric, Source

Measurements = Mapping[Metric, Measurement]


class EstimateStage(StrEnum):
    """Whose figures are estimated."""

    CSYNTH = "HLS csynth"
    SYNTHESIS = "after logic synthesis"


@dataclass(frozen=True)
class LayerEstimate:
    """The estimate of one layer (csynth); resources of the FIFOs between layers are the design's."""

    name: str
    kind: Kind
    reuse_factor: int
    values: Measurements


@dataclass(frozen=True, repr=False)
class Estimate(Shown):
    """The estimate of a design: `csynth` has cycles and resources, `synthesis` resources."""

    network: str
    design: Design
    part: Part
    csynth: Measurements
    synthesis: Measurements
    layers: tuple[LayerEstimate, ...]
    walls: tuple[Wall, ...]
    extrapolated: bool

    @property
    def summary(self) -> Summary:
        """Each figure with its 80 % range, for HLS csynth and after logic synthesis."""
        stages = [self.at(stage) for stage in EstimateStage]
        rows = [
            (str(what), *(_ranged(one[what].value) if what in one else "-" for one in stages)) for what in self.csynth
        ]
        line = f"of {self.network} on {self.design.part}: latency ~{self.latency_us.median:.3g} us by estimate"
        return Summary(line, ("median (80 % range)", *map(str, EstimateStage)), rows)

    @property
    def latency_us(self) -> MedianRange:
        """Latency in microseconds at the design's clock."""
        return self.csynth[Metric.LATENCY].value.scaled(self.design.clock_ns / 1000)

    @property
    def interval_us(self) -> MedianRange:
        """Time between two inputs in microseconds at the design's clock."""
        return self.csynth[Metric.INTERVAL].value.scaled(self.design.clock_ns / 1000)

    def at(self, stage: EstimateStage) -> Measurements:
        """Return the measurements of a stage."""
        return self.csynth if stage is EstimateStage.CSYNTH else self.synthesis


def _ranged(value: MedianRange) -> str:
    return f"~{value.median:,.0f} ({value.low:,.0f} to {value.high:,.0f})"


class FitVerdict(StrEnum):
    """Whether a design goes into a part."""

    FITS = "fits"
    TIGHT = "tight"
    TOO_LARGE = "does not fit"


LIKELY, UNLIKELY = 0.8, 0.5  # probabilities of fitting from which a design fits, and below which it does not


@dataclass(frozen=True)
class Use:
    """How much of one resource of a part a design takes."""

    metric: Metric
    used: MedianRange
    available: int
    probability: float

    @property
    def share(self) -> MedianRange:
        """Used over available; of a part that has none, 0 or very large."""
        return self.used.scaled(1 / self.available) if self.available else self.used.scaled(1e6)


@dataclass(frozen=True)
class Utilisation:
    """Verdict on a part: use of each resource, the probability that all fit, and the resource that limits."""

    stage: EstimateStage
    uses: tuple[Use, ...]

    @property
    def probability(self) -> float:
        """Probability that the design fits: that of the resource that limits, since their errors go together."""
        return min(use.probability for use in self.uses)

    @property
    def limiting(self) -> Use:
        """The resource least likely to fit; of equally likely ones that with the largest share."""
        return min(self.uses, key=lambda use: (round(use.probability, 6), -use.share.median))

    @property
    def verdict(self) -> FitVerdict:
        """Fits, tight, or does not fit."""
        if self.probability >= LIKELY:
            return FitVerdict.FITS
        return FitVerdict.TIGHT if self.probability >= UNLIKELY else FitVerdict.TOO_LARGE


def estimate(network: Network, design: Design, part: Part, known: CostModel | None = None) -> Estimate:
    """Return the estimate of `network` built as `design` says on `part`.

    Raises: ConfigError if a layer cannot take its strategy or reuse factor; UnsupportedLayer.
    """
    check_design(network, design)
    facts = facts_of(network, design, part)
    return _from_facts(network.name, design, part, facts, known or model())


def utilisation(
    found: Estimate, stage: EstimateStage = EstimateStage.SYNTHESIS, part: Part | None = None
) -> Utilisation:
    """Return how much of a part (the design's own by default) an estimate takes at a stage.

    What goes into a part is decided after logic synthesis; the figures of csynth are about twice the LUTs.
    """
    part = part or found.part
    available = {Metric.LUT: part.lut, Metric.FF: part.ff, Metric.DSP: part.dsp, Metric.BRAM18: part.bram18}
    values = {metric: found.at(stage)[metric].value for metric in RESOURCES}
    return Utilisation(stage, tuple(_use(metric, values[metric], available[metric]) for metric in RESOURCES))


def _use(metric: Metric, used: MedianRange, available: int) -> Use:
    return Use(metric, used, available, probability_below(used, available))


def _from_facts(name: str, design: Design, part: Part, facts: Sequence[LayerFacts], known: CostModel) -> Estimate:
    prediction = predict(facts, known.coefficients)
    outside = [known.is_outside(one) for one in facts]
    group, widen = group_of(facts), any(outside)
    csynth = {
        metric: _measured(name, metric, _around(known, "design", metric, group, prediction.design, widen=widen), widen)
        for metric in ESTIMATED
    }
    synthesis = {
        metric: _measured(
            name,
            metric,
            synthesized(metric, prediction.design[metric], group, known, widen=widen),
            widen,
            EstimateStage.SYNTHESIS,
        )
        for metric in RESOURCES
    }
    layers = tuple(
        _layer(one, values, known, widen=flag)
        for one, values, flag in zip(facts, prediction.layers, outside, strict=True)
    )
    return Estimate(name, design, part, csynth, synthesis, layers, walls(facts), widen)


def _layer(facts: LayerFacts, values: Values, known: CostModel, *, widen: bool) -> LayerEstimate:
    found = {
        metric: _measured(
            facts.name, metric, _around(known, "layer", metric, regime_of(facts), values, widen=widen), widen
        )
        for metric in ESTIMATED
    }
    return LayerEstimate(facts.name, facts.kind, facts.reuse, found)


def _around(known: CostModel, level: str, metric: Metric, group: str, values: Values, *, widen: bool) -> MedianRange:
    found = known.spread(level, metric, group).around(metric, values[metric], widen=widen)
    if metric is Metric.INTERVAL and level == "design":
        return MedianRange(max(1.0, found.median), max(1.0, found.low), max(1.0, found.high))
    return found


def _measured(
    subject: str, metric: Metric, value: MedianRange, extrapolated: bool, stage: EstimateStage = EstimateStage.CSYNTH
) -> Measurement:
    return Measurement(subject, metric, value, Source.FORMULA, f"estimate of {stage}", extrapolated)


# -- beside the float model ------------------------------------------------------------------------------------

HEAVY_SHARE_16 = 0.8  # share of trained 16-bit weights with three signed digits or more, in the calibration data


@dataclass(frozen=True)
class FloatComparison:
    """The quantized design beside the same architecture in ``ap_fixed<16,6>``; memory of the weights in bits."""

    quantized: Estimate
    float_model: Estimate
    weight_bits: int
    float32_bits: int


def compare_with_float(network: Network, design: Design, part: Part, known: CostModel | None = None) -> FloatComparison:
    """Return `network` beside its architecture with every type ``ap_fixed<16,6>`` and no weight pruned.

    hls4ml's default type stands for the float model, as in hls4ml's own tutorials; its weights are not known here, so
    they are taken as dense with the usual share of multipliers. float32 weights are counted as memory only.
    """
    known = known or model()
    facts = [_as_sixteen(one) for one in facts_of(network, design, part)]
    other = _from_facts(f"{network.name} in ap_fixed<16,6>", design, part, facts, known)
    arrays = [w for layer in network for w in weights_of(layer).values()]
    return FloatComparison(
        quantized=estimate(network, design, part, known),
        float_model=other,
        weight_bits=sum(w.codes.size * w.type.width for w in arrays),
        float32_bits=sum(w.codes.size * 32 for w in arrays),
    )


def _as_sixteen(facts: LayerFacts) -> LayerFacts:
    wide = replace(facts, in_bits=16, weight_bits=16, accum_bits=16, out_bits=16)
    if not facts.nonzero:
        return wide
    heavy = float(floor(HEAVY_SHARE_16 * facts.weights)) if facts.kind is not Kind.AFFINE else float(facts.channels)
    light = 0.6 * (facts.weights - heavy) if facts.kind is not Kind.AFFINE else 0.0
    return replace(wide, nonzero=float(facts.weights), light=light, heavy=heavy, shared=heavy, guessed=True)

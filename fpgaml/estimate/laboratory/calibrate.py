"""Refit the estimator: ``python -m fpgaml.estimate.calibrate`` (``make calibrate``).

Reads data/calibration/designs.csv and layers.csv, fits (`fit_all`), estimates every repository with coefficients that
were fitted without it (`cross_validate`), takes the ranges from those errors, and writes coefficients.json: the
coefficients, the ranges, the limits of the data, the error table and the digest of the data. A test fails if the file
is not what the data give. Only designs with an unchanged library and matching reports count.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from math import exp, log
from pathlib import Path
from typing import Any

import numpy as np

from fpgaml.estimate import compose, formulas
from fpgaml.estimate.compose import Timing, fifo_terms, latency_terms
from fpgaml.estimate.facts import Kind, LayerFacts
from fpgaml.estimate.formulas import DELAYS, cycles_of, depth_of, ff_terms, lut_terms, regime_of
from fpgaml.estimate.laboratory.groundtruth import KnownDesign, KnownLayer, read
from fpgaml.estimate.laboratory.regression import fit
from fpgaml.estimate.model import FITTED, Coefficients, group_of, predict, predict_layer, schedule_of
from fpgaml.estimate.residuals import OFFSETS, ErrorSpread, Residual, repository_weights, table, weighted_quantile
from fpgaml.target.measurement import ESTIMATED, RESOURCES, Metric

FOLDER = Path(__file__).parents[2] / "data" / "calibration"
FILES = ("designs.csv", "layers.csv")
OUTPUT = "coefficients.json"
GUESSED = 0.1  # weight of a row whose weights are not known
FACTOR_PRIOR = 6.0  # a tool's factor is drawn to 1 as if so many repositories said so
LIMITS = ("weights", "reuse", "in_bits", "weight_bits", "accum_bits", "window", "channels", "lanes")
TERMS = {Metric.LUT: lut_terms, Metric.FF: ff_terms}
Named = Sequence[tuple[str, KnownLayer]]


def digest(folder: Path = FOLDER) -> str:
    """Return the SHA-256 of the calibration data, line ends aside."""
    sha = hashlib.sha256()
    for name in FILES:
        sha.update((folder / name).read_bytes().replace(b"\r\n", b"\n"))
    return sha.hexdigest()


def usable(designs: Iterable[KnownDesign]) -> list[KnownDesign]:
    """Return the designs that count: trusted, and with layers to estimate from."""
    return [design for design in designs if design.trusted and design.layers]


# -- fitting ---------------------------------------------------------------------------------------------------


def fit_all(designs: Sequence[KnownDesign]) -> Coefficients:
    """Return the coefficients that `designs` give."""
    layers = [(design.repository, layer) for design in designs for layer in design.layers]
    found = Coefficients(DELAYS, {str(m): _fit_layers(layers, m) for m in FITTED}, {str(m): {} for m in FITTED}, {})
    for metric in FITTED:
        found.tools[metric].update(_fit_tools(layers, metric, found))
        found.between[metric] = _fit_between(designs, metric)
    for schedule in ("pipeline latency", "dataflow latency"):
        found.between[schedule] = _fit_latency(designs, schedule)
    return found


def _fit_layers(layers: Named, metric: Metric) -> dict[str, dict[str, float]]:
    groups: dict[str, list[tuple[str, KnownLayer]]] = defaultdict(list)
    for repository, layer in layers:
        if layer.truth.get(metric, 0.0) >= 1:
            groups[regime_of(layer.facts)].append((repository, layer))
    return {regime: _fit_group(groups[regime], metric, regime) for regime in formulas.PRIORS[metric]}


def _fit_group(rows: Named, metric: Metric, regime: str) -> dict[str, float]:
    weights = repository_weights([repository for repository, _ in rows])
    samples = [
        (TERMS[metric](layer.facts), layer.truth[metric], weight * (GUESSED if _is_guess(layer.facts) else 1.0))
        for (_, layer), weight in zip(rows, weights, strict=True)
    ]
    return fit(samples, formulas.PRIORS[metric][regime])


def _is_guess(facts: LayerFacts) -> bool:
    return facts.guessed and facts.weights > 0


def _fit_tools(layers: Named, metric: Metric, found: Coefficients) -> dict[str, float]:
    """Return a factor for each tool: the median over repositories of truth over estimate, drawn towards 1."""
    errors: dict[str, dict[str, list[tuple[float, float]]]] = defaultdict(lambda: defaultdict(list))
    for repository, layer in layers:
        facts, truth = layer.facts, layer.truth.get(metric, 0.0)
        if truth <= 100 or facts.guessed or facts.kind not in (Kind.DENSE, Kind.CONV) or not facts.unrolled:
            continue
        errors[facts.target.tool][repository].append((log(truth / predict_layer(facts, found)[metric]), truth**0.5))
    factors = {}
    for tool, repositories in errors.items():
        means = [
            float(np.average([e for e, _ in rows], weights=[w for _, w in rows])) for rows in repositories.values()
        ]
        factors[str(tool)] = round(exp(float(np.median(means)) * len(means) / (len(means) + FACTOR_PRIOR)), 5)
    return factors


def _fit_between(designs: Sequence[KnownDesign], metric: Metric) -> dict[str, float]:
    """Fit what a design has beyond its layers, where all its layers are known."""
    rows = []
    for design in designs:
        if metric not in design.truth or not all(metric in layer.truth for layer in design.layers):
            continue
        rest = design.truth[metric] - sum(layer.truth[metric] for layer in design.layers)
        if rest > 0:
            share = min(1.0, 10 * rest / design.truth[metric])
            rows.append((design.repository, fifo_terms(_facts(design)), rest, share))
    weights = repository_weights([row[0] for row in rows])
    samples = [(terms, rest, share * w) for (_, terms, rest, share), w in zip(rows, weights, strict=True)]
    return fit(samples, compose.PRIORS[metric])


def _fit_latency(designs: Sequence[KnownDesign], schedule: str) -> dict[str, float]:
    rows = []
    for design in designs:
        facts = _facts(design)
        truth = design.truth.get(Metric.LATENCY, 0.0)
        if truth <= 0 or schedule_of(facts) != schedule or any(f.kind is Kind.RECURRENT for f in facts):
            continue
        timings = [Timing(f, *cycles_of(f), depth_of(f, DELAYS)) for f in facts]
        rows.append((design.repository, latency_terms(timings), truth))
    weights = repository_weights([row[0] for row in rows])
    samples = [(terms, truth, weight) for (_, terms, truth), weight in zip(rows, weights, strict=True)]
    return fit(samples, compose.PRIORS[schedule], {"slowest": 0.02, "layers": 0.02})


def _facts(design: KnownDesign) -> list[LayerFacts]:
    return [layer.facts for layer in design.layers]


# -- errors ----------------------------------------------------------------------------------------------------


def residuals(designs: Sequence[KnownDesign], found: Coefficients) -> tuple[list[Residual], list[Residual]]:
    """Return the errors of `found` on `designs`: of whole designs and of their layers."""
    whole, parts = [], []
    for design in designs:
        facts = _facts(design)
        prediction = predict(facts, found)
        whole += _compare(design.name, design.repository, group_of(facts), prediction.design, design.truth)
        for layer, values in zip(design.layers, prediction.layers, strict=True):
            name = f"{design.name}/{layer.facts.name}"
            parts += _compare(name, design.repository, regime_of(layer.facts), values, layer.truth)
    return whole, parts


def _compare(
    name: str, repository: str, group: str, values: dict[Metric, float], truth: dict[Metric, float]
) -> list[Residual]:
    return [
        Residual(name, repository, group, metric, values[metric], truth[metric])
        for metric in ESTIMATED
        if metric in truth
    ]


def cross_validate(designs: Sequence[KnownDesign]) -> tuple[list[Residual], list[Residual]]:
    """Return the errors on each repository of a fit to all others: of designs and of layers."""
    whole: list[Residual] = []
    parts: list[Residual] = []
    for repository in sorted({design.repository for design in designs}):
        found = fit_all([d for d in designs if d.repository != repository])
        some, others = residuals([d for d in designs if d.repository == repository], found)
        whole += some
        parts += others
    return whole, parts


def spreads(rows: Sequence[Residual]) -> dict[str, dict[str, ErrorSpread]]:
    """Return the spread of each metric in each group, and in ``all``."""
    found: dict[str, dict[str, ErrorSpread]] = {}
    for metric in ESTIMATED:
        same = [r for r in rows if r.metric is metric]
        groups = sorted({r.group for r in same})
        found[metric] = {g: ErrorSpread.of([r for r in same if r.group == g], same) for g in groups}
        found[metric]["all"] = ErrorSpread.of(same, same)
    return found


def with_intervals(rows: Sequence[Residual]) -> list[Residual]:
    """Return `rows` with the range each would have been given from the errors of the other repositories alone."""
    found = []
    for repository in sorted({r.repository for r in rows}):
        known = spreads([r for r in rows if r.repository != repository])
        for r in (r for r in rows if r.repository == repository):
            spread = known[r.metric].get(r.group, known[r.metric]["all"])
            interval = spread.around(r.metric, r.estimate)
            found.append(Residual(r.name, r.repository, r.group, r.metric, r.estimate, r.truth, interval))
    return found


def synthesis_ratios(designs: Sequence[KnownDesign]) -> dict[str, dict[str, float]]:
    """Return what logic synthesis makes of what csynth reports, for each resource: quantiles of the logarithm.

    Both figures are reports of one design, so it need not match its firmware: more designs count than for the fit.
    """
    found = {}
    for metric in RESOURCES:
        rows = [
            (d.repository, log((d.synthesis[metric] + OFFSETS[metric]) / (d.truth[metric] + OFFSETS[metric])))
            for d in designs
            if d.stock and metric in d.synthesis and metric in d.truth
        ]
        weights = repository_weights([repository for repository, _ in rows])
        low, median, high = (weighted_quantile([e for _, e in rows], weights, share) for share in (0.1, 0.5, 0.9))
        found[str(metric)] = {"designs": len(rows), "median": median, "low": low, "high": high}
    return found


def limits(designs: Sequence[KnownDesign]) -> dict[str, Any]:
    """Return the range of the facts in each regime, and the tools, speeds and clocks seen."""
    ranges: dict[str, dict[str, list[float]]] = defaultdict(dict)
    for design in designs:
        for facts in _facts(design):
            known = ranges[regime_of(facts)]
            for name in LIMITS:
                value = float(getattr(facts, name))
                low, high = known.get(name, [value, value])
                known[name] = [min(low, value), max(high, value)]
    clocks = [design.target.clock_ns for design in designs]
    seen = sorted({f"{design.target.tool}, {design.target.speed}" for design in designs})
    return {"regimes": dict(ranges), "clock_ns": [min(clocks), max(clocks)], "seen": seen}


# -- the file --------------------------------------------------------------------------------------------------


def calibrate(folder: Path = FOLDER) -> dict[str, Any]:
    """Return the content of coefficients.json for the data in `folder`."""
    everything = read(folder)
    designs = usable(everything)
    whole, parts = (with_intervals(rows) for rows in cross_validate(designs))
    found = fit_all(designs)
    return {
        "about": "written by python -m fpgaml.estimate.calibrate; do not edit",
        "data": digest(folder),
        "designs": len(designs),
        "repositories": len({design.repository for design in designs}),
        "delays": asdict(found.delays),
        "layers": found.layers,
        "tools": found.tools,
        "between": found.between,
        "spreads": {"design": _plain(spreads(whole)), "layer": _plain(spreads(parts))},
        "synthesis": _rounded(synthesis_ratios(everything)),
        "limits": limits(designs),
        "errors": {"design": errors(whole), "layer": errors(parts)},
    }


def errors(rows: Sequence[Residual]) -> dict[str, dict[str, float | int | None]]:
    """Return the cross-validated error table: metric -> statistic -> value, to three digits."""
    return {
        str(s.metric): {
            "count": s.count,
            "median": round(s.median, 3),
            "p90": round(s.p90, 3),
            "symmetric": round(s.symmetric, 3),
            "bias": round(s.bias, 3),
            "close": round(s.close, 3),
            "coverage": None if s.coverage is None else round(s.coverage, 3),
        }
        for s in table(rows, ESTIMATED)
    }


def _plain(found: dict[str, dict[str, ErrorSpread]]) -> dict[str, dict[str, list[float]]]:
    return {m: {g: [round(s.low, 4), round(s.high, 4)] for g, s in groups.items()} for m, groups in found.items()}


def _rounded(found: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    return {metric: {name: round(value, 4) for name, value in row.items()} for metric, row in found.items()}


def main() -> int:
    """Refit and write coefficients.json."""
    content = calibrate()
    (FOLDER / OUTPUT).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    for metric, row in content["errors"]["design"].items():
        line = "  ".join(f"{name} {value}" for name, value in row.items())
        sys.stdout.write(f"{metric:20s} {line}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Errors of estimates against reports, and the ranges and tables that follow from them.

An error is the logarithm of truth over estimate, with a small offset so that zeros count (`error_of`). Ranges are
quantiles of errors of designs that the fit had not seen, each repository weighing as the root of its rows; a group
with few repositories borrows from all (`Spread.of`). `table` makes the statistics that calibrate and validate print.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, erf, exp, floor, log

import numpy as np

from fpgaml.target.measurement import MedianRange, Metric

OFFSETS = {
    Metric.LATENCY: 0.5,
    Metric.INTERVAL: 0.5,
    Metric.LUT: 20.0,
    Metric.FF: 20.0,
    Metric.DSP: 1.0,
    Metric.BRAM18: 1.0,
}
BORROWED = 3.0  # a group's own repositories are joined by the weight of so many of the others
TAIL = 0.07  # quantile of the known errors that ends an 80 % range for a new repository: few repositories, so below 0.1
WIDENING = 1.6  # factor on the range, in the logarithm, outside the range of the data
Z80 = 1.2816  # standard normal quantile of the ends of an 80 % range


@dataclass(frozen=True)
class Residual:
    """One estimate and its truth. `group`: the regime of a layer, or how a design is scheduled."""

    name: str
    repository: str
    group: str
    metric: Metric
    estimate: float
    truth: float
    interval: MedianRange | None = None

    @property
    def error(self) -> float:
        """Logarithm of truth over estimate."""
        return error_of(self.metric, self.estimate, self.truth)

    @property
    def relative(self) -> float:
        """Absolute error as a share of the truth; of 1 where the truth is below it."""
        return abs(self.estimate - self.truth) / max(self.truth, 1.0)


def error_of(metric: Metric, estimate: float, truth: float) -> float:
    """Return log((truth + offset) / (estimate + offset))."""
    return log((truth + OFFSETS[metric]) / (estimate + OFFSETS[metric]))


@dataclass(frozen=True)
class ErrorSpread:
    """The ends of the 80 % range of the errors of one metric in one group, as logarithms."""

    low: float
    high: float

    @classmethod
    def of(cls, own: Sequence[Residual], all_of_metric: Sequence[Residual]) -> ErrorSpread:
        """Return the quantiles of `own` errors, with a little weight of all errors of the metric."""
        if not all_of_metric:
            return cls(-1.0, 1.0)
        weights = repository_weights([r.repository for r in own])
        others = repository_weights([r.repository for r in all_of_metric])
        share = BORROWED / sum(others)
        values = [r.error for r in own] + [r.error for r in all_of_metric]
        both = weights + [w * share for w in others]
        return cls(min(0.0, weighted_quantile(values, both, TAIL)), max(0.0, weighted_quantile(values, both, 1 - TAIL)))

    def around(self, metric: Metric, median: float, *, widen: bool = False) -> MedianRange:
        """Return the interval about an estimate, rounded outwards to whole units."""
        offset, factor = OFFSETS[metric], WIDENING if widen else 1.0
        low = max(0.0, (median + offset) * exp(self.low * factor) - offset)
        high = max(0.0, (median + offset) * exp(self.high * factor) - offset)
        middle = float(round(median))
        return MedianRange(middle, min(middle, floor(low + 1e-9)), max(middle, ceil(high - 1e-9)))


@dataclass(frozen=True)
class ErrorStatistics:
    """How well one metric is estimated; errors are shares of the truth, `coverage` is of the 80 % range.

    symmetric: median of exp(|log error|) - 1. bias: exp of the median log of estimate over truth, minus 1.
    close: share within 10 % (cycles), or within 2 or 25 % (BRAM18), or within 25 % (the rest).
    """

    metric: Metric
    count: int
    median: float
    p90: float
    symmetric: float
    bias: float
    close: float
    coverage: float | None
    worst: tuple[Residual, ...]


def statistics(residuals: Sequence[Residual], metric: Metric) -> ErrorStatistics | None:
    """Return the statistics of `metric` over `residuals`; None if there is none."""
    chosen = [r for r in residuals if r.metric is metric]
    if not chosen:
        return None
    relative = np.array([r.relative for r in chosen])
    errors = np.array([r.error for r in chosen])
    covered = [r.truth in r.interval for r in chosen if r.interval is not None]
    return ErrorStatistics(
        metric=metric,
        count=len(chosen),
        median=float(np.median(relative)),
        p90=float(np.quantile(relative, 0.9)),
        symmetric=float(np.exp(np.median(np.abs(errors))) - 1),
        bias=float(np.exp(np.median(-errors)) - 1),
        close=float(np.mean([is_close(r) for r in chosen])),
        coverage=float(np.mean(covered)) if covered else None,
        worst=tuple(sorted(chosen, key=lambda r: -abs(r.error))[:5]),
    )


def is_close(residual: Residual) -> bool:
    """Return whether an estimate is as near as the target of its metric asks."""
    match residual.metric:
        case Metric.LATENCY | Metric.INTERVAL:
            return residual.relative <= 0.10
        case Metric.BRAM18:
            return abs(residual.estimate - residual.truth) <= max(2.0, 0.25 * residual.truth)
        case _:
            return residual.relative <= 0.25


def table(residuals: Iterable[Residual], metrics: Sequence[Metric]) -> list[ErrorStatistics]:
    """Return the statistics of each metric that has residuals."""
    rows = list(residuals)
    return [found for metric in metrics if (found := statistics(rows, metric)) is not None]


def probability_below(interval: MedianRange, limit: float) -> float:
    """Return the probability that a value is at most `limit`, from its median and 80 % range.

    Each side of the median is half a normal distribution of the logarithm of value + 1.
    """
    middle, place = log(interval.median + 1), log(limit + 1)
    side = log(interval.high + 1) - middle if place >= middle else middle - log(interval.low + 1)
    if side <= 0:
        return 1.0 if limit >= interval.median else 0.0
    return 0.5 * (1 + erf((place - middle) / (side / Z80) / 2**0.5))


def weighted_quantile(values: Sequence[float], weights: Sequence[float], share: float) -> float:
    """Return the value below which `share` of the weight lies (midpoint rule, linear between)."""
    order = np.argsort(values, kind="stable")  # else the order of equal values depends on the processor
    sorted_values = np.asarray(values, dtype=np.float64)[order]
    sorted_weights = np.asarray(weights, dtype=np.float64)[order]
    place = (np.cumsum(sorted_weights) - sorted_weights / 2) / sorted_weights.sum()
    return float(np.interp(share, place, sorted_values))


def repository_weights(names: Sequence[str]) -> list[float]:
    """Return a weight for each row so that n rows of one repository count as the root of n."""
    count = Counter(names)
    return [count[name] ** -0.5 for name in names]

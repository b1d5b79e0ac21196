"""Numbers with what they are: no bare number leaves the package.

    >>> lut = Measurement("mlp", Metric.LUT, MedianRange(5200, 4100, 7300), Source.FORMULA, "csynth estimate")
    >>> str(lut)
    '~5,200 LUT (4,100 to 7,300)'

A value is an `MedianRange`: the median and an 80 % range where it is estimated, a point where it was measured. `source`
says how it came to be, and reports never mix two sources in one column. What was not measured has no record.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from fpgaml.errors import DataError


class Metric(StrEnum):
    """What is measured; `unit` gives its unit."""

    LATENCY = "latency"
    INTERVAL = "initiation interval"
    LUT = "LUT"
    FF = "FF"
    DSP = "DSP"
    BRAM18 = "BRAM18"
    URAM = "URAM"
    CLOCK = "clock"
    ACCURACY = "accuracy"
    MEMORY = "memory"

    @property
    def unit(self) -> str:
        """The unit, as written after a value."""
        return _UNITS[self]


_UNITS = {
    Metric.LATENCY: "cycles",
    Metric.INTERVAL: "cycles",
    Metric.LUT: "LUT",
    Metric.FF: "FF",
    Metric.DSP: "DSP",
    Metric.BRAM18: "BRAM18",
    Metric.URAM: "URAM",
    Metric.CLOCK: "ns",
    Metric.ACCURACY: "",
    Metric.MEMORY: "bits",
}

RESOURCES = (Metric.LUT, Metric.FF, Metric.DSP, Metric.BRAM18)
TIMES = (Metric.LATENCY, Metric.INTERVAL)
ESTIMATED = TIMES + RESOURCES


class Source(StrEnum):
    """Where a value comes from."""

    FORMULA = "formula"
    CSYNTH = "HLS csynth"
    IMPLEMENTATION = "logic synthesis"
    RTLSIM = "RTL simulation"


@dataclass(frozen=True)
class MedianRange:
    """A median with the ends of its 80 % range; a measured value has all three equal."""

    median: float
    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low <= self.median <= self.high:
            raise DataError(f"an interval must have low <= median <= high, not {self.low}, {self.median}, {self.high}")

    @classmethod
    def exactly(cls, value: float) -> MedianRange:
        """Return the interval that is one point."""
        return cls(value, value, value)

    @property
    def is_point(self) -> bool:
        """Whether low, median and high are the same."""
        return self.low == self.high

    def scaled(self, factor: float) -> MedianRange:
        """Return this interval times a factor of 0 or more."""
        return MedianRange(self.median * factor, self.low * factor, self.high * factor)

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    def __str__(self) -> str:
        if self.is_point:
            return _short(self.median)
        return f"~{_short(self.median)} ({_short(self.low)} to {_short(self.high)})"


@dataclass(frozen=True)
class Measurement:
    """One value of one metric of one subject (a layer, a design), with its source and the tool that said it.

    extrapolated: the estimate leaves the range of the data it was fitted to, and its range was widened.
    """

    subject: str
    metric: Metric
    value: MedianRange
    source: Source
    tool: str
    extrapolated: bool = False

    def __str__(self) -> str:
        sign = "~" if self.source is Source.FORMULA else ""
        text = f"{sign}{_short(self.value.median)} {self.metric.unit}".rstrip()
        if self.value.is_point:
            return text
        return f"{text} ({_short(self.value.low)} to {_short(self.value.high)})"


def _short(value: float) -> str:
    """Write a number as an integer from 100 on, and with three significant digits below."""
    return f"{value:,.0f}" if value >= 100 or value == round(value) else f"{value:.3g}"

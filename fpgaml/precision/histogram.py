"""How often each value of a tensor occurs, counted chunk by chunk in bounded memory.

    counter = CodeCounter()             integer codes: one exact count for every code
    counter.add(codes)                  as often as there are chunks
    counter.histogram(fraction)         Histogram

    counter = FloatCounter()            float32 values: one count for every sign, exponent and 7 bits of mantissa

A `Histogram` is all that a profile needs: extremes, mean, quantiles, zeros, distinct values, entropy, used bits and
what a cast to any type would do are functions of values and counts.

Codes are counted exactly while they span at most `MOST_BINS` values; a wider accumulator is counted in bins of
2**shift codes, and its `Histogram` says so (`exact` is False). Minimum and maximum are exact always.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fpgaml.errors import DataError
from fpgaml.ir.fixed import Array, Codes, Floats, Integers

MOST_BINS = 1 << 22  # 32 MB of counts: more than the used range of the accumulators of 8-bit networks
LEVELS = (0.001, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999)  # of the quantiles


@dataclass(frozen=True, eq=False)
class Histogram:
    """Values that occur, ascending, and how often. values, counts: (distinct values,)."""

    values: Floats
    counts: Codes
    minimum: float
    maximum: float
    exact: bool = True  # False: values are the middles of bins

    @property
    def total(self) -> int:
        """Number of values counted."""
        return int(self.counts.sum())


@dataclass(frozen=True)
class Statistics:
    """A tensor's values in a few numbers, in the unit of the values.

    quantiles: value at each of `LEVELS`. magnitudes: the same for |value| over the values that are not zero; empty
    if all are. octaves: (k, how many values have 2**k <= |value| < 2**(k+1)), ascending. distinct: None if the
    values were counted in bins. entropy_bits: information a value carries; of the bins if counted in bins.
    """

    count: int
    minimum: float
    maximum: float
    mean: float
    zeros: int
    distinct: int | None
    entropy_bits: float
    quantiles: tuple[float, ...]
    magnitudes: tuple[float, ...]
    octaves: tuple[tuple[int, int], ...]

    @property
    def constant(self) -> bool:
        """Whether there is only one value."""
        return self.minimum == self.maximum

    @property
    def zero_share(self) -> float:
        """Share of the values that are zero."""
        return self.zeros / self.count


def summarize(histogram: Histogram) -> Statistics:
    """Return the statistics of a histogram. Raises: DataError if nothing was counted."""
    values, counts, total = histogram.values, histogram.counts, histogram.total
    if not total:
        raise DataError("a profile needs at least one value, not an empty tensor")
    share = counts / total
    sizes = np.abs(values)
    order = np.argsort(sizes, kind="stable")
    order = order[sizes[order] > 0]
    exponents = np.frexp(sizes[order])[1] - 1
    octaves = [(int(k), int(counts[order][exponents == k].sum())) for k in np.unique(exponents)]
    return Statistics(
        count=total,
        minimum=histogram.minimum,
        maximum=histogram.maximum,
        mean=float((values * share).sum()),
        zeros=int(counts[values == 0].sum()),
        distinct=len(values) if histogram.exact else None,
        entropy_bits=abs(float(-(share * np.log2(share)).sum())),
        quantiles=quantiles(values, counts),
        magnitudes=quantiles(sizes[order], counts[order]),
        octaves=tuple(octaves),
    )


def quantiles(values: Floats, counts: Codes, levels: tuple[float, ...] = LEVELS) -> tuple[float, ...]:
    """Return, for each level q, the smallest value that at least a share q of all values does not exceed."""
    if not len(values):
        return ()
    reached = np.cumsum(counts)
    places = np.searchsorted(reached, np.asarray(levels) * reached[-1] * (1 - 1e-12))
    return tuple(float(values[min(int(p), len(values) - 1)]) for p in places)


class CodeCounter:
    """Counts integer codes; they may come as integers in float32 or float64."""

    def __init__(self) -> None:
        self.low: int | None = None
        self.high: int | None = None
        self.shift = 0
        self._first = 0  # bin of the table's first entry
        self._table = np.zeros(0, np.int64)
        self._zeros = 0
        self._bits = 0  # of all codes ORed together, once they are counted in bins

    def add(self, codes: Integers) -> None:
        """Count an array of any shape."""
        if not codes.size:
            return
        low, high = int(codes.min()), int(codes.max())
        self.low = low if self.low is None else min(low, self.low)
        self.high = high if self.high is None else max(high, self.high)
        flat = codes.reshape(-1).astype(np.int64)
        while (self.high >> self.shift) - (self.low >> self.shift) >= MOST_BINS:
            self._coarsen()
        if self.shift:
            self._zeros += int(np.count_nonzero(flat == 0))
            self._bits |= int(np.bitwise_or.reduce(flat))
            flat >>= self.shift
        self._reach(self.low >> self.shift, self.high >> self.shift)
        first = low >> self.shift
        flat -= first
        found = np.bincount(flat)
        at = first - self._first
        self._table[at : at + len(found)] += found

    def codes(self) -> tuple[Codes, Codes]:
        """Return the codes that occur (of a bin, its middle), ascending, and how often."""
        bins = np.flatnonzero(self._table)
        middle = (1 << self.shift) >> 1
        return ((bins + self._first) << self.shift) + middle, self._table[bins]

    @property
    def spare_bits(self) -> int:
        """Low bits that are zero in every code; 0 if every code is zero."""
        bits = self._bits if self.shift else int(np.bitwise_or.reduce(self.codes()[0], initial=0))
        return (bits & -bits).bit_length() - 1 if bits else 0

    def histogram(self, fraction: int) -> Histogram:
        """Return the histogram of the values, which are ``code * 2**-fraction``."""
        if self.low is None or self.high is None:
            return Histogram(np.zeros(0), np.zeros(0, np.int64), 0.0, 0.0)
        codes, counts = self.codes()
        if self.shift:
            codes, counts = self._with_zero(codes, counts)
        low, high = (float(np.ldexp(float(code), -fraction)) for code in (self.low, self.high))
        return Histogram(np.ldexp(codes.astype(np.float64), -fraction), counts, low, high, self.shift == 0)

    def _with_zero(self, codes: Codes, counts: Codes) -> tuple[Codes, Codes]:
        """Take the zeros, which are counted exactly, out of the bin they fell into."""
        counts = counts.copy()
        counts[codes == (1 << self.shift) >> 1] -= self._zeros
        at = int(np.searchsorted(codes, 0))
        codes, counts = np.insert(codes, at, 0), np.insert(counts, at, self._zeros)
        return codes[counts > 0], counts[counts > 0]

    def _reach(self, first: int, last: int) -> None:
        """Make the table cover the bins from first to last, with room to grow."""
        end = self._first + len(self._table)
        if len(self._table) and self._first <= first and last < end:
            return
        room = 0 if not len(self._table) else (last - first) // 4
        start = first - room if not len(self._table) or first < self._first else self._first
        stop = last + 1 + room if not len(self._table) or last >= end else end
        table = np.zeros(stop - start, np.int64)
        if len(self._table):
            table[self._first - start : end - start] = self._table
        self._first, self._table = start, table

    def _coarsen(self) -> None:
        """Make bins of twice the width."""
        if self.shift == 0:
            codes, counts = self.codes()
            self._bits = int(np.bitwise_or.reduce(codes, initial=0))
            self._zeros = int(counts[codes == 0].sum())
        if len(self._table):
            before, after = self._first % 2, (self._first + len(self._table)) % 2
            table = np.pad(self._table, (before, after))
            self._table = table.reshape(-1, 2).sum(axis=1)
            self._first = (self._first - before) // 2
        self.shift += 1


class FloatCounter:
    """Counts float32 values by their upper 16 bits: sign, exponent and 7 bits of mantissa, 0.8 % apart at most."""

    def __init__(self) -> None:
        self.low: float | None = None
        self.high: float | None = None
        self._table = np.zeros(1 << 16, np.int64)

    def add(self, values: Array, what: str = "values") -> None:
        """Count an array of any shape. Raises: DataError if one is NaN or infinite; `what` names them."""
        if not values.size:
            return
        flat = np.ascontiguousarray(values, np.float32).reshape(-1)
        low, high = float(flat.min()), float(flat.max())
        if not np.isfinite([low, high]).all():
            bad = int(np.count_nonzero(~np.isfinite(flat)))
            raise DataError(f"{what} must be finite; {bad} of {flat.size} are NaN or infinite")
        self.low = low if self.low is None else min(low, self.low)
        self.high = high if self.high is None else max(high, self.high)
        self._table += np.bincount((flat.view(np.uint32) >> 16).astype(np.int64), minlength=1 << 16)

    def histogram(self) -> Histogram:
        """Return the histogram; a value stands for those that share its upper 16 bits, zero for itself."""
        if self.low is None or self.high is None:
            return Histogram(np.zeros(0), np.zeros(0, np.int64), 0.0, 0.0)
        keys = np.flatnonzero(self._table)
        middle = np.where(keys & 0x7FFF, 0x8000, 0)  # of the lower half; +0 and -0 stay what they are
        values = ((keys << 16) + middle).astype(np.uint32).view(np.float32).astype(np.float64)
        values = np.clip(values, self.low, self.high)
        support, where = np.unique(values, return_inverse=True)
        counts = np.bincount(where, self._table[keys]).astype(np.int64)
        return Histogram(support, counts, self.low, self.high, exact=False)

from math import exp

import pytest

from fpgaml.estimate.residuals import ErrorSpread, Residual, is_close, probability_below, statistics
from fpgaml.target.measurement import MedianRange, Metric


def residual(estimate, truth, metric=Metric.LUT, interval=None, repository="a"):
    return Residual("d", repository, "g", metric, estimate, truth, interval)


def test_statistics():
    rows = [residual(100, 100, interval=MedianRange(100, 90, 110)), residual(150, 100), residual(50, 100)]
    found = statistics(rows, Metric.LUT)
    assert (found.count, found.median, found.close, found.coverage) == (3, 0.5, pytest.approx(1 / 3), 1.0)
    assert found.worst[0].estimate == 50  # a factor 2 too small is worse than one of 1.5 too large
    assert statistics(rows, Metric.FF) is None


@pytest.mark.parametrize(
    ("metric", "estimate", "truth", "close"),
    [
        (Metric.INTERVAL, 110, 100, True),
        (Metric.INTERVAL, 111, 100, False),
        (Metric.BRAM18, 3, 1, True),
        (Metric.BRAM18, 4, 1, False),
        (Metric.BRAM18, 125, 100, True),
    ],
)
def test_close(metric, estimate, truth, close):
    assert is_close(residual(estimate, truth, metric)) is close


def test_spread_around_rounds_outwards_and_widens():
    spread = ErrorSpread(-0.1, 0.1)
    narrow, wide = spread.around(Metric.LUT, 1000), spread.around(Metric.LUT, 1000, widen=True)
    assert narrow == MedianRange(1000, 902, 1108)  # 1020 * exp(-0.1) - 20 = 902.9, 1020 * exp(0.1) - 20 = 1107.3
    assert wide.low < narrow.low < narrow.high < wide.high
    assert ErrorSpread(0.0, 0.0).around(Metric.DSP, 0) == MedianRange(0, 0, 0)


def test_probability_below():
    interval = MedianRange(100, 50, 200)
    assert probability_below(interval, 100) == pytest.approx(0.5)
    assert probability_below(interval, 200) == pytest.approx(0.9, abs=1e-4)
    assert probability_below(interval, 50) == pytest.approx(0.1, abs=1e-4)
    assert probability_below(MedianRange.exactly(10), 10) == 1.0
    assert probability_below(MedianRange.exactly(10), 9) == 0.0


def test_error_counts_zeros():
    assert residual(0, 0, Metric.DSP).error == 0.0
    assert exp(residual(0, 1, Metric.DSP).error) == pytest.approx(2.0)

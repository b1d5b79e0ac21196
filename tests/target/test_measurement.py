import pytest

from fpgaml.errors import DataError
from fpgaml.target.measurement import ESTIMATED, Measurement, MedianRange, Metric, Source


def test_estimates_print_their_range_and_reports_do_not():
    estimate = Measurement("mlp", Metric.LUT, MedianRange(5200, 4100, 7300), Source.FORMULA, "estimate")
    report = Measurement("mlp", Metric.CLOCK, MedianRange.exactly(4.362), Source.CSYNTH, "Vitis HLS 2023.1")
    assert str(estimate) == "~5,200 LUT (4,100 to 7,300)"
    assert str(report) == "4.36 ns"


def test_interval():
    interval = MedianRange(10, 5, 20)
    assert 5 in interval
    assert 21 not in interval
    assert interval.scaled(0.5) == MedianRange(5, 2.5, 10)
    assert str(interval) == "~10 (5 to 20)"
    assert MedianRange.exactly(3).is_point


def test_interval_out_of_order():
    with pytest.raises(DataError) as caught:
        MedianRange(1, 2, 3)
    assert str(caught.value) == "an interval must have low <= median <= high, not 2, 1, 3"


def test_every_metric_has_a_unit():
    assert {metric.unit for metric in ESTIMATED} == {"cycles", "LUT", "FF", "DSP", "BRAM18"}
    assert [metric.unit for metric in Metric if not metric.unit] == [""]

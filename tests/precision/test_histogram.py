import numpy as np
import pytest

from fpgaml.errors import DataError
from fpgaml.precision import histogram
from fpgaml.precision.histogram import CodeCounter, FloatCounter, quantiles, summarize


def counted(*chunks):
    counter = CodeCounter()
    for chunk in chunks:
        counter.add(np.asarray(chunk))
    return counter


def test_codes_are_counted_over_chunks_of_any_order_and_shape():
    counter = counted([[5, 5], [7, 5]], [], [-2], np.array([100.0, 5.0], np.float32))
    codes, counts = counter.codes()
    assert codes.tolist() == [-2, 5, 7, 100]
    assert counts.tolist() == [1, 4, 1, 1]
    assert (counter.low, counter.high) == (-2, 100)


def test_random_chunks_equal_numpy_unique():
    rng = np.random.default_rng(0)
    chunks = [rng.integers(-span, span, 50) for span in (3, 4000, 10, 90000)]
    codes, counts = counted(*chunks).codes()
    wanted = np.unique(np.concatenate(chunks), return_counts=True)
    np.testing.assert_array_equal(codes, wanted[0])
    np.testing.assert_array_equal(counts, wanted[1])


def test_statistics_of_eight_values_by_hand():
    # codes with 1 fraction bit: values 0 0 0.5 1 1 -2 3 4
    found = summarize(counted([0, 0, 1, 2, 2, -4, 6, 8]).histogram(1))
    assert (found.count, found.minimum, found.maximum, found.mean) == (8, -2.0, 4.0, 0.9375)
    assert (found.zeros, found.distinct) == (2, 6)
    assert found.entropy_bits == 2.5  # two values of 1/4, four of 1/8
    assert found.octaves == ((-1, 1), (0, 2), (1, 2), (2, 1))
    assert found.quantiles == (-2.0, -2.0, -2.0, 0.0, 0.5, 1.0, 4.0, 4.0, 4.0)
    assert found.magnitudes[4] == 1.0  # median of 0.5 1 1 2 3 4
    assert found.zero_share == 0.25
    assert not found.constant


def test_a_constant_tensor_of_zeros_has_no_magnitudes():
    found = summarize(counted([0, 0, 0]).histogram(4))
    assert found.constant
    assert (found.magnitudes, found.octaves, found.distinct, found.entropy_bits) == ((), (), 1, 0.0)


def test_nothing_counted_is_refused():
    with pytest.raises(DataError) as error:
        summarize(CodeCounter().histogram(0))
    assert str(error.value) == "a profile needs at least one value, not an empty tensor"


def test_quantile_is_the_smallest_value_that_reaches_the_share():
    assert quantiles(np.array([1.0, 2.0, 3.0, 4.0]), np.array([1, 1, 1, 1]), (0.25, 0.26, 0.5, 1.0)) == (1, 2, 2, 4)


@pytest.mark.parametrize(("codes", "spare"), [([4, 12, -8], 2), ([1, 2], 0), ([0, 0], 0), ([-6], 1)])
def test_spare_bits_are_zero_in_every_code(codes, spare):
    assert counted(codes).spare_bits == spare


def test_wide_codes_are_counted_in_bins_with_exact_ends_zeros_and_spare_bits(monkeypatch):
    monkeypatch.setattr(histogram, "MOST_BINS", 8)
    counter = counted([0, 2, 4, 0], [-20, 38], [6])
    assert counter.shift == 3  # codes -20..38 in bins of 8: -3..4
    codes, counts = counter.codes()
    assert codes.tolist() == [-20, 4, 36]
    assert counts.tolist() == [1, 5, 1]
    assert counter.spare_bits == 1
    found = counter.histogram(0)
    assert not found.exact
    assert found.values.tolist() == [-20.0, 0.0, 4.0, 36.0]
    assert found.counts.tolist() == [1, 2, 3, 1]
    assert (found.minimum, found.maximum) == (-20.0, 38.0)
    assert summarize(found).distinct is None


def test_floats_keep_extremes_zeros_and_counts():
    counter = FloatCounter()
    counter.add(np.array([0.0, -0.0, 1.0, 1.001, -3.0, 100.0]))
    counter.add(np.zeros(0))
    found = counter.histogram()
    assert (found.minimum, found.maximum) == (-3.0, 100.0)
    assert found.counts.tolist() == [1, 2, 2, 1]
    np.testing.assert_array_equal(found.values, [-3.0, 0.0, 1.00390625, 100.0])  # the middle of 1 to 1 + 2**-7


def test_floats_that_are_no_numbers_are_refused():
    with pytest.raises(DataError) as error:
        FloatCounter().add(np.array([1.0, np.inf, np.nan]), "float values of 'fc1'")
    assert str(error.value) == "float values of 'fc1' must be finite; 2 of 3 are NaN or infinite"

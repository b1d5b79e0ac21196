"""Raw inputs as codes: against exact fractions, for every byte."""

from fractions import Fraction

import numpy as np
import pytest

from fpgaml.datasets.scaled import parse_scale, scaled_codes
from fpgaml.errors import ConfigError, DataError
from fpgaml.ir.fixed import FixedPoint, Overflow, Rounding
from tests import slow

BYTES = np.arange(256, dtype=np.uint8)


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("scale", ["1/255", "1/256", "0.5", "3/7"])
@pytest.mark.parametrize(("width", "integer"), [(8, 0), (10, 1), (4, 6)])
def test_every_byte_is_rounded_as_an_exact_fraction(scale, rounding, width, integer):
    kind = FixedPoint(width, integer, False, rounding, Overflow.SAT)
    expected = [slow.cast(int(b) * Fraction(scale), kind) for b in BYTES]
    np.testing.assert_array_equal(scaled_codes(BYTES, scale, kind), expected)


def test_pixels_over_255_by_hand():
    kind = FixedPoint(8, 0, False, Rounding.RND_CONV, Overflow.SAT)
    assert list(scaled_codes(np.array([0, 1, 127, 128, 254, 255]), "1/255", kind)) == [0, 1, 127, 129, 255, 255]


@pytest.mark.parametrize("text", ["", "0", "-1/255", "1/0", "pixel", "nan"])
def test_a_scale_that_is_none(text):
    with pytest.raises(ConfigError) as caught:
        parse_scale(text)
    assert str(caught.value) == f"input scale must be a number above 0 such as 1/255 or 0.5, not {text!r}"


def test_floats_and_numbers_too_large_are_refused():
    kind = FixedPoint(8, 0, False)
    with pytest.raises(DataError, match=r"^raw inputs must be integers such as pixels, not float64"):
        scaled_codes(np.zeros(3), "1/255", kind)
    with pytest.raises(DataError, match=r"^raw inputs up to \d+ are too large"):
        scaled_codes(np.array([1 << 60]), "1/255", kind)

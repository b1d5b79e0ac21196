"""FixedPoint by hand at its edges, and against exact rational arithmetic; test_ap_fixed.py has the C++ itself."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from fpgaml.errors import ConfigError, DataError
from fpgaml.ir.fixed import (
    FLOAT32_EXACT,
    FLOAT64_EXACT,
    MAX_WIDTH,
    PIXEL,
    ROUND_IN_PLACE,
    FixedPoint,
    Overflow,
    Rounding,
    code_type,
    grid,
    smallest,
)
from tests import slow


def test_a_value_by_hand():
    kind = FixedPoint(6, 2, signed=False, rounding=Rounding.RND_CONV, overflow=Overflow.SAT)
    np.testing.assert_array_equal(kind.encode([0.5, 1.03125, 1.09375, 9.0, -1.0]), [8, 16, 18, 63, 0])
    np.testing.assert_array_equal(kind.decode([63, 1]), [3.9375, 0.0625])


@pytest.mark.parametrize(
    "text", ["ap_fixed<8,3>", "ap_ufixed<6,2,AP_RND_CONV,AP_SAT,0>", "ap_fixed<8,-2,AP_TRN_ZERO,AP_SAT_SYM,0>"]
)
def test_cpp_name_round_trip(text):
    assert FixedPoint.parse(text).cpp == text


def test_short_names():
    assert FixedPoint.parse("ufixed<8,0>") == FixedPoint(8, 0, signed=False)
    assert FixedPoint.parse("ap_uint<4>") == FixedPoint(4, 4, signed=False)
    assert str(FixedPoint.parse("fixed<8,3,RND,SAT>")) == "fixed<8,3,RND,SAT>"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("float", "'float' is not a fixed-point type; write e.g. fixed<16,6> or ufixed<8,2,RND_CONV,SAT>"),
        ("fixed<8>", "'fixed<8>' must give width and integer bits as numbers"),
        ("fixed<8,2,RNDCONV>", "'fixed<8,2,RNDCONV>': unknown mode 'RNDCONV'; did you mean 'RND_CONV'?"),
        ("fixed<8,2,RND,SAT,3>", "'fixed<8,2,RND,SAT,3>': saturation bits other than 0 are not supported"),
        ("fixed<0,2>", "width of a fixed-point type must be 1 to 63 bits, not 0"),
        ("fixed<1,1,TRN,SAT_SYM>", "a signed type of 1 bit cannot be SAT_SYM: it would hold only 0; use 2 bits or SAT"),
    ],
)
def test_refused_types(text, message):
    with pytest.raises(ConfigError) as caught:
        FixedPoint.parse(text)
    assert str(caught.value) == message


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_refused_values(value):
    with pytest.raises(DataError, match=r"^values for fixed<8,3> must be finite, not NaN or infinite$"):
        FixedPoint(8, 3).encode([0.0, value])


def test_wide_casts_do_not_overflow_int64():
    wide = FixedPoint(63, 3, rounding=Rounding.RND, overflow=Overflow.SAT)
    np.testing.assert_array_equal(wide.cast([1, -1, 1 << 40], 0), [1 << 60, -(1 << 60), wide.high])
    np.testing.assert_array_equal(FixedPoint(4, 4).cast([7, -7], 70), [0, -1])


def test_smallest_holds_exactly():
    assert smallest(-8, 7, 2) == FixedPoint(4, 2)
    assert smallest(-9, 7, 2) == FixedPoint(5, 3)
    assert smallest(0, 255, 8) == FixedPoint(8, 0, signed=False)
    assert smallest(0, 8, 0, signed=True) == FixedPoint(5, 5)
    assert smallest(-4, -4, 0) == FixedPoint(3, 3)


@pytest.mark.parametrize(("limit", "kind"), [(FLOAT32_EXACT, np.float32), (FLOAT64_EXACT, np.float64)])
def test_the_limit_of_a_floating_point_type_is_the_last_integer_before_a_gap(limit, kind):
    assert [int(kind(n)) for n in (limit - 1, limit)] == [limit - 1, limit]
    assert int(kind(limit + 1)) != limit + 1


@pytest.mark.parametrize("rounding", Rounding)
def test_zero_is_zero_with_either_sign(rounding):
    assert FixedPoint(4, 2, True, rounding).encode([0.0, -0.0]).tolist() == [0, 0]


def test_grid_finds_the_fewest_fraction_bits():
    codes, fraction = grid([0.75, -2.0, 0.0])
    assert fraction == 2
    np.testing.assert_array_equal(codes, [3, -8, 0])
    assert grid([4.0, 8.0])[1] == -2
    assert grid([0.0])[1] == 0
    with pytest.raises(DataError, match=r"^values need \d+ bits to be exact, more than 62$"):
        grid([1e18, 1e-9])


@st.composite
def kinds(draw, widest=MAX_WIDTH):
    """Any type of 1 to `widest` bits."""
    width, signed = draw(st.integers(1, widest)), draw(st.booleans())
    overflow = draw(st.sampled_from([o for o in Overflow if not (signed and width == 1 and o is Overflow.SAT_SYM)]))
    return FixedPoint(width, draw(st.integers(-70, 140)), signed, draw(st.sampled_from(list(Rounding))), overflow)


NEAR_POWERS = st.builds(lambda sign, bits, more: sign * ((1 << bits) + more), st.sampled_from((-1, 1)),
                        st.integers(0, 61), st.integers(-1, 1))  # fmt: skip
CODES = NEAR_POWERS | st.integers(-(1 << 62), 1 << 62) | st.integers(-20, 20)
MODES = [(r, o) for r in Rounding for o in Overflow]


@settings(max_examples=400, deadline=None, derandomize=True)
@given(kinds(), CODES, st.integers(-70, 140))
@example(FixedPoint(3, -2, True, Rounding.RND, Overflow.SAT_ZERO), -1, 1)  # -16 units: not the lowest code, but zero
@example(FixedPoint(3, 3, True, Rounding.RND, Overflow.SAT_ZERO), -1, -2)  # -4 units: the lowest code itself
@example(FixedPoint(63, 63, False, Rounding.RND, Overflow.SAT), 1 << 61, -2)  # 2**63: one above the highest
@example(FixedPoint(63, 63, True, Rounding.RND_INF, Overflow.SAT), -(1 << 62), 63)  # half a unit
@example(FixedPoint(63, 63, False, Rounding.RND, Overflow.SAT), (1 << 62) + 1, 63)  # more than half a unit
@example(FixedPoint(63, 63, False, Rounding.TRN, Overflow.WRAP), -1, -62)
@example(FixedPoint(63, 63, False, Rounding.TRN, Overflow.WRAP), -1, -63)
@example(FixedPoint(63, 63, False, Rounding.TRN, Overflow.SAT), 1, -62)
@example(FixedPoint(63, 63, False, Rounding.TRN, Overflow.SAT), 1, -63)
@example(FixedPoint(8, 8, False, Rounding.TRN, Overflow.WRAP), -1, -64)
@example(FixedPoint(8, 8, False, Rounding.TRN, Overflow.WRAP), -1, -65)
@example(FixedPoint(8, 8, False, Rounding.TRN, Overflow.SAT), -1, -200)
def test_a_cast_is_exact_for_any_type_and_code(kind, code, fraction):
    expected = slow.cast(Fraction(code) / Fraction(2) ** fraction, kind)
    np.testing.assert_array_equal(kind.cast([code, code], fraction), [expected] * 2)
    assert kind.holds([expected])


def cast_in_every_mode(codes, drop):
    """{rounding: codes} divided by 2**drop, into a type that holds them all."""
    return {mode: FixedPoint(62, 62, True, mode).cast(codes, drop).tolist() for mode in Rounding}


@pytest.mark.parametrize("drop", [1, 2, 30, 61, 62])
def test_halves_in_every_mode_by_hand(drop):
    """-1 1/2, -1, -1/2, 0, 1/2, 1, 1 1/2 where there is room for them."""
    half = 1 << (drop - 1)
    codes = [n * half for n in ((-3, -2, -1, 0, 1, 2, 3) if drop < 62 else (-2, -2, -1, 0, 1, 1, 1))]
    expected = {
        Rounding.TRN: [-2, -1, -1, 0, 0, 1, 1], Rounding.TRN_ZERO: [-1, -1, 0, 0, 0, 1, 1],
        Rounding.RND: [-1, -1, 0, 0, 1, 1, 2], Rounding.RND_MIN_INF: [-2, -1, -1, 0, 0, 1, 1],
        Rounding.RND_INF: [-2, -1, -1, 0, 1, 1, 2], Rounding.RND_ZERO: [-1, -1, 0, 0, 0, 1, 1],
        Rounding.RND_CONV: [-2, -1, 0, 0, 0, 1, 2],
    }  # fmt: skip
    if drop == 62:
        expected = {mode: [row[1], row[1], row[2], row[3], *[row[4]] * 3] for mode, row in expected.items()}
    assert cast_in_every_mode(codes, drop) == expected


def test_beyond_the_word_only_the_sign_is_left():
    top = 1 << 62
    for drop in (64, 65, 70):
        assert cast_in_every_mode([-top, -1, 0, 1, top], drop) == {
            mode: [-1, -1, 0, 0, 0] if mode is Rounding.TRN else [0] * 5 for mode in Rounding
        }
    assert cast_in_every_mode([-top, -top + 1, top - 1, top], 63) == {
        Rounding.TRN: [-1, -1, 0, 0], Rounding.TRN_ZERO: [0, 0, 0, 0], Rounding.RND: [0, 0, 0, 1],
        Rounding.RND_MIN_INF: [-1, 0, 0, 0], Rounding.RND_INF: [-1, 0, 0, 1], Rounding.RND_ZERO: [0, 0, 0, 0],
        Rounding.RND_CONV: [0, 0, 0, 0],
    }  # fmt: skip


@settings(max_examples=300, deadline=None, derandomize=True)
@given(kinds(), st.floats(allow_nan=False, allow_infinity=False, min_value=-(2.0**200), max_value=2.0**200))
@example(FixedPoint(63, 63, False, Rounding.TRN, Overflow.SAT), 2.0**63)
@example(FixedPoint(63, 63, False, Rounding.TRN, Overflow.SAT), 2.0**63 - 2.0**10)
@example(FixedPoint(63, 63, False, Rounding.TRN, Overflow.SAT_ZERO), 2.0**63)
@example(FixedPoint(63, 63, False, Rounding.TRN, Overflow.SAT_ZERO), 2.0**63 - 2.0**10)
@example(FixedPoint(63, 63, True, Rounding.TRN, Overflow.SAT_ZERO), -(2.0**63))
@example(FixedPoint(63, 63, True, Rounding.TRN, Overflow.SAT_ZERO), -(2.0**62))
@example(FixedPoint(8, 8, True, Rounding.RND, Overflow.SAT), 0.49999999999999994)
@example(FixedPoint(8, 8, True, Rounding.RND_INF, Overflow.SAT), -0.49999999999999994)
@example(FixedPoint(60, 60, True, Rounding.RND, Overflow.SAT), 2.0**52 + 1)
@example(FixedPoint(1, 101, False, Rounding.TRN, Overflow.WRAP), -3e-294)  # no float64 is as small in units of 2**100
@example(FixedPoint(2, 102, True, Rounding.RND_INF, Overflow.SAT), -3e-294)
def test_encoding_is_exact_for_any_type_and_number(kind, value):
    if kind.overflow is Overflow.WRAP:
        assume(abs(Fraction(value) / slow.unit(kind)) < 2**62 - 1)
    assert kind.encode([value]).tolist() == [slow.cast(Fraction(value), kind)]


@pytest.mark.parametrize(("rounding", "overflow"), MODES)
def test_encoding_by_hand_in_every_mode(rounding, overflow):
    """Halves and their neighbours, and what lies beside the ends of -4..3 (SAT_SYM: -3..3)."""
    kind = FixedPoint(3, 3, True, rounding, overflow)
    for value in (-9, -5.5, -4.5, -4, -3.5, -2.5, -1.5, -0.75, -0.5, -0.25, 0, 0.25, 0.5, 0.75, 1.5, 2.5, 3.5, 4, 11.5):
        expected = slow.cast(Fraction(value), kind)
        assert kind.encode([value]).tolist() == [expected]
        assert kind.cast([int(value * 4)], 2).tolist() == [expected]


def test_wrapping_needs_the_last_bits():
    kind = FixedPoint(8, 8)
    assert kind.encode([2.0**61 + 2.0**9, -(2.0**61)]).tolist() == [0, 0]
    for value in (2.0**62, -(2.0**62)):
        with pytest.raises(DataError) as caught:
            kind.encode([0.0, value])
        assert str(caught.value) == "values for fixed<8,8> must be below 2**62 units of the last place to wrap exactly"
    assert FixedPoint(8, 8, overflow=Overflow.SAT).encode([2.0**62, -(2.0**100)]).tolist() == [127, -128]


@pytest.mark.parametrize(
    ("kind", "low", "high"),
    [
        (FixedPoint(1, 0), -1, 0), (FixedPoint(1, 0, False), 0, 1), (FixedPoint(2, 0), -2, 1),
        (FixedPoint(2, 0, overflow=Overflow.SAT_SYM), -1, 1),
        (FixedPoint(8, 3, False, overflow=Overflow.SAT_SYM), 0, 255),
        (FixedPoint(63, 3), -(1 << 62), (1 << 62) - 1), (FixedPoint(63, 3, False), 0, (1 << 63) - 1),
    ],
)  # fmt: skip
def test_the_ends_of_a_type(kind, low, high):
    assert (kind.low, kind.high) == (low, high)
    assert kind.holds([low, high])
    assert kind.holds([])
    assert not kind.holds([low - 1, low])
    assert high == (1 << 63) - 1 or not kind.holds([high, high + 1])


def test_pixels_enter_as_they_are():
    assert FixedPoint(8, 0, signed=False) == PIXEL
    assert PIXEL.decode([0, 1, 255]).tolist() == [0.0, 1 / 256, 255 / 256]


def test_the_last_place_of_a_type():
    assert (FixedPoint(8, 3).fraction, FixedPoint(8, 3).step) == (5, 0.03125)
    assert (FixedPoint(4, 7).fraction, FixedPoint(4, 7).step) == (-3, 8.0)
    np.testing.assert_array_equal(FixedPoint(4, 7).decode([-8, 7]), [-64.0, 56.0])
    np.testing.assert_array_equal(
        FixedPoint(60, 60).decode([(1 << 53) - 1, -(1 << 53) + 1]), [2.0**53 - 1, 1 - 2.0**53]
    )


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: FixedPoint(0, 0), "width of a fixed-point type must be 1 to 63 bits, not 0"),
        (lambda: FixedPoint(64, 0), "width of a fixed-point type must be 1 to 63 bits, not 64"),
        (lambda: FixedPoint(8, 1001), "integer bits of a fixed-point type must be -1000 to 1000, not 1001"),
        (lambda: FixedPoint(8, -1001), "integer bits of a fixed-point type must be -1000 to 1000, not -1001"),
    ],
)
def test_refused_numbers(made, message):
    with pytest.raises(ConfigError) as caught:
        made()
    assert str(caught.value) == message


def test_the_widest_and_the_farthest_types():
    assert FixedPoint(1, 1000).fraction == -999
    assert FixedPoint(63, -1000).fraction == 1063
    assert FixedPoint(1, 0, False, overflow=Overflow.SAT_SYM).high == 1
    assert FixedPoint(2, 0, True, overflow=Overflow.SAT_SYM).low == -1


@pytest.mark.parametrize(
    ("low", "high", "signed", "expected"),
    [
        (0, 0, None, FixedPoint(1, 1, False)), (0, 1, None, FixedPoint(1, 1, False)),
        (0, 2, None, FixedPoint(2, 2, False)),
        (-1, 0, None, FixedPoint(2, 2)), (-1, 1, None, FixedPoint(2, 2)), (-2, 1, None, FixedPoint(2, 2)),
        (-3, 0, None, FixedPoint(3, 3)), (-2, 2, None, FixedPoint(3, 3)), (0, 0, True, FixedPoint(2, 2)),
        (7, 7, None, FixedPoint(3, 3, False)), (3, 3, True, FixedPoint(3, 3)), (-2, -1, None, FixedPoint(2, 2)),
        (0, 1, True, FixedPoint(2, 2)), (0, 2, True, FixedPoint(3, 3)), (5, 9, True, FixedPoint(5, 5)),
        (-128, 127, None, FixedPoint(8, 8)), (-129, 0, None, FixedPoint(9, 9)), (-1, 128, None, FixedPoint(9, 9)),
        (0, (1 << 63) - 1, None, FixedPoint(63, 63, False)), (-(1 << 62), (1 << 62) - 1, None, FixedPoint(63, 63)),
    ],
)  # fmt: skip
def test_the_narrowest_type_by_hand(low, high, signed, expected):
    assert smallest(low, high, 0, signed=signed) == expected
    assert smallest(low, high, 5, signed=signed).fraction == 5


def test_a_grid_may_have_62_bits_and_no_more():
    codes, fraction = grid([2.0**30, 2.0**-31])
    assert (codes.tolist(), fraction) == ([1 << 61, 1], 31)
    with pytest.raises(DataError) as caught:
        grid([2.0**31, 2.0**-31])
    assert str(caught.value) == "values need 63 bits to be exact, more than 62"
    assert grid([-(2.0**30), 2.0**-31])[0].tolist() == [-(1 << 61), 1]
    assert grid([1.5, -0.25], limit=3)[0].tolist() == [6, -1]
    with pytest.raises(DataError) as caught:
        grid([1.5, -0.125], limit=3)
    assert str(caught.value) == "values need 4 bits to be exact, more than 3"


def test_a_grid_of_nothing_and_of_no_number():
    codes, fraction = grid(np.zeros((2, 0)))
    assert (codes.shape, codes.dtype, fraction) == ((2, 0), np.int64, 0)
    codes, fraction = grid(np.zeros((2, 3)))
    assert (codes.tolist(), codes.dtype, fraction) == ([[0] * 3] * 2, np.int64, 0)
    for value in (np.nan, np.inf, -np.inf):
        with pytest.raises(DataError) as caught:
            grid([1.0, value])
        assert str(caught.value) == "values must be finite, not NaN or infinite"


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.integers(-(1 << 40), 1 << 40), min_size=1, max_size=4), st.integers(-30, 30))
def test_a_grid_is_exact_and_the_coarsest(numbers, place):
    values = [float(Fraction(n) * Fraction(2) ** place) for n in numbers]
    codes, fraction = grid(values)
    assert [Fraction(int(c)) / Fraction(2) ** fraction for c in codes] == [Fraction(v) for v in values]
    assert any(c % 2 for c in codes.tolist()) or not any(numbers)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (FixedPoint(8, 0, False), "uint8"), (FixedPoint(9, 0, False), "uint16"), (FixedPoint(8, 0), "int8"),
        (FixedPoint(9, 0), "int16"), (FixedPoint(17, 0), "int32"), (FixedPoint(33, 0), "int64"),
        (FixedPoint(63, 0, False), "uint64"),
    ],
)  # fmt: skip
def test_the_smallest_word_of_a_type(kind, expected):
    assert code_type(kind) == np.dtype(expected)


@pytest.mark.parametrize(
    ("text", "kind", "cpp", "short"),
    [
        ("ap_fixed< 16 , 6 >", FixedPoint(16, 6), "ap_fixed<16,6>", "fixed<16,6>"),
        ("int<7>", FixedPoint(7, 7), "ap_fixed<7,7>", "fixed<7,7>"),
        ("ap_ufixed<8,2,AP_RND>", FixedPoint(8, 2, False, Rounding.RND), "ap_ufixed<8,2,AP_RND,AP_WRAP,0>",
         "ufixed<8,2,RND,WRAP>"),
        ("fixed<8,2,trn,ap_sat>", FixedPoint(8, 2, overflow=Overflow.SAT), "ap_fixed<8,2,AP_TRN,AP_SAT,0>",
         "fixed<8,2,TRN,SAT>"),
    ],
)  # fmt: skip
def test_every_way_to_write_a_type(text, kind, cpp, short):
    assert FixedPoint.parse(text) == kind
    assert (kind.cpp, str(kind)) == (cpp, short)
    assert FixedPoint.parse(cpp) == FixedPoint.parse(short) == kind


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fixed<8,2,RND,SAT,0,0>", "'fixed<8,2,RND,SAT,0,0>' has too many parts"),
        ("int<8,TRN>", "'int<8,TRN>': an integer type has no rounding or overflow mode"),
        ("int<>", "'int<>' must give its width as numbers"),
        ("fixed<8.5,2>", "'fixed<8.5,2>' must give width and integer bits as numbers"),
        ("fixed<8,2,RND,FAT>", "'fixed<8,2,RND,FAT>': unknown mode 'FAT'; did you mean 'SAT'?"),
    ],
)
def test_refused_texts(text, message):
    with pytest.raises(ConfigError) as caught:
        FixedPoint.parse(text)
    assert str(caught.value) == message


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("word", [np.float32, np.float64])
def test_the_three_forms_of_each_rounding_agree(rounding, word):
    kind = FixedPoint(12, 12, True, rounding, Overflow.SAT)
    eighths = np.arange(-500, 501)
    fast = (eighths / 8).astype(word)
    ROUND_IN_PLACE[rounding](fast)
    np.testing.assert_array_equal(kind.cast(eighths, 3), kind.encode(eighths / 8))
    np.testing.assert_array_equal(kind.cast(eighths, 3), fast.astype(np.int64))


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("drop", [1, 2, 62, 63, 64, 65, 100])
def test_codes_at_the_ends_of_the_word_are_rounded_right(rounding, drop):
    ends = np.iinfo(np.int64)
    codes = [ends.min, ends.min + 1, -(1 << 62), -1, 0, 1, 1 << 62, ends.max - 1, ends.max]
    kind = FixedPoint(63, 63, True, rounding, Overflow.SAT)
    assert kind.cast(codes, drop).tolist() == [slow.cast(Fraction(code, 1 << drop), kind) for code in codes]
